"""The networks of dlcourse written by hand in PyTorch, the same layers and as many parameters, for all loops that use it.

B is the batch size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Criterion = Callable[[Any, Tensor], Tensor]


class LSTM(nn.Module):
    """Reads the rows of an image one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.lstm(images.squeeze(1))[0][:, -1])  # (B, 1, 28, 28) -> (B, 10)


class Transformer(nn.Module):
    """Attends to the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.positions = nn.Linear(28, 64), nn.Parameter(0.02 * torch.randn(28, 64))
        block = nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(block, 2, nn.LayerNorm(64), enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(
            self.encoder(self.project(images.squeeze(1)) + self.positions).mean(1)
        )  # (B, 1, 28, 28) -> (B, 10)


class VAE(nn.Module):
    """784-400-20 and back."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = functional.relu(self.fc1(pixels.flatten(1)))
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.fc4(functional.relu(self.fc3(z))), mean, log_variance  # (B, 784), (B, 20), (B, 20)


def vae_loss(output: tuple[Tensor, Tensor, Tensor], pixels: Tensor) -> Tensor:
    """Bernoulli reconstruction and KL divergence, per image."""
    logits, mean, log_variance = output
    flat = pixels.flatten(1)
    reconstruction = functional.binary_cross_entropy_with_logits(logits, flat, reduction="sum")
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return (reconstruction + kl) / len(flat)


def criterion(name: str) -> Criterion:
    """The loss of a network's output against labels `(B,)`, of the vae against the pixels."""
    return vae_loss if name == "vae" else functional.cross_entropy


def build(name: str) -> nn.Module:
    """The network of that name."""
    return _NETS[name]()


def parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def _softmax() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def _mlp() -> nn.Module:
    hidden = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(128, 10))


def _cnn() -> nn.Module:
    blocks: list[nn.Module] = []
    for channels_in, channels_out in ((1, 32), (32, 64), (64, 128)):
        blocks.append(nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False))
        blocks += [nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, *_head(1152, 128, 0.25))  # 128 maps of 3 x 3


def _cnn_9216() -> nn.Module:
    maps = [*_convolution(1, 32), *_convolution(32, 64), nn.MaxPool2d(2)]
    return nn.Sequential(*maps, *_head(9216, 128, 0.25))  # 64 maps of 12 x 12


def _cnn48() -> nn.Module:
    maps = [*_convolution(3, 32), nn.MaxPool2d(2), *_convolution(32, 64), nn.MaxPool2d(2), *_convolution(64, 128)]
    return nn.Sequential(*maps, *_head(18_432, 512, 0.5))  # 128 maps of 12 x 12


def _convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU()]


def _head(width: int, hidden: int, dropout: float) -> list[nn.Module]:
    first = [nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, hidden), nn.ReLU()]
    return [*first, nn.Dropout(dropout), nn.Linear(hidden, 10)]


_NETS: dict[str, Callable[[], nn.Module]] = {
    "softmax": _softmax,
    "mlp": _mlp,
    "cnn": _cnn,
    "cnn_9216": _cnn_9216,
    "cnn48": _cnn48,
    "lecture_cnn48": _cnn48,
    "lstm": LSTM,
    "transformer": Transformer,
    "vae": VAE,
}
