"""Q-learning: from each move, learn what it brings and what is expected after it; with a replay memory it is DQN.

B is the number of games side by side, M of moves learned from, S of numbers in a state, A of moves to choose from.
"""

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, NonNegativeInt, Probability
from dlcourse.device import Device
from dlcourse.optim.step import MakeOptimizer
from dlcourse.spec import Batch, DataSpec
from dlcourse.state_dict import State
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.play import Games, Moves, RunningGames
from dlcourse.tasks.reinforcement import Reinforcement
from dlcourse.tasks.replay_memory import ReplayMemory
from dlcourse.tasks.task import Scalars


class QLearning(Reinforcement):
    """Q-learning (Watkins 1989); with `replay` and a target network it is DQN (Mnih 2015).

    A step of training moves each of the games of a batch once, epsilon-greedily, and learns from `replay` of the last
    `memory` moves, or with 0 from those just made. A game that is over begins anew at the batch's start. The loss is half
    the mean squared error to

        td_target = reward + gamma max_a Q(state after, a)

    by the weights of up to `sync` updates ago if there is a replay memory, else by the present ones. Half, because with a
    linear model without bias, one-hot states, one game and plain gradient descent the step then is Watkins's update of a
    table, `Q += lr (td_target - Q)`.

    `on_policy` takes, in place of the maximum, the mean over what the epsilon-greedy player would do: Expected Sarsa
    (van Seijen 2009). `epsilon` falls from 1 along a straight line over the first `explore` moves.
    """

    called: ClassVar[str] = "q_learning"
    _sign = 1.0
    """What the value of the state after a move counts: it is that of the same player."""

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        gamma: Probability = 0.99,
        epsilon: Probability = 0.05,
        explore: NonNegativeInt = 50_000,
        on_policy: bool = False,
        replay: NonNegativeInt = 128,
        memory: Count = 10_000,
        sync: Count = 50,
    ) -> None:
        super().__init__(model, spec, device)
        self._gamma, self._epsilon, self._explore = gamma, epsilon, explore
        self._on_policy, self._replay, self._sync = on_policy, replay, sync
        self._games = RunningGames(self._world, device.torch_device)
        self._memory = ReplayMemory(memory, spec.num_features, device.torch_device) if replay else None
        self._target = copy.deepcopy(model).requires_grad_(False) if replay else model
        self._made = self._updates = 0

    def start(self, make_optimizer: MakeOptimizer) -> None:
        super().start(make_optimizer)
        if self._memory is not None:
            self._target.load_state_dict(self.model.state_dict())

    @property
    def epsilon(self) -> float:
        """The share of moves that are made at random now."""
        progress = min(1.0, self._made / self._explore) if self._explore else 1.0
        return 1.0 + progress * (self._epsilon - 1.0)

    def train_step(self, batch: Batch) -> Scalars:
        moves = self._games.move(batch.inputs, self._explore_or_exploit)
        self._made += len(moves.states)
        if self._memory is not None:
            self._memory.add(moves)
            moves = self._memory.draw(self._replay)
        loss = self.td_loss(moves, self._target, self.epsilon)
        self._optimizer.step(loss)
        self._updates += 1
        if self._memory is not None and self._updates % self._sync == 0:
            self._target.load_state_dict(self.model.state_dict())
        return {"loss": loss.detach(), "return": self._games.mean_return}

    def _explore_or_exploit(self, states: Tensor) -> Tensor:
        """The greedy move in each of the states, or with probability epsilon one at random."""
        is_random = torch.rand(len(states), device=states.device) < self.epsilon
        return torch.where(is_random, self.random(states), self.greedy(states))

    def random(self, states: Tensor) -> Tensor:
        """A move at random in each of the states, `(B,)`."""
        return torch.randint(self.spec.num_outputs, (len(states),), device=states.device)

    def td_loss(self, moves: Moves, target: nn.Module, epsilon: float) -> Tensor:
        """Half the mean squared error of temporal differences, to what `target` says of an epsilon-greedy player."""
        with torch.no_grad():
            after = self._value_after(moves.after, target, epsilon)  # (M,)
            td_target = moves.rewards + self._sign * self._gamma * torch.where(moves.ended, 0.0, after)
        taken = self.scores(moves.states).gather(1, moves.actions[:, None])[:, 0]  # (M, A) -> (M,)
        return (td_target - taken).square().mean() / 2

    def _value_after(self, states: Tensor, target: nn.Module, epsilon: float) -> Tensor:
        """What is to come from the states `(M, S)`, `(M,)`, as the target network says."""
        with self.device.autocast():
            scores = self.masked(target(states).float(), states)
        best = scores.amax(1)
        return (1 - epsilon) * best + epsilon * scores.mean(1) if self._on_policy else best

    def masked(self, scores: Tensor, states: Tensor) -> Tensor:
        """The scores `(M, A)`, -inf for moves that the rules forbid in the states: here none."""
        return scores

    def scores(self, states: Tensor) -> Tensor:
        return self.masked(super().scores(states), states)

    def loss_of(self, games: Games) -> Tensor:
        """By the model alone, and the last epsilon: a run that is opened again has no other network."""
        return self.td_loss(games.moves(), self.model, self._epsilon)

    def values(self, states: Tensor) -> Tensor:
        return self.scores(states).amax(1)

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The value of each move."""
        return [Answer(values=dict(zip(self._world.actions, row, strict=True))) for row in self.scores(inputs).tolist()]

    def state_dict(self) -> State:
        return super().state_dict() | {
            "games": self._games.state_dict(),
            "memory": None if self._memory is None else self._memory.state_dict(),
            "target": None if self._memory is None else self._target.state_dict(),
            "made": self._made,
            "updates": self._updates,
        }

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._games.load_state_dict(state["games"])
        if self._memory is not None:
            self._memory.load_state_dict(state["memory"])
            self._target.load_state_dict(state["target"])
        self._made, self._updates = int(state["made"]), int(state["updates"])
