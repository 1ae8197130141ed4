"""The models there are: a table from the names a config may use to plain `nn.Module`s, tensors in, tensors out."""

from torch import nn

from dlcourse.config.registry import Registry
from dlcourse.models.autoencoder import VAE, Autoencoder
from dlcourse.models.bag_of_words import BagOfWords
from dlcourse.models.cnn import CNN
from dlcourse.models.denoiser import Denoiser
from dlcourse.models.gan import GAN
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression
from dlcourse.models.mlp import MLP
from dlcourse.models.policy_and_value import PolicyAndValue
from dlcourse.models.recurrent import gru, lstm, rnn
from dlcourse.models.resnet import ResNet, ResNet9
from dlcourse.models.torchvision_model import Torchvision
from dlcourse.models.transformer import transformer
from dlcourse.models.word_vectors import WordVectors

MODELS: Registry[nn.Module] = Registry(
    "model",
    {
        "linreg": LinearRegression,
        "logreg": LogisticRegression,
        "softmax": SoftmaxRegression,
        "mlp": MLP,
        "cnn": CNN,
        "resnet": ResNet,
        "resnet9": ResNet9,
        "torchvision": Torchvision,
        "rnn": rnn,
        "gru": gru,
        "lstm": lstm,
        "bag": BagOfWords,
        "embedding": WordVectors,
        "transformer": transformer,
        "autoencoder": Autoencoder,
        "vae": VAE,
        "gan": GAN,
        "diffusion": Denoiser,
        "policy_and_value": PolicyAndValue,
    },
    run_time=("spec",),
)
