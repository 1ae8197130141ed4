"""The global random states of Python, NumPy and torch: seeded, read and put back."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dlcourse.device import Device
from dlcourse.state_dict import State


def seed_everything(seed: int) -> None:
    """Seed the global random states of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def random_state(device: Device) -> State:
    """The global random states of Python, NumPy and torch, on the CPU and on the device."""
    numpy: Any = np.random.get_state(legacy=True)
    kind, key, position, has_gauss, gauss = numpy
    version, words, next_gauss = random.getstate()
    state: State = {
        "python": [version, list(words), next_gauss],
        "numpy": [kind, key.tolist(), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
    }
    if device.torch_device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device.torch_device)
    if device.torch_device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: State, device: Device) -> None:
    """Continue drawing where `random_state` was taken; a device that was not in use then is left as it is."""
    version, words, next_gauss = state["python"]
    random.setstate((version, tuple(words), next_gauss))
    kind, key, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, np.array(key, dtype=np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"].clone())
    if device.torch_device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].clone(), device.torch_device)
    if device.torch_device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"].clone())


@contextlib.contextmanager
def random_state_kept(device: Device) -> Iterator[None]:
    """Within this anything may be seeded and drawn, on the CPU and on the device; afterwards the states are as before."""
    before = random_state(device)
    try:
        yield
    finally:
        set_random_state(before, device)
