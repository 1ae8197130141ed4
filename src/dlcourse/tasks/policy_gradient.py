"""REINFORCE: make moves more probable by what they and those after them brought in.

T is the number of moves of the longest game, B of games side by side, A of moves to choose from.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.config.options import NonNegative, Probability
from dlcourse.device import Device
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.answers import Answer, rank
from dlcourse.tasks.play import Games, play
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.tasks.task import Scalars


class PolicyGradient(Reinforcement):
    """REINFORCE (Williams 1992): a batch of starts is a batch of whole games, whose moves the policy draws.

    The logarithm of a move's probability counts as much as the discounted return from there, less the mean of these over
    the batch and in units of their standard deviation. `entropy` weighs a reward for staying undecided.
    """

    called: ClassVar[str] = "policy_gradient"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        gamma: Probability = 0.99,
        entropy: NonNegative = 0.0,
    ) -> None:
        super().__init__(model, spec, device)
        self._gamma, self._entropy = gamma, entropy

    def train_step(self, batch: Batch) -> Scalars:
        games = play(self._world, batch.inputs, self._draw)
        loss = self.loss_of(games)
        self._optimizer.step(loss)
        return {"loss": loss.detach(), "return": games.returns.mean()}

    def _draw(self, states: Tensor) -> Tensor:
        """A move in each of the states, drawn by its probability."""
        return torch.multinomial(self.scores(states).softmax(1), 1)[:, 0]

    def loss_of(self, games: Games) -> Tensor:
        made = games.made.float()
        count = made.sum()
        to_go = games.returns_to_go(self._gamma)
        centered = (to_go - (to_go * made).sum() / count) * made
        weights = centered / ((centered.square().sum() / count).sqrt() + 1e-8)  # (T, B)
        logs = self.scores(games.states.flatten(0, 1)).log_softmax(1)  # (T B, A)
        taken = logs.gather(1, games.actions.reshape(-1, 1)).reshape(made.shape)
        entropy = -(logs.exp() * logs).sum(1).reshape(made.shape)
        return -((weights * taken + self._entropy * entropy) * made).sum() / count

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The probability of each move."""
        return rank(self.scores(inputs).softmax(1), self._world.actions)
