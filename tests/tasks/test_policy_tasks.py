"""REINFORCE and actor-critic: losses against formulas written out, and policies that learn what pays."""

import pytest
import torch
from torch import nn

from dlcourse.data import announced
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models.linear import SoftmaxRegression
from dlcourse.models.policy_and_value import PolicyAndValue
from dlcourse.spec import Batch
from dlcourse.tasks.actor_critic import ActorCritic
from dlcourse.tasks.play import Moves, play
from dlcourse.tasks.policy_gradient import PolicyGradient
from plain_sgd import plain_sgd

CARTPOLE = announced.starts("cartpole")


def starts(count: int) -> torch.Tensor:
    return 0.05 * torch.randn(count, 4)


def test_reinforce_weighs_moves_by_what_followed_in_units_of_its_deviation() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    task = PolicyGradient(model, CARTPOLE, cpu(), gamma=0.9, entropy=0.3)
    games = play(task._world, starts(3), task._draw)
    weights, logs, entropies = [], [], []
    for game in range(3):
        count = int(games.lengths[game])
        for step in range(count):
            weights.append(sum(0.9**later for later in range(count - step)))  # each move earns 1
            row = model(games.states[step, game]).log_softmax(0)
            logs.append(row[games.actions[step, game]])
            entropies.append(-(row.exp() * row).sum())
    weigh = torch.tensor(weights)
    weigh = (weigh - weigh.mean()) / weigh.std(unbiased=False)
    expected = -(weigh * torch.stack(logs)).mean() - 0.3 * torch.stack(entropies).mean()
    torch.testing.assert_close(task.loss_of(games), expected, rtol=1e-4, atol=1e-5)


def test_the_critic_learns_temporal_differences_and_the_actor_from_them() -> None:
    torch.manual_seed(0)
    model = PolicyAndValue(CARTPOLE, hidden=(8,))
    task = ActorCritic(model, CARTPOLE, cpu(), gamma=0.9, critic=0.5, entropy=0.1)
    states, after = starts(3), starts(3)
    moves = Moves(states, torch.tensor([0, 1, 1]), torch.ones(3), after, torch.tensor([False, True, False]))
    value, later = model.value(states), model.value(after).detach() * torch.tensor([1.0, 0.0, 1.0])
    td_error = 1 + 0.9 * later - value
    logs = model(states).log_softmax(1)
    entropy = -(logs.exp() * logs).sum(1).mean()
    actor = -(td_error.detach() * logs[range(3), [0, 1, 1]]).mean() - 0.1 * entropy
    loss = task.loss_on(moves)
    torch.testing.assert_close(loss, actor + 0.5 * td_error.square().mean() / 2)
    policy, critic = (list(part.parameters()) for part in (model.policy, model.critic))
    gradients = torch.autograd.grad(loss, policy, retain_graph=True)
    expected = torch.autograd.grad(actor, policy, retain_graph=True)
    torch.testing.assert_close(gradients, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, critic), torch.autograd.grad(0.25 * td_error.square().mean(), critic)
    )


@pytest.mark.parametrize("kind", [PolicyGradient, ActorCritic])
def test_a_policy_learns_to_hold_the_pole_longer(kind: type) -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression(CARTPOLE) if kind is PolicyGradient else PolicyAndValue(CARTPOLE, hidden=(32,))
    task = kind(model, CARTPOLE, cpu())
    task.start(plain_sgd(2.0 if kind is PolicyGradient else 0.05))
    steps = 30 if kind is PolicyGradient else 500
    found = [float(task.train_step(Batch(starts(8), torch.zeros(8, 0)))["return"]) for _ in range(steps)]
    assert sum(found[-3:]) / 3 > 2 * 20, "twice as long as moves at random"


def test_actor_critic_asks_for_its_model_and_the_model_for_a_game() -> None:
    with pytest.raises(ConfigError, match="write model=policy_and_value"):
        ActorCritic(nn.Linear(4, 2), CARTPOLE, cpu())
    with pytest.raises(MisfitError, match=r"needs starts of a game.*write model=mlp"):
        PolicyAndValue(announced.numbers(3, classes=2))
