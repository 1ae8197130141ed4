"""Tic-tac-toe as seen by whoever moves next, and the moves of a player who knows all that can come.

B is the number of games side by side.
"""

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.environments.environment import Environment, Step

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_FIELDS = 9
_NAMES = tuple(f"r{row}c{column}" for row in range(3) for column in range(3))
Stones = tuple[int, ...]


class TicTacToe(Environment):
    """Three in a row win 1; then, as after a draw, the game is over. Sides change with each move.

    A state is `(B, 18)`: 1 at each of the nine fields with a stone of the player to move, then 1 at each with one of the
    other's. So both sides are played by the same model.
    """

    actions: ClassVar[tuple[str, ...]] = _NAMES
    features: ClassVar[tuple[str, ...]] = tuple(f"{side}_{field}" for side in ("own", "other") for field in _NAMES)
    limit: ClassVar[int] = _FIELDS

    def starts(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(count, 2 * _FIELDS)

    def step(self, states: Tensor, actions: Tensor) -> Step:
        own, other = states.split(_FIELDS, dim=1)
        own = own + functional.one_hot(actions, _FIELDS).to(states.dtype)
        won = own[:, torch.tensor(LINES, device=own.device)].all(2).any(1)  # (B, 8, 3) -> (B,)
        is_full = (own + other).sum(1) == _FIELDS
        return Step(torch.cat([other, own], dim=1), won.to(states.dtype), won | is_full)

    def legal(self, states: Tensor) -> Tensor:
        """Which fields are free, `(B, 9)`: a stone may be put there."""
        own, other = states.split(_FIELDS, dim=1)
        return (own + other) == 0


def perfect_moves(states: Tensor) -> Tensor:
    """Which moves `(B, 9)` keep the most that a player can be sure of: a win, or else a draw."""
    best = [_best_moves(tuple(map(int, own)), tuple(map(int, other))) for own, other in _sides(states)]
    return torch.tensor([[field in fields for field in range(_FIELDS)] for fields in best]).to(states.device)


def _sides(states: Tensor) -> list[tuple[list[float], list[float]]]:
    return [(row[:_FIELDS], row[_FIELDS:]) for row in states.tolist()]


@cache
def _best_moves(own: Stones, other: Stones) -> frozenset[int]:
    """The fields, among those that are free, from which most is sure."""
    outcomes = {field: _outcome(own, other, field) for field in range(_FIELDS) if not own[field] + other[field]}
    return frozenset(field for field, outcome in outcomes.items() if outcome == max(outcomes.values()))


@cache
def _outcome(own: Stones, other: Stones, field: int) -> int:
    """What is sure after a move: 1 a win, 0 a draw, -1 a loss (negamax, after Shannon 1950)."""
    own = (*own[:field], 1, *own[field + 1 :])
    if any(all(own[place] for place in line) for line in LINES):
        return 1
    free = [place for place in range(_FIELDS) if not own[place] + other[place]]
    return -max((_outcome(other, own, place) for place in free), default=0)
