"""Actor and critic: a policy learns from what a value function, learned beside it, thinks of each move.

B is the number of games side by side, M of moves, A of moves to choose from.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.config.options import NonNegative, Probability
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.models.policy_and_value import PolicyAndValue
from dlcourse.spec import Batch, DataSpec
from dlcourse.state_dict import State
from dlcourse.tasks.answers import Answer, rank
from dlcourse.tasks.play import Games, Moves, RunningGames
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.tasks.task import Scalars


class ActorCritic(Reinforcement):
    """The one-step actor-critic (Sutton and Barto 2018, section 13.5), with many games side by side (Mnih 2016).

    A step of training moves each of the games of a batch once, as the policy draws, and learns from these moves; a game
    that is over begins anew at the batch's start. The temporal difference

        td_error = reward + gamma V(state after) - V(state)

    is the critic's error, whose mean square is weighed by half of `critic`, and what the logarithm of the move's
    probability counts. `entropy` weighs a reward for staying undecided.
    """

    called: ClassVar[str] = "actor_critic"
    model: PolicyAndValue

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        gamma: Probability = 0.99,
        critic: NonNegative = 1.0,
        entropy: NonNegative = 0.01,
    ) -> None:
        super().__init__(model, spec, device)
        if not isinstance(model, PolicyAndValue):
            raise ConfigError("task 'actor_critic' needs a policy and a value function; write model=policy_and_value")
        self._gamma, self._critic, self._entropy = gamma, critic, entropy
        self._games = RunningGames(self._world, device.torch_device)

    def train_step(self, batch: Batch) -> Scalars:
        moves = self._games.move(batch.inputs, self._draw)
        loss = self.loss_on(moves)
        self._optimizer.step(loss)
        return {"loss": loss.detach(), "return": self._games.mean_return}

    def _draw(self, states: Tensor) -> Tensor:
        """A move in each of the states, drawn by its probability."""
        return torch.multinomial(self.scores(states).softmax(1), 1)[:, 0]

    def loss_on(self, moves: Moves) -> Tensor:
        """The actor's loss and the critic's, means over the moves."""
        with torch.no_grad():
            td_target = moves.rewards + self._gamma * torch.where(moves.ended, 0.0, self.values(moves.after))
        td_error = td_target - self.values(moves.states)  # (M,)
        logs = self.scores(moves.states).log_softmax(1)  # (M, A)
        taken = logs.gather(1, moves.actions[:, None])[:, 0]
        entropy = -(logs.exp() * logs).sum(1)
        actor = -(td_error.detach() * taken + self._entropy * entropy).mean()
        return actor + self._critic * td_error.square().mean() / 2

    def loss_of(self, games: Games) -> Tensor:
        return self.loss_on(games.moves())

    def values(self, states: Tensor) -> Tensor:
        with self.device.autocast():
            return self.model.value(states).float()

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The probability of each move."""
        return rank(self.scores(inputs).softmax(1), self._world.actions)

    def state_dict(self) -> State:
        return super().state_dict() | {"games": self._games.state_dict()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._games.load_state_dict(state["games"])
