"""Multi-armed bandits: ways to choose among arms whose payoffs are unknown, simulated on many problems side by side.

P is the number of problems, A of arms, T of pulls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from dlcourse.config.options import Range
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.plots import LineChart, LineCharts

ARMS = 10
_LATEST = 100
_SHIFT = 0.1
_STEP = 0.1
_BLOCK = 10
Problems = Annotated[int, Range(ge=10, le=20_000)]
Pulls = Annotated[int, Range(ge=200, le=10_000)]


@dataclass
class Play:
    """What is known of the arms so far: an estimate of each one's payoff and how often it was pulled, `(P, A)`."""

    problems: int
    random: torch.Generator
    estimates: Tensor = field(init=False)
    counts: Tensor = field(init=False)
    pulls: int = 0

    def __post_init__(self) -> None:
        self.estimates = torch.zeros(self.problems, ARMS)
        self.counts = torch.zeros(self.problems, ARMS)

    def highest(self, scores: Tensor) -> Tensor:
        """The arm with the highest score in each problem, `(P,)`; one of them at random if there are several."""
        return (scores + 1e-6 * torch.rand(scores.shape, generator=self.random)).argmax(1)

    def learn(self, arms: Tensor, rewards: Tensor, step: float | None) -> None:
        """Take in what the arms `(P,)` paid: their estimates are means, or with a `step` move by that share."""
        rows = torch.arange(self.problems)
        self.counts[rows, arms] += 1
        share = 1 / self.counts[rows, arms] if step is None else step
        self.estimates[rows, arms] += share * (rewards - self.estimates[rows, arms])
        self.pulls += 1


Policy = Callable[[Play], Tensor]
"""The arm to pull in each problem, `(P,)`."""


def greedy(play: Play) -> Tensor:
    """What has paid most so far."""
    return play.highest(play.estimates)


def epsilon_greedy(epsilon: float) -> Policy:
    """What has paid most so far, but for a share epsilon of pulls at random."""

    def choose(play: Play) -> Tensor:
        at_random = torch.randint(ARMS, (play.problems,), generator=play.random)
        is_random = torch.rand(play.problems, generator=play.random) < epsilon
        return torch.where(is_random, at_random, greedy(play))

    return choose


def upper_confidence_bound(play: Play) -> Tensor:
    """What might pay most: estimate + 2 sqrt(ln t / n) (UCB1, Auer 2002, with the 2 of Sutton and Barto); each arm once."""
    bonus = 2 * (torch.tensor(play.pulls + 1.0).log() / play.counts.clamp(min=1)).sqrt()
    return play.highest(torch.where(play.counts == 0, torch.inf, play.estimates + bonus))


def thompson(play: Play) -> Tensor:
    """What pays most in a world drawn from what is believed: N(0, 1) before, payoffs with variance 1 (Thompson 1933)."""
    believed = play.estimates * play.counts / (play.counts + 1)
    drawn = believed + torch.randn(believed.shape, generator=play.random) / (play.counts + 1).sqrt()
    return drawn.argmax(1)


POLICIES: Mapping[str, Policy] = {
    "greedy": greedy,
    "epsilon 0.01": epsilon_greedy(0.01),
    "epsilon 0.1": epsilon_greedy(0.1),
    "UCB": upper_confidence_bound,
    "Thompson": thompson,
}


@dataclass(frozen=True)
class Outcome:
    """Means over problems at each pull, `(T,)`: payoff, share that pulled the best arm, what that would have paid more."""

    reward: Tensor
    optimal: Tensor
    regret: Tensor


def simulate(
    policy: Policy, problems: int, pulls: int, *, step: float | None = None, shift: float = 0.0, seed: int = 0
) -> Outcome:
    """The testbed of Sutton and Barto (2018, section 2.3): arms pay N(q, 1), and the q of each arm is from N(0, 1).

    With a `shift` all q are 0 at first and walk by N(0, shift^2) after each pull (exercise 2.5). Every policy gets the same
    problems.
    """
    world, chance = torch.Generator().manual_seed(2 * seed), torch.Generator().manual_seed(2 * seed + 1)
    q = torch.zeros(problems, ARMS) if shift else torch.randn(problems, ARMS, generator=world)
    play, rows, found = Play(problems, chance), torch.arange(problems), []
    for _ in range(pulls):
        arms = policy(play)
        rewards = q[rows, arms] + torch.randn(problems, generator=chance)
        play.learn(arms, rewards, step)
        best = q.amax(1)
        found.append((rewards.mean(), (q[rows, arms] == best).float().mean(), (best - q[rows, arms]).mean()))
        if shift:
            q = q + shift * torch.randn(problems, ARMS, generator=world)
    return Outcome(*(torch.stack(column) for column in zip(*found, strict=True)))


def bandits(runs: Sequence[Finished], problems: Problems = 2000, pulls: Pulls = 1000) -> Report:
    """Payoff, share of the best arm and regret of five policies; and two that average in a world that changes.

    Each `... optimal` and `... reward` is a mean over the last 100 pulls, `... regret` a sum over all.
    """
    found = {name: simulate(policy, problems, pulls) for name, policy in POLICIES.items()}
    scalars: dict[str, float] = {}
    for name, outcome in found.items():
        scalars |= {
            f"{name} optimal": float(outcome.optimal[-_LATEST:].mean()),
            f"{name} reward": float(outcome.reward[-_LATEST:].mean()),
            f"{name} regret": float(outcome.regret.sum()),
        }
    scalars["epsilon 0.1 highest"] = float(found["epsilon 0.1"].optimal.max())
    scalars["UCB reward less that of epsilon"] = scalars["UCB reward"] - scalars["epsilon 0.1 reward"]
    others = min(scalars[f"{name} regret"] for name in POLICIES if name != "Thompson")
    scalars["Thompson regret to the next"] = scalars["Thompson regret"] / others
    changing = {
        name: simulate(POLICIES["epsilon 0.1"], problems // 4, 3 * pulls, step=step, shift=_SHIFT)
        for name, step in (("mean of all", None), (f"latest count ({_STEP:g})", _STEP))
    }
    ends = [float(outcome.optimal[-pulls:].mean()) for outcome in changing.values()]
    scalars |= {
        "changing, mean of all": ends[0],
        "changing, latest count": ends[1],
        "changing, gain": ends[1] - ends[0],
    }
    return Report(scalars, pictures={"bandits": _charts(found, changing)})


def _charts(found: Mapping[str, Outcome], changing: Mapping[str, Outcome]) -> LineCharts:
    optimal = {name: _blocks(outcome.optimal) for name, outcome in found.items()}
    reward = {name: _blocks(outcome.reward) for name, outcome in found.items()}
    regret = {name: _blocks(outcome.regret.cumsum(0)) for name, outcome in found.items()}
    moved = {name: _blocks(outcome.optimal, 3 * _BLOCK) for name, outcome in changing.items()}
    best = "best arm pulled"
    return LineCharts(
        [
            LineChart(optimal, "pull", best, share=True, at_y={"91 %: most for epsilon 0.1": 0.91}),
            LineChart(reward, "pull", "mean payoff"),
            LineChart(regret, "pull", "regret so far"),
            LineChart(moved, "pull", best, "Payoffs that change (epsilon 0.1)", share=True),
        ]
    )


def _blocks(values: Tensor, size: int = _BLOCK) -> tuple[list[float], list[float]]:
    """Means of so many pulls at a time, and the middle of each."""
    means = values[: len(values) // size * size].reshape(-1, size).mean(1)
    return [size * (place + 0.5) for place in range(len(means))], means.tolist()
