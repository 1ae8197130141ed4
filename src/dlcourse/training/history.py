"""What the epochs of a training brought, and which of them was the best."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """What the epochs brought: the numbers of each evaluation, and which epoch's weights are kept."""

    epochs: list[int] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    train_seconds: float = 0.0
    samples_per_second: float = 0.0
    best_score: tuple[float, float] | None = None
    best_epoch: int = 0
    since_best: int = 0
    kept_epoch: int = 0
    kept: dict[str, float] = field(default_factory=dict)
    kept_weights: str = "raw"
    """Which of an epoch's weights are kept: the raw ones, or the average of this name."""

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "History":
        """The history that `dataclasses.asdict` was called on; raises TypeError or KeyError if it is none."""
        for name, initial in asdict(cls()).items():
            if isinstance(initial, int | float) and not isinstance(state[name], int | float):
                raise TypeError(f"'{name}' is no number")
        best = state["best_score"]
        return cls(**{**state, "best_score": None if best is None else (best[0], best[1])})

    def add(self, epoch: int, values: dict[str, float]) -> None:
        """Append the numbers of an evaluation."""
        self.epochs.append(epoch)
        for name, value in values.items():
            self.series.setdefault(name, []).append(value)

    def numbers(self, split: str, epoch: int) -> dict[str, float]:
        """The numbers of a split in an epoch that was evaluated."""
        place = self.epochs.index(epoch)
        named = (name.partition("/") for name in self.series)
        return {name: self.series[f"{of}/{name}"][place] for of, _, name in named if of == split}

    def take(self, epoch: int, score: tuple[float, float]) -> bool:
        """Take in the score of an evaluated epoch, of which more is better; whether it is the best so far."""
        is_best = self.best_score is None or score > self.best_score
        self.since_best = 0 if is_best else self.since_best + 1
        if is_best:
            self.best_score, self.best_epoch = score, epoch
        return is_best
