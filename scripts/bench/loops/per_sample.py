"""A Dataset that decodes and transforms sample by sample with PIL and torchvision, as tutorials have it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench import mnist
from bench.contests import NETS, Work


class Digits(Dataset[tuple[Tensor, Tensor | int]]):
    """Images and labels; the vae's targets are the images."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], net: str) -> None:
        self._images, self._labels, self._is_vae = images, labels, net == "vae"
        self._transform = transform(net)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor | int]:
        inputs = self._transform(Image.fromarray(self._images[index]))
        return inputs, inputs if self._is_vae else int(self._labels[index])


def transform(net: str) -> Callable[[Image.Image], Tensor]:
    """Resize, color and augmentation where the network asks for them, then a normalized tensor."""
    what = NETS[net]
    steps: list[Callable[..., object]] = []
    if what.side != 28:
        steps.append(transforms.Resize((what.side, what.side)))
    if what.channels == 3:
        steps.append(transforms.Grayscale(3))
    if what.has_augmentation:
        steps += [transforms.RandomRotation(10), transforms.ColorJitter(brightness=0.2, contrast=0.2)]
    steps.append(transforms.ToTensor())
    if net != "vae":
        steps.append(transforms.Normalize([mnist.MEAN] * what.channels, [mnist.STD] * what.channels))
    return transforms.Compose(steps)


def loader(work: Work) -> DataLoader[tuple[Tensor, Tensor | int]]:
    """Shuffled batches, made in this process."""
    return DataLoader(Digits(*mnist.read(work, resize=False), work.net), batch_size=work.batch, shuffle=True)
