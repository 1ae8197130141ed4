"""Self-play: one model plays both sides and learns from each move what it leads to; measured against other players.

B is the number of games side by side, M of moves, A of moves to choose from.
"""

import itertools
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from dlcourse.config.options import Count, NonNegativeInt, Probability
from dlcourse.data.split import seeded_generator
from dlcourse.device import Device
from dlcourse.environments.tic_tac_toe import TicTacToe, perfect_moves
from dlcourse.metrics.report import Report
from dlcourse.plots import BoardValues
from dlcourse.spec import DataSpec, Split, Target
from dlcourse.tasks.play import Choose, play
from dlcourse.tasks.q_learning import QLearning
from dlcourse.text_table import aligned

GAMES = 1000
"""Against each opponent."""
Opponent = Literal["random", "perfect"]
Place = Literal["first", "second"]


class SelfPlay(QLearning):
    """Q-learning for a game of two sides: what the other side can hope for after a move is what this one has to fear.

    So the target of a move is its reward less the best value after it (negamax, as in Tesauro's and Silver's learning by
    self-play, here without search). All else is as in Q-learning, and forbidden moves are never made.

    An evaluation plays 1,000 games against a player who moves at random and 1,000 against one who plays perfectly, going
    first in half of each; both draw from the same random numbers in every evaluation. `undefeated` is the share of the
    2,000 games that were not lost.
    """

    called: ClassVar[str] = "self_play"
    plays: ClassVar[Target] = "match"
    measured_in_training: ClassVar[bool] = False
    monitor = "undefeated"
    main_metric = "undefeated"
    _sign = -1.0
    _world: TicTacToe

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        device: Device,
        gamma: Probability = 1.0,
        epsilon: Probability = 0.1,
        explore: NonNegativeInt = 50_000,
        replay: NonNegativeInt = 256,
        memory: Count = 20_000,
        sync: Count = 50,
    ) -> None:
        super().__init__(
            model, spec, device, gamma=gamma, epsilon=epsilon, explore=explore, replay=replay, memory=memory, sync=sync
        )

    def masked(self, scores: Tensor, states: Tensor) -> Tensor:
        return scores.masked_fill(~self._world.legal(states), -torch.inf)

    def random(self, states: Tensor) -> Tensor:
        return one_of(self._world.legal(states))

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        start = next(split.batches(1)).inputs
        played = self.loss_of(play(self._world, start, self.greedy))
        results = {
            (opponent, place): self.results(start, opponent, place) for opponent in OPPONENTS for place in PLACES
        }
        lost = {name: torch.cat([results[name, place] for place in PLACES]) == -1 for name in OPPONENTS}
        report = Report(
            {
                "loss": float(played),
                "undefeated": 1 - float(torch.cat(list(lost.values())).float().mean()),
                **{f"won_{place}": float((results["random", place] == 1).float().mean()) for place in PLACES},
                **{f"lost_to_{name}": float(share.float().mean()) for name, share in lost.items()},
            }
        )
        if full:
            self._add_results(report, results, start)
        return report

    def results(self, start: Tensor, opponent: Opponent, place: Place) -> Tensor:
        """Half of 1,000 games from the start `(1, S)`: 1 for each that was won, 0 drawn, -1 lost, `(500,)`."""
        other = OPPONENTS[opponent](self._world, seeded_generator(f"{opponent} {place}"))
        players = (self.greedy, other) if place == "first" else (other, self.greedy)
        games = play(self._world, start.expand(GAMES // 2, -1), _in_turns(*players))
        mine = torch.arange(len(games.rewards), device=start.device) % 2 == PLACES.index(place)
        signs = torch.where(mine, 1, -1)[:, None]
        return (signs * games.rewards * games.made).sum(0)

    def _add_results(self, report: Report, results: dict[tuple[Opponent, Place], Tensor], start: Tensor) -> None:
        """A table of all games, and pictures of what the model thinks of the first moves."""
        rows = [["opponent", "going", "won", "drawn", "lost"]]
        for (opponent, place), outcomes in results.items():
            counts = [f"{int((outcomes == outcome).sum()):,}" for outcome in (1, 0, -1)]
            rows.append([opponent, place, *counts])
        lost = sum(int((results["perfect", place] == -1).sum()) for place in PLACES)
        report.headline = (
            f"lost {lost:,} of {GAMES:,} to perfect play   won {report.scalars['won_first']:.1%} going first against "
            "random moves"
        ).replace("%", " %")
        report.lines += aligned(rows, left=(0, 1))
        report.tables["results"] = [list(row) for row in rows]
        game = play(self._world, start, self.greedy)
        states = torch.cat([game.states[:4, 0], game.after[-1:, 0]])
        report.pictures["boards"] = BoardValues(states.cpu().numpy(), self.scores(states).cpu().numpy())


def one_of(allowed: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One of the moves allowed `(B, A)` in each game, each as likely as the others, `(B,)`."""
    drawn = torch.rand(allowed.shape, generator=generator, device="cpu" if generator else allowed.device)
    return drawn.to(allowed.device).masked_fill(~allowed, -1.0).argmax(1)


def _random_player(world: TicTacToe, generator: torch.Generator) -> Choose:
    return lambda states: one_of(world.legal(states), generator)


def _perfect_player(world: TicTacToe, generator: torch.Generator) -> Choose:
    return lambda states: one_of(perfect_moves(states), generator)


OPPONENTS: dict[Opponent, Callable[[TicTacToe, torch.Generator], Choose]] = {
    "random": _random_player,
    "perfect": _perfect_player,
}
PLACES: tuple[Place, ...] = ("first", "second")


def _in_turns(*players: Choose) -> Choose:
    """Both players as one: the first moves first."""
    turns = itertools.cycle(players)
    return lambda states: next(turns)(states)
