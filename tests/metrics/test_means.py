"""Means over examples that come in batches of any size."""

import numpy as np
import pytest

from dlcourse.metrics.means import Means


def test_batches_of_other_sizes_give_the_mean_over_all_examples_also_after_a_break() -> None:
    losses = np.random.default_rng(0).normal(size=30)
    before, after = Means(), Means()
    for batch in np.split(losses[:19], [8, 16]):
        before.add({"loss": float(batch.mean()), "squares": float((batch**2).mean())}, len(batch))
    after.load_state_dict(before.state_dict())
    after.add({"loss": float(losses[19:].mean()), "squares": float((losses[19:] ** 2).mean())}, 11)
    assert after.values() == pytest.approx({"loss": losses.mean(), "squares": (losses**2).mean()})
