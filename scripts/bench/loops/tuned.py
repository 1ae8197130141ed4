"""The honest limit: the loop by hand with all that helps and keeps it a PyTorch loop in float32.

One fused Adam, gradients set to None, pixels normalized in place, losses read once an epoch; on a processor also channels
last and glibc told to keep freed memory.
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
    images, labels = (torch.from_numpy(array).to(work.device) for array in arrays)
    images = images[:, None]  # (N, 1, H, W), and labels (N,)
    layout = torch.channels_last if work.device == "cpu" else torch.contiguous_format
    model = nets.build(work.net).to(memory_format=layout).to(work.device)  # changes convolutions alone
    weight_decay = NETS[work.net].weight_decay
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=weight_decay, fused=True)
    criterion, timing = nets.criterion(work.net), Timing()
    model.train()
    for _ in range(work.epochs):
        timing.begin_epoch()
        running_loss = torch.zeros((), device=work.device)
        for chosen in torch.randperm(len(images), device=work.device).split(work.batch):
            inputs, targets = _batch(images[chosen], labels[chosen], work.net, layout)
            loss = criterion(model(inputs), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            running_loss += loss.detach()
            timing.after_step()
        running_loss.item()  # waits for the device
        timing.end_epoch()
    return Figures(nets.parameters(model), timing.speed(len(images)), timing.first_step_at)


def _batch(images: Tensor, labels: Tensor, net: str, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    pixels = images.float()
    if net == "vae":
        pixels.div_(255)
        return pixels, pixels
    pixels.sub_(255 * mnist.MEAN).div_(255 * mnist.STD)
    colored = pixels.expand(-1, NETS[net].channels, -1, -1)  # (B, C, H, W)
    return colored.contiguous(memory_format=layout), labels


def _keep_freed_memory() -> None:
    """Set M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)
        libc.mallopt(-1, 2**31 - 1)
        libc.mallopt(-2, 256 * 2**20)
