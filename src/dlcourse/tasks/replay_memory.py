"""The replay memory of DQN: the latest moves, of which some at random are learned from (Lin 1992).

M is a number of moves, S of numbers in a state.
"""

import torch
from torch import Tensor

from dlcourse.state_dict import State
from dlcourse.tasks.play import Moves


class ReplayMemory:
    """The latest `size` moves, the oldest of which new ones replace."""

    def __init__(self, size: int, num_features: int, device: torch.device) -> None:
        self._rows = torch.zeros(size, 2 * num_features + 3, device=device)
        self._num_features = num_features
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._rows))

    def add(self, moves: Moves) -> None:
        """Remember moves; if there are more than `size` of them, the last."""
        columns = (moves.actions, moves.rewards, moves.ended)
        rows = torch.cat([moves.states, moves.after, *(column[:, None].float() for column in columns)], dim=1)
        count, size = len(rows), len(self._rows)
        places = (self._added + torch.arange(count, device=rows.device)) % size
        self._rows[places[-size:]] = rows[-size:]
        self._added += count

    def draw(self, count: int) -> Moves:
        """So many of them at random, each as likely as any, and as often as it comes."""
        rows = self._rows[torch.randint(len(self), (count,), device=self._rows.device)]
        size = self._num_features
        actions, rewards, ended = rows[:, 2 * size :].unbind(1)
        return Moves(rows[:, :size], actions.long(), rewards, rows[:, size : 2 * size], ended > 0)

    def state_dict(self) -> State:
        """All that is remembered."""
        return {"rows": self._rows, "added": self._added}

    def load_state_dict(self, state: State) -> None:
        """Remember this instead."""
        rows: Tensor = state["rows"]
        self._rows.copy_(rows)
        self._added = int(state["added"])
