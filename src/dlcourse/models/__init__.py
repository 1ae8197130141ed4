"""The models there are: a table from the names a config may use to plain `nn.Module`s, tensors in, tensors out."""

from torch import nn

from dlcourse.models.cnn import CNN
from dlcourse.models.linear import LinearRegression, LogisticRegression, SoftmaxRegression
from dlcourse.models.mlp import MLP
from dlcourse.registry import Registry

MODELS: Registry[nn.Module] = Registry(
    "model",
    {
        "linreg": LinearRegression,
        "logreg": LogisticRegression,
        "softmax": SoftmaxRegression,
        "mlp": MLP,
        "cnn": CNN,
    },
    run_time=("spec",),
)
