"""A careful loop by hand: tensors in memory, a permuted index, gather, normalize, forward, backward, Adam as it comes."""

import time

import torch
from torch import Tensor, nn

from bench import mnist, nets
from bench.contests import NETS, Figures, Work
from bench.loops.timing import Timing


def run(work: Work) -> Figures:
    """Train and evaluate."""
    arrays = mnist.read(work)
    images, labels = (torch.from_numpy(array).to(work.device) for array in arrays)
    images = images[:, None]  # (N, 1, H, W), and labels (N,)
    model = nets.build(work.net).to(work.device)
    timing = _train(model, images, labels, work)
    held_out = max(1, len(images) // 9)
    seconds = _evaluate(model, images[:held_out], labels[:held_out], work.net)
    speed = timing.speed(len(images))
    return Figures(nets.parameters(model), speed, timing.first_step_at, 1e6 * seconds / held_out)


def _train(model: nn.Module, images: Tensor, labels: Tensor, work: Work) -> Timing:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=NETS[work.net].weight_decay)
    criterion, timing = nets.criterion(work.net), Timing()
    model.train()
    for _ in range(work.epochs):
        timing.begin_epoch()
        running_loss = 0.0
        for chosen in torch.randperm(len(images), device=work.device).split(work.batch):
            inputs, targets = _batch(images[chosen], labels[chosen], work.net)
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            timing.after_step()
        timing.end_epoch()
    return timing


def _batch(images: Tensor, labels: Tensor, net: str) -> tuple[Tensor, Tensor]:
    pixels = images.float() / 255
    if net == "vae":
        return pixels, pixels
    inputs = (pixels - mnist.MEAN) / mnist.STD
    return inputs.expand(-1, NETS[net].channels, -1, -1), labels  # (B, C, H, W)


@torch.no_grad()
def _evaluate(model: nn.Module, images: Tensor, labels: Tensor, net: str) -> float:
    """The seconds for loss and accuracy, 250 images at a time."""
    criterion = nets.criterion(net)
    model.eval()
    began = time.perf_counter()
    loss = correct = 0.0
    for inputs, targets in map(_batch, images.split(250), labels.split(250), [net] * len(images)):
        output = model(inputs)
        loss += criterion(output, targets).item()
        if net != "vae":
            correct += (output.argmax(1) == targets).sum().item()
    return time.perf_counter() - began
