"""The honest limit: the loop by hand with all that helps on a processor and keeps it a PyTorch loop.

One fused Adam, gradients set to None, pixels normalized in place, channels last, and glibc told to keep freed memory.
"""

import ctypes
import platform

import torch
from torch import Tensor

from bench import mnist, nets
from bench.contests import NETS, Figures, Work
from bench.loops.timing import Timing


def run(work: Work) -> Figures:
    """Train."""
    _keep_freed_memory()
    arrays = mnist.read(work)
    images, labels = torch.from_numpy(arrays[0])[:, None], torch.from_numpy(arrays[1])  # (N, 1, H, W), (N,)
    model = nets.build(work.net).to(memory_format=torch.channels_last)  # changes convolutions alone
    weight_decay = NETS[work.net].weight_decay
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=weight_decay, fused=True)
    criterion, timing = nets.criterion(work.net), Timing()
    model.train()
    for _ in range(work.epochs):
        timing.begin_epoch()
        running_loss = 0.0
        for chosen in torch.randperm(len(images)).split(work.batch):
            inputs, targets = _batch(images[chosen], labels[chosen], work.net)
            loss = criterion(model(inputs), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            timing.after_step()
        timing.end_epoch()
    return Figures(nets.parameters(model), timing.speed(len(images)), timing.first_step_at)


def _batch(images: Tensor, labels: Tensor, net: str) -> tuple[Tensor, Tensor]:
    pixels = images.float()
    if net == "vae":
        pixels.div_(255)
        return pixels, pixels
    pixels.sub_(255 * mnist.MEAN).div_(255 * mnist.STD)
    colored = pixels.expand(-1, NETS[net].channels, -1, -1)  # (B, C, H, W)
    return colored.contiguous(memory_format=torch.channels_last), labels


def _keep_freed_memory() -> None:
    """Set M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)
        libc.mallopt(-1, 2**31 - 1)
        libc.mallopt(-2, 256 * 2**20)
