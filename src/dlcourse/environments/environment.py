"""What every game says of itself: its moves, what a state has, and what a move does.

B is the number of games side by side, S of numbers in a state, A of moves that a player may choose from.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class Step(NamedTuple):
    """What a move brings: the states after it `(B, S)`, the rewards `(B,)` and which games it ended `(B,)`."""

    states: Tensor
    rewards: Tensor
    ended: Tensor


class Environment(ABC):
    """Abstract: the rules of a game as pure functions on tensors.

    It keeps nothing, so that the states are all that a checkpoint needs, and any number of games is played in one call.
    """

    actions: ClassVar[tuple[str, ...]]
    """The name of each move."""
    features: ClassVar[tuple[str, ...]]
    """The name of each number of a state."""
    limit: ClassVar[int]
    """Moves after which a game is cut short. To a value function that is no end: more reward would have come."""

    @abstractmethod
    def starts(self, count: int, generator: torch.Generator) -> Tensor:
        """So many states `(count, S)` in which a game may begin, float32, on the CPU."""

    @abstractmethod
    def step(self, states: Tensor, actions: Tensor) -> Step:
        """What the moves `(B,)` bring in the states `(B, S)`; the answer has their type and device."""
