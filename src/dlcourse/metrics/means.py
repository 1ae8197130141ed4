"""Means over examples: sums, divided once."""

from dlcourse.state_dict import State


class Means:
    """Means over examples: sums, divided once."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self.size = 0
        """The examples so far."""

    def add(self, values: dict[str, float], size: int) -> None:
        """Take in the means over `size` examples."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * size
        self.size += size

    def values(self) -> dict[str, float]:
        """The means over all examples so far."""
        return {name: total / self.size for name, total in self._sums.items()}

    def state_dict(self) -> State:
        """What was taken in."""
        return {"sums": dict(self._sums), "size": self.size}

    def load_state_dict(self, state: State) -> None:
        """Continue from what was taken in before."""
        self._sums, self.size = dict(state["sums"]), int(state["size"])
