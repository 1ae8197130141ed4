"""Monte Carlo control: play a whole game, then learn from each move what it brought in until the end.

T is the number of moves of the longest game, B of games side by side.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.config.options import Probability
from dlcourse.device import Device
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.play import Games, play
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.tasks.task import Scalars


class MonteCarlo(Reinforcement):
    """On-policy first-visit Monte Carlo control (Sutton and Barto 2018, section 5.4) at a constant learning rate.

    A batch of starts is a batch of whole games of an epsilon-greedy player. The loss is half the squared error to the
    return from where a move was first made in a state, a sum over those of a game and a mean over games: with a linear
    model without bias, one-hot states, one game and plain gradient descent it is the update of a table, `Q += lr (G - Q)`.
    """

    called: ClassVar[str] = "monte_carlo"

    def __init__(
        self, model: nn.Module, spec: DataSpec, device: Device, gamma: Probability = 1.0, epsilon: Probability = 0.1
    ) -> None:
        super().__init__(model, spec, device)
        self._gamma, self._epsilon = gamma, epsilon

    def train_step(self, batch: Batch) -> Scalars:
        games = play(self._world, batch.inputs, self._explore_or_exploit)
        loss = self.loss_of(games)
        self._optimizer.step(loss)
        return {"loss": loss.detach(), "return": games.returns.mean()}

    def _explore_or_exploit(self, states: Tensor) -> Tensor:
        """The greedy move in each of the states, or with probability epsilon one at random."""
        is_random = torch.rand(len(states), device=states.device) < self._epsilon
        at_random = torch.randint(self.spec.num_outputs, (len(states),), device=states.device)
        return torch.where(is_random, at_random, self.greedy(states))

    def loss_of(self, games: Games) -> Tensor:
        scores = self.scores(games.states.flatten(0, 1))  # (T B, A)
        taken = scores.gather(1, games.actions.reshape(-1, 1)).reshape(games.actions.shape)  # (T, B)
        errors = (games.returns_to_go(self._gamma) - taken).square() * first_visits(games)
        return errors.sum() / 2 / errors.shape[1]

    def values(self, states: Tensor) -> Tensor:
        return self.scores(states).amax(1)

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The value of each move."""
        return [Answer(values=dict(zip(self._world.actions, row, strict=True))) for row in self.scores(inputs).tolist()]


def first_visits(games: Games) -> Tensor:
    """Which moves `(T, B)` were made, and not before in the same game in the same state."""
    each = zip(games.states.unbind(1), games.actions.unbind(1), strict=True)
    return torch.stack([_first(states, actions) for states, actions in each], dim=1) & games.made


def _first(states: Tensor, actions: Tensor) -> Tensor:
    """Which of the moves `(T,)` is not one that came before."""
    is_same = (states[:, None] == states).all(2) & (actions[:, None] == actions)  # (T, T)
    return ~is_same.tril(-1).any(1)
