"""Walks on a grid of fields: a cliff and a maze, as maps that a person can read.

B is the number of walks side by side, F of fields, R of rows, C of columns.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.environments.environment import Environment, Step

WALL, START, GOAL, EDGE = "#", "S", "G", "C"
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns further, for each action."""


class Grid(Environment):
    """Abstract: one step up, right, down or left for each move, which earns -1, until the goal is reached.

    A state is the field, one-hot `(B, F)`, row by row. A step against a wall or out of the grid leads nowhere; one over the
    edge of the cliff earns -100 and leads back to the start. The return of a walk that falls nowhere is minus its length.
    """

    actions: ClassVar[tuple[str, ...]] = ("up", "right", "down", "left")
    limit: ClassVar[int] = 500
    rows: ClassVar[tuple[str, ...]]
    """The map: `.` a free field, `#` a wall, `S` the start, `G` the goal, `C` the cliff."""

    def __init__(self) -> None:
        """Work out where each move leads from each field, and what it earns, `(F, A)`."""
        falls = [[self.mark(self._beside(field, move)) == EDGE for move in MOVES] for field in range(self.size)]
        self._next = [[self._field_after(field, move) for move in MOVES] for field in range(self.size)]
        self._rewards = [[-100.0 if fell else -1.0 for fell in row] for row in falls]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.rows[0])

    @property
    def size(self) -> int:
        """The number of fields F."""
        return self.shape[0] * self.shape[1]

    def mark(self, field: int) -> str:
        """What the map has at a field."""
        row, column = divmod(field, self.shape[1])
        return self.rows[row][column]

    def fields(self, marks: str) -> list[int]:
        """The fields that the map marks with one of these."""
        return [field for field in range(self.size) if self.mark(field) in marks]

    def states(self, fields: Tensor) -> Tensor:
        """Fields `(B,)` as states `(B, F)`, float32."""
        return functional.one_hot(fields, self.size).float()

    def step(self, states: Tensor, actions: Tensor) -> Step:
        before = states.argmax(1)
        # Made anew in each step: a tensor that is kept would be neither on another device nor a fake one of `summary`.
        after = torch.tensor(self._next, device=states.device)[before, actions]
        rewards = states.new_tensor(self._rewards)[before, actions]
        (goal,) = self.fields(GOAL)
        return Step(self.states(after).to(states.dtype), rewards, after == goal)

    def _beside(self, field: int, move: tuple[int, int]) -> int:
        """The field that lies there, or at the border the field itself."""
        (rows, columns), (row, column) = self.shape, divmod(field, self.shape[1])
        return min(max(row + move[0], 0), rows - 1) * columns + min(max(column + move[1], 0), columns - 1)

    def _field_after(self, field: int, move: tuple[int, int]) -> int:
        """Where a move ends."""
        beside = self._beside(field, move)
        if self.mark(beside) == WALL:
            return field
        return self.fields(START)[0] if self.mark(beside) == EDGE else beside

    @abstractmethod
    def places(self) -> list[int]:
        """The fields in which a walk may begin."""

    def starts(self, count: int, generator: torch.Generator) -> Tensor:
        places = torch.tensor(self.places())
        return self.states(places[torch.randint(len(places), (count,), generator=generator)])


class Cliff(Grid):
    """Walk along a cliff from corner to corner (Sutton and Barto 2018, example 6.6).

    The shortest way, along the edge, earns -13; the safest, along the far side, -17. Every walk begins at the start.
    """

    rows: ClassVar[tuple[str, ...]] = (
        "............",
        "............",
        "............",
        "SCCCCCCCCCCG",
    )
    features: ClassVar[tuple[str, ...]] = tuple(f"r{row}c{column}" for row in range(4) for column in range(12))

    def places(self) -> list[int]:
        return self.fields(START)


class GridWorld(Grid):
    """Find the way out of a maze (the Dyna maze, Sutton and Barto 2018, example 8.1) from any field of it.

    From the start `S` 14 moves are enough. Each move earns -1, where the book has 1 at the goal and discounts it, so that
    the value of a field is minus the number of moves from there.
    """

    limit: ClassVar[int] = 100
    rows: ClassVar[tuple[str, ...]] = (
        ".......#G",
        "..#....#.",
        "S.#....#.",
        "..#......",
        ".....#...",
        ".........",
    )
    features: ClassVar[tuple[str, ...]] = tuple(f"r{row}c{column}" for row in range(6) for column in range(9))

    def places(self) -> list[int]:
        return self.fields(START + ".")
