"""What the tasks of reinforcement learning share: greedy play from held-out starts is what a model is measured by.

B is the number of games side by side, S of numbers in a state, A of moves to choose from, F of fields of a grid.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.data.split import seeded_generator
from dlcourse.device import Device
from dlcourse.environments import ENVIRONMENTS, Environment
from dlcourse.environments.grid import GOAL, WALL, Grid
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.metrics.means import Means
from dlcourse.metrics.report import Baseline, Report
from dlcourse.optim.step import MakeOptimizer, ScheduledOptimizer
from dlcourse.plots import GameTrace, GridWalk
from dlcourse.spec import DataSpec, Split, Target
from dlcourse.state_dict import State
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.play import Games, play
from dlcourse.tasks.task import Task, output_shape


class Reinforcement(Task):
    """Abstract: a model with one output for each move, trained by playing, measured by the mean return of greedy play.

    The `loss` of an evaluation is that of training, on the moves of the games that are played for it; what counts is the
    return. It is not discounted.
    """

    monitor = "return"
    mode = "max"
    main_metric = "return"
    measured_in_training: ClassVar[bool] = True
    loss_tells: ClassVar[bool] = False
    called: ClassVar[str]
    """Its name in a config."""
    plays: ClassVar[Target] = "game"
    """What kind of starts it needs."""
    _optimizer: ScheduledOptimizer

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        if spec.target != self.plays:
            raise MisfitError(
                f"task '{self.called}' needs starts of a game{' for two' if self.plays == 'match' else ''}, and data "
                f"'{spec.name}' has {spec.target_kind.words}",
                needs="matches" if self.plays == "match" else "games",
                otherwise=f"task={spec.target_kind.task}",
            )
        shape = output_shape(model, spec, device)
        if shape != (spec.num_outputs,):
            raise ConfigError(
                f"task '{self.called}' needs one output for each of the {spec.num_outputs} moves of data '{spec.name}', "
                f"and the model's outputs have shape {shape}; write model=mlp"
            )
        super().__init__(model, spec, device)
        self._world = ENVIRONMENTS[spec.environment]

    def start(self, make_optimizer: MakeOptimizer) -> None:
        self._optimizer = make_optimizer(self.model)

    @property
    def lr(self) -> float:
        return self._optimizer.lr

    def state_dict(self) -> State:
        return {"descent": self._optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._optimizer.load_state_dict(state["descent"])

    @abstractmethod
    def loss_of(self, games: Games) -> Tensor:
        """The loss on the moves of whole games."""

    @abstractmethod
    def answer(self, inputs: Tensor) -> list[Answer]:
        """What the model thinks of each move in the states `(B, S)`."""

    def values(self, states: Tensor) -> Tensor | None:
        """What the model expects of the states `(B, S)`, `(B,)`; None if it expects nothing."""
        return None

    def scores(self, states: Tensor) -> Tensor:
        """A number for each move in the states, `(B, A)`: the more, the better."""
        with self.device.autocast():
            scores: Tensor = self.model(states)
        return scores.float()

    def greedy(self, states: Tensor) -> Tensor:
        """The best move in each of the states, `(B,)`."""
        return self.scores(states).argmax(1)

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        games = [play(self._world, batch.inputs, self.greedy) for batch in split.batches(batch_size)]
        means = Means()
        for some in games:
            values = {
                "loss": float(self.loss_of(some)),
                "return": float(some.returns.mean()),
                "moves": float(some.lengths.float().mean()),
            }
            means.add(values, len(some.returns))
        report = Report(means.values())
        if full:
            self._add_details(report, split, games)
        return report

    def _add_details(self, report: Report, split: Split, games: list[Games]) -> None:
        returns = torch.cat([some.returns for some in games]).cpu()
        low, high = float(returns.min()), float(returns.max())
        spread = f" +- {float(returns.std()):.4g}" if len(returns) > 1 else ""
        report.headline = f"return {report.scalars['return']:.4g}{spread}"
        report.facts.append(
            ("greedy play", f"return {report.scalars['return']:.4g}{spread}, from {low:.4g} to {high:.4g}")
        )
        report.details["returns"] = returns.tolist()
        starts = torch.cat([batch.inputs for batch in split.batches(len(split))])
        chance = float(play(self._world, starts, _RandomMoves(self.spec.num_outputs)).returns.mean())
        report.compare(Baseline("baseline", "moves at random", {"return": chance}))
        if isinstance(self._world, Grid):
            self._add_grid(report, self._world)
        else:
            self._add_trace(report, games[0], self._world)

    def _add_grid(self, report: Report, world: Grid) -> None:
        """The map with what the model expects of each field, where it would go, and its way from the start."""
        fields = torch.arange(world.size, device=self.device.torch_device)
        states = world.states(fields)
        expected = self.values(states)
        if expected is None:
            expected = play(world, states, self.greedy).returns
        reached = [world.mark(field) not in WALL + GOAL + "C" for field in range(world.size)]
        values = expected.cpu().masked_fill(~torch.tensor(reached), torch.nan).reshape(world.shape)
        arrows = self.greedy(states).cpu().masked_fill(~torch.tensor(reached), -1).reshape(world.shape)
        start = world.states(torch.tensor(world.fields("S"))).to(self.device.torch_device)
        walk = play(world, start, self.greedy)
        way = [*walk.states[:, 0].argmax(1).tolist(), int(walk.after[-1, 0].argmax())]
        report.pictures["values"] = GridWalk(
            values.numpy(), arrows.numpy(), world.rows, [divmod(field, world.shape[1]) for field in way]
        )
        report.details["walk"] = {"return": float(walk.returns), "moves": int(walk.lengths)}

    def _add_trace(self, report: Report, games: Games, world: Environment) -> None:
        """The first game, number by number."""
        made = games.made[:, 0]
        report.pictures["game"] = GameTrace(
            games.states[made, 0].cpu().numpy(), games.actions[made, 0].cpu().numpy(), world.features, world.actions
        )


class _RandomMoves:
    """Chooses by a generator of its own, which is at the same place whenever it is made."""

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions
        self._generator = seeded_generator("random moves")

    def __call__(self, states: Tensor) -> Tensor:
        actions = torch.randint(self._num_actions, (len(states),), generator=self._generator)
        return actions.to(states.device)
