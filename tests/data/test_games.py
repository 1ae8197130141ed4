"""Starts of games as data: training never begins where validation and test do, unless a game has one start."""

import torch

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.games import CartPole, Cliff, GridWorld
from dlcourse.environments.grid import GridWorld as Maze
from dlcourse.spec import described


def test_every_start_of_cartpole_is_another_and_the_runs_seed_changes_their_order_only() -> None:
    first, other = (CartPole(size=300, held_out=50).build(name="cartpole", seed=seed) for seed in (0, 1))
    starts = torch.cat([first.train.inputs, first.val.inputs, first.test.inputs])
    assert len(starts.unique(dim=0)) == len(starts) == 400
    assert starts.abs().max() <= 0.05
    assert first.train.fingerprint() == other.train.fingerprint()
    orders = [next(data.train.batches(300, epoch=1)).inputs for data in (first, other)]
    assert not torch.equal(*orders) and torch.equal(*(order.sort(0).values for order in orders))
    drawn_anew = CartPole(size=300, held_out=50, seed=1).build(name="cartpole", seed=0)
    assert drawn_anew.test.fingerprint() != first.test.fingerprint()


def test_no_walk_of_training_begins_where_one_of_validation_or_test_does() -> None:
    data = GridWorld(size=100, held_out=6).build(name="grid_world", seed=0)
    train, val, test = (set(split.inputs.argmax(1).tolist()) for split in (data.train, data.val, data.test))
    assert (len(train), len(val), len(test)) == (34, 6, 6)
    assert train | val | test == set(Maze().places())


def test_all_walks_along_the_cliff_begin_at_its_start() -> None:
    data = Cliff(size=7).build(name="cliff", seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (7, 1, 1)
    assert {int(split.inputs.argmax(1).unique()) for split in (data.train, data.val, data.test)} == {36}


def test_a_game_is_described_by_its_moves_and_targets_are_empty() -> None:
    for name, words in (
        ("cartpole", "4 features   2 moves"),
        ("tic_tac_toe", "18 features   9 moves, two sides"),
    ):
        data = DATASETS.build(Choice(name, {"size": 4})).build(name=name, seed=0)
        assert described(data.spec) == words and data.spec.environment == name
        assert next(data.train.batches(2, epoch=1)).targets.shape == (2, 0)
