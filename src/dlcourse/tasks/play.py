"""Playing games: the moves that come of starts and a way to choose, from start to end or a move at a time.

T is the number of moves of the longest game, B of games side by side, S of numbers in a state, M of moves in all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlcourse.environments import Environment
from dlcourse.state_dict import State

Choose = Callable[[Tensor], Tensor]
"""The moves `(B,)` in the states `(B, S)`."""


class Moves(NamedTuple):
    """Moves by themselves, `(M, ...)`: the state before, the move, its reward, the state after, whether it ended the game.

    A game that is cut short at its limit has not ended.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    after: Tensor
    ended: Tensor


@dataclass(frozen=True, eq=False)
class Games:
    """Whole games side by side, from their starts to their ends, or to where they were cut short.

    Every field is `(T, B, ...)`; `made` says which of the moves were made before a game was over.
    """

    states: Tensor
    actions: Tensor
    rewards: Tensor
    after: Tensor
    ended: Tensor
    made: Tensor

    @property
    def returns(self) -> Tensor:
        """What each game brought in, `(B,)`, not discounted."""
        return (self.rewards * self.made).sum(0)

    @property
    def lengths(self) -> Tensor:
        """The moves of each game, `(B,)`."""
        return self.made.sum(0)

    def moves(self) -> Moves:
        """All that were made, game after game within each step."""
        parts = (self.states, self.actions, self.rewards, self.after, self.ended)
        return Moves(*(part[self.made] for part in parts))

    def returns_to_go(self, gamma: float) -> Tensor:
        """What each move and those after it brought in, `(T, B)`, later rewards discounted by `gamma` a move."""
        rewards = self.rewards * self.made
        to_go, later = torch.empty_like(rewards), torch.zeros_like(rewards[0])
        for step in range(len(rewards) - 1, -1, -1):
            later = rewards[step] + gamma * later
            to_go[step] = later
        return to_go


@torch.no_grad()
def play(world: Environment, starts: Tensor, choose: Choose) -> Games:
    """Play from each of the starts `(B, S)` to its end, or to the limit of the game."""
    states, going = starts, torch.ones(len(starts), dtype=torch.bool, device=starts.device)
    history: list[tuple[Tensor, ...]] = []
    while len(history) < world.limit and (not history or bool(going.any())):
        actions = choose(states)
        after, rewards, ended = world.step(states, actions)
        history.append((states, actions, rewards, after, ended, going))
        going = going & ~ended
        states = after
    return Games(*(torch.stack(column) for column in zip(*history, strict=True)))


class RunningGames:
    """Games that are played a move in each step of training; one that is over begins anew at another start."""

    def __init__(self, world: Environment, device: torch.device) -> None:
        self._world = world
        self._device = device
        self._states = torch.zeros(0, len(world.features), device=device)
        self._ages = torch.zeros(0, dtype=torch.int64, device=device)
        self._sums = torch.zeros(0, device=device)
        self._returns = torch.zeros(0, device=device)

    @property
    def mean_return(self) -> Tensor:
        """What the games brought in when they last were over, a mean over them; 0 for one that never was."""
        return self._returns.mean()

    @torch.no_grad()
    def move(self, starts: Tensor, choose: Choose) -> Moves:
        """Move as many games as there are starts `(B, S)`, at which those begin anew that are over after it."""
        count = len(starts)
        self._begin(starts[len(self._states) :])
        states = self._states[:count]
        actions = choose(states)
        after, rewards, ended = self._world.step(states, actions)
        self._ages[:count] += 1
        self._sums[:count] += rewards
        is_over = ended | (self._ages[:count] >= self._world.limit)
        self._states = torch.cat([torch.where(is_over[:, None], starts, after), self._states[count:]])
        self._returns[:count] = torch.where(is_over, self._sums[:count], self._returns[:count])
        self._ages[:count] *= ~is_over
        self._sums[:count] *= ~is_over
        return Moves(states, actions, rewards, after, ended)

    def _begin(self, starts: Tensor) -> None:
        """More games, at these starts."""
        if len(starts):
            self._states = torch.cat([self._states, starts])
            self._ages = torch.cat([self._ages, self._ages.new_zeros(len(starts))])
            self._sums = torch.cat([self._sums, self._sums.new_zeros(len(starts))])
            self._returns = torch.cat([self._returns, self._returns.new_zeros(len(starts))])

    def state_dict(self) -> State:
        """Where each game stands."""
        return {"states": self._states, "ages": self._ages, "sums": self._sums, "returns": self._returns}

    def load_state_dict(self, state: State) -> None:
        """Continue these games."""
        self._states, self._ages, self._sums, self._returns = (
            state[name].to(self._device, copy=True) for name in ("states", "ages", "sums", "returns")
        )
