"""Games as data sets: an example is the state in which a game begins, and a batch is so many games side by side.

N is a number of starts, S of numbers in a state.
"""

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Count, NonNegativeInt, Range
from dlcourse.data import announced
from dlcourse.data.dataset import DataSet
from dlcourse.data.split import TensorSplit, seeded_generator
from dlcourse.environments import ENVIRONMENTS
from dlcourse.environments.grid import GridWorld as GridWorldRules
from dlcourse.spec import Data


@dataclass(frozen=True, kw_only=True)
class _Games(DataSet):
    """Abstract: `size` starts for training; their order is a function of the run's seed and the epoch, as ever."""

    size: Count = 10_000

    @abstractmethod
    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """The starts of training, validation and test, `(N, S)` each."""

    def build(self, *, name: str, seed: int) -> Data:
        (said,) = self.SPECS
        train, val, test = (TensorSplit(starts, torch.zeros(len(starts), 0), seed) for starts in self.draw())
        return Data(dataclasses.replace(said, name=name), train, val, test)


@dataclass(frozen=True, kw_only=True)
class CartPole(_Games):
    """The pole on a cart, at rest to within 0.05 in position, velocity, angle and angular velocity.

    Validation and test have `held_out` other starts each. `seed` picks them all, and the run's seed does not change them.
    """

    SPECS = (announced.starts("cartpole"),)

    size: Count = 50_000
    held_out: Count = 100
    seed: NonNegativeInt = 0

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        rules = ENVIRONMENTS["cartpole"]
        train, val, test = (
            rules.starts(count, seeded_generator("starts", self.seed, part))
            for part, count in enumerate((self.size, self.held_out, self.held_out))
        )
        return train, val, test


@dataclass(frozen=True, kw_only=True)
class Cliff(_Games):
    """Walks along a cliff, which all begin in the same field: validation and test have that one start, too."""

    SPECS = (announced.starts("cliff"),)

    size: Count = 2000

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        starts = ENVIRONMENTS["cliff"].starts(self.size, torch.Generator())
        return starts, starts[:1], starts[:1]


@dataclass(frozen=True, kw_only=True)
class GridWorld(_Games):
    """Walks out of a maze of 46 fields; `held_out` fields each are kept for validation and test, where no training begins.

    `seed` picks them, and the run's seed does not change them.
    """

    SPECS = (announced.starts("grid_world"),)

    size: Count = 2000
    held_out: Annotated[int, Range(ge=1, le=20)] = 9
    seed: NonNegativeInt = 0

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        rules = GridWorldRules()
        fields = torch.tensor(rules.places())
        fields = fields[torch.randperm(len(fields), generator=seeded_generator("starts", self.seed))]
        val, test, train = fields.split([self.held_out, self.held_out, len(fields) - 2 * self.held_out])
        return rules.states(train[torch.arange(self.size) % len(train)]), rules.states(val), rules.states(test)


@dataclass(frozen=True, kw_only=True)
class TicTacToe(_Games):
    """Tic-tac-toe from the empty board: validation and test differ in what the other side plays."""

    SPECS = (announced.starts("tic_tac_toe", "match"),)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        starts = ENVIRONMENTS["tic_tac_toe"].starts(self.size, torch.Generator())
        return starts, starts[:1], starts[:1]
