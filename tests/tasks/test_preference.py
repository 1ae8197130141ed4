"""Reward models: the loss of Bradley and Terry, and a model that finds out what the labeller likes."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.preference import Preference
from dlcourse.training.evaluate import evaluate
from lab import Lab, report

SPEC = DataSpec("pairs", (6,), 1, "preference", vocabulary=("a", "o"), tokenizer="characters", taste="o")


class Sum(nn.Module):
    """The reward is the number of the letter o, times a weight."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.weight * tokens.float().sum(1, keepdim=True)


PAIRS = torch.tensor([[0, 0, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 1, 1]])
PREFERS_SECOND = torch.tensor([1, 0, 1, 0])  # margins of knowing it: 1, 3, 0, -3


def test_the_loss_is_minus_the_log_of_the_probability_of_what_was_preferred() -> None:
    task = Preference(Sum(0.5), SPEC, cpu())
    losses = [math.log1p(math.exp(-0.5 * margin)) for margin in (1, 3, 0, -3)]
    found = evaluate(task, TensorSplit(PAIRS, PREFERS_SECOND), 3, full=True)
    assert found.scalars == pytest.approx(
        {"loss": sum(losses) / 4, "accuracy": 0.5, "knowing_the_taste": (1 + 1 + 0.5 + 0) / 4}
    )
    assert found.headline == "agrees with 50.0 % of the preferences   knowing the taste 62.5 %"
    assert task.losses(Batch(PAIRS, PREFERS_SECOND))["loss"].item() == pytest.approx(sum(losses) / 4)
    (answer,) = task.answer(torch.tensor([[1, 1, 0]]))
    assert answer.values == {"reward": 1.0}


def test_other_data_and_models_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^task 'preference' needs preferences between texts, and data 'iris' has cl"
    ):
        Preference(Sum(1.0), DataSpec("iris", (4,), 3, "class", ("a", "b", "c")), cpu())
    with pytest.raises(
        ConfigError, match=r"^task 'preference' needs one number for each text; write model=transformer"
    ):
        Preference(nn.Embedding(2, 3), SPEC, cpu())


def test_a_bag_of_letters_finds_the_taste(lab: Lab, tmp_path: Path) -> None:
    letters = torch.randint(5, (20_000,), generator=torch.Generator().manual_seed(0)).tolist()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tinyshakespeare.txt").write_text("".join("abo \n"[letter] for letter in letters))
    words = ["data=preferences", f"data.root={tmp_path}", "data.verify=false", "data.size=1500", "data.length=12"]
    run = lab.train(*words, "model=bag", "model.embedding=8", "optimizer.lr=0.03", "trainer.epochs=3")
    test = report(run)["test"]
    assert test["knowing_the_taste"] > 0.7 and test["accuracy"] == pytest.approx(test["knowing_the_taste"], abs=0.02)
