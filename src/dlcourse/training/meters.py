"""The numbers of training steps on their way to the log: pending on the device, then summed into means over examples."""

import torch
from torch import Tensor

from dlcourse.state_dict import State


class Means:
    """Means over examples: sums, divided once."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._size = 0

    def add(self, values: dict[str, float], size: int) -> None:
        """Take in the means over `size` examples."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * size
        self._size += size

    def values(self) -> dict[str, float]:
        """The means over all examples so far."""
        return {name: total / self._size for name, total in self._sums.items()}

    def state_dict(self) -> State:
        """What was taken in."""
        return {"sums": dict(self._sums), "size": self._size}

    def load_state_dict(self, state: State) -> None:
        """Go on from what was taken in before."""
        self._sums, self._size = dict(state["sums"]), int(state["size"])


class Pending:
    """The scalars of recent steps, left on the device until they are wanted, so that it need not wait each step."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._values: list[Tensor] = []
        self._sizes: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def add(self, scalars: dict[str, Tensor], size: int) -> None:
        """Keep a step's scalars, each a mean over `size` examples."""
        self._names = list(scalars)
        self._values.extend(value.detach() for value in scalars.values())
        self._sizes.append(size)

    def take(self, last_step: int) -> list[tuple[int, dict[str, float], int]]:
        """The step, numbers and batch size of each pending step, up to the last, which are then forgotten."""
        rows = torch.stack(self._values).reshape(len(self._sizes), -1).tolist()
        steps = range(last_step - len(rows) + 1, last_step + 1)
        taken = [
            (step, dict(zip(self._names, row, strict=True)), size)
            for step, row, size in zip(steps, rows, self._sizes, strict=True)
        ]
        self._values, self._sizes = [], []
        return taken

    def state_dict(self) -> State:
        """What is pending."""
        values = torch.stack(self._values) if self._values else None
        return {"names": list(self._names), "values": values, "sizes": list(self._sizes)}

    def load_state_dict(self, state: State, device: torch.device) -> None:
        """Go on with what was pending before; what comes next is on the device, and so must this be."""
        values = state["values"]
        self._names, self._sizes = list(state["names"]), list(state["sizes"])
        self._values = [] if values is None else list(values.to(device).unbind())
