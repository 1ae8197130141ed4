"""Bandits: each policy against what it must do on a few pulls, and the figure against the bound that holds for epsilon."""

import pytest
import torch

from dlcourse.lectures.bandits import (
    ARMS,
    POLICIES,
    Play,
    bandits,
    epsilon_greedy,
    greedy,
    simulate,
    thompson,
    upper_confidence_bound,
)


def play(problems: int = 1) -> Play:
    return Play(problems, torch.Generator().manual_seed(0))


def test_estimates_are_means_or_let_the_latest_count() -> None:
    for step, expected in ((None, 2.0), (0.5, 2.25)):
        game = play()
        for reward in (1.0, 2.0, 3.0):
            game.learn(torch.tensor([4]), torch.tensor([reward]), step)
        assert game.estimates[0, 4] == pytest.approx(expected if step is None else 0.125 + 0.5 + 1.5)
        assert game.counts[0].tolist() == [0, 0, 0, 0, 3, 0, 0, 0, 0, 0] and game.pulls == 3


def test_greedy_takes_the_best_and_any_of_those_that_are_equal() -> None:
    game = play(4000)
    assert torch.bincount(greedy(game), minlength=ARMS).float().std() < 40
    game.estimates[:, 7] = 0.1
    assert (greedy(game) == 7).all()
    share = (epsilon_greedy(0.5)(game) == 7).float().mean()
    assert share == pytest.approx(0.5 + 0.5 / ARMS, abs=0.03)


def test_ucb_pulls_each_arm_once_and_then_what_might_be_best() -> None:
    game = play()
    for _ in range(ARMS):
        game.learn(upper_confidence_bound(game), torch.tensor([0.0]), None)
    assert game.counts.tolist() == [[1] * ARMS]
    game.counts[0] = torch.tensor([100.0] * 9 + [1.0])
    game.estimates[0, 0], game.pulls = 1.0, 901
    assert upper_confidence_bound(game).tolist() == [9]
    game.counts[0, 9] = 100.0
    assert upper_confidence_bound(game).tolist() == [0]


def test_thompson_pulls_an_arm_as_often_as_it_may_be_the_best() -> None:
    game = play(4000)
    game.counts[:] = 10_000.0
    game.estimates[:, 2], game.counts[:, 5] = 1.0, 0.0  # 1 for sure, and one that is N(0, 1)
    pulled = torch.bincount(thompson(game), minlength=ARMS) / 4000
    assert pulled[2] == pytest.approx(0.841, abs=0.03) and pulled[5] == pytest.approx(0.159, abs=0.03)


def test_every_policy_meets_the_same_problems_and_none_beats_the_best_arm() -> None:
    found = {name: simulate(policy, 50, 60) for name, policy in POLICIES.items()}
    best = {name: float((outcome.reward + outcome.regret).mean()) for name, outcome in found.items()}
    assert max(best.values()) - min(best.values()) < 0.1
    assert all(outcome.regret.min() >= 0 for outcome in found.values())
    again = simulate(POLICIES["UCB"], 50, 60)
    assert torch.equal(again.reward, found["UCB"].reward)


def test_the_figure_is_in_order_also_with_few_problems() -> None:
    report = bandits([], problems=200, pulls=300)
    order = [report.scalars[f"{name} optimal"] for name in ("greedy", "epsilon 0.1", "Thompson")]
    assert order == sorted(order) and report.scalars["epsilon 0.1 highest"] < 0.95
    assert report.scalars["Thompson regret to the next"] < 1 < 100 * report.scalars["changing, gain"]
    (picture,) = report.pictures.values()
    assert len(picture.draw().axes) == 4
