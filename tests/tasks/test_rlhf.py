"""PPO on texts: rewards that it follows, a KL divergence that is one, and runs that go on without those they began from."""

import math
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dlcourse.cli.main import main
from dlcourse.config.registry import Choice
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, DataError
from dlcourse.models import MODELS
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.frozen_reward import FrozenReward
from dlcourse.tasks.rlhf import RLHF
from hooks import after_step
from lab import Lab, report
from plain_sgd import plain_sgd
from tiny_data import tiny_data

SPEC = DataSpec("toy", (5,), 3, "next", vocabulary=("a", "b", "o"), tokenizer="characters")
JUDGED = DataSpec("pairs", (6,), 1, "preference", vocabulary=SPEC.vocabulary, tokenizer="characters", taste="o")


class Table(nn.Module):
    """Logits that depend on the last token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3, 3))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits[tokens]  # (B, T, V)


class Counted(nn.Module):
    """The reward is the number of the letter o."""

    def forward(self, tokens: Tensor) -> Tensor:
        return (tokens == 2).float().sum(1, keepdim=True)


def built(**options: float) -> RLHF:
    torch.manual_seed(0)
    task = RLHF(Table(), SPEC, cpu(), prompt=2, length=3, **options)  # type: ignore[arg-type]
    task._use(FrozenReward("there", "0" * 64, Choice("bag"), JUDGED, Counted()))
    task.start(plain_sgd(0.5))
    return task


BATCH = Batch(torch.zeros(256, 5, dtype=torch.int64), torch.zeros(256, 5, dtype=torch.int64))


def test_the_first_of_several_updates_has_ratios_of_one_and_all_are_counted() -> None:
    task = built(passes=4)
    before = task.model.logits.clone()
    task.train_step(BATCH)
    assert task._optimizer.state_dict()["backwards"] == 4
    gained = (task.model.logits - before)[:, 2]
    assert gained.min() > 0  # the liked letter is likelier after every letter
    ratios, advantages = torch.tensor([0.5, 1.0, 1.5, 1.5]), torch.tensor([1.0, 2.0, 1.0, -1.0])
    assert task._clipped_loss(ratios, advantages).item() == pytest.approx(-(0.5 + 2.0 + 1.2 - 1.5) / 4)


def test_the_reward_to_come_is_less_what_each_token_costs() -> None:
    task = built(kl_weight=0.5)
    with torch.no_grad():
        task.model.logits += torch.tensor([0.0, 0.0, 1.0])
        written = task._play(BATCH.inputs)
    share = math.e / (2 + math.e)
    expected = 3 * (share * math.log(3 * share) + (1 - share) * math.log(3 * (1 - share) / 2))
    assert written.kl.sum(1).mean().item() == pytest.approx(expected, abs=0.05)
    to_come = torch.stack([written.rewards - 0.5 * written.kl[:, place:].sum(1) for place in range(3)], dim=1)
    centered = to_come - to_come.mean(0)
    torch.testing.assert_close(task._advantages(written), centered / centered.std(unbiased=False), atol=1e-4, rtol=1e-4)


def test_the_kl_term_holds_it_near_the_start() -> None:
    found = {}
    for weight in (0.0, 2.0):
        task = built(kl_weight=weight)
        for _ in range(60):
            scalars = task.train_step(BATCH)
        found[weight] = scalars
    assert found[0.0]["liking"] > 2.9 and found[0.0]["kl"] > 2.5  # nearly 3 ln 3
    assert 1.0 < found[2.0]["liking"] < 1.8 and found[2.0]["kl"] < 0.5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^task.prompt=4 and task.length=3 are more than data.context=5; write data.con"
    ):
        RLHF(Table(), SPEC, cpu(), prompt=4, length=3)
    task = RLHF(Table(), SPEC, cpu(), prompt=1, length=2)
    with pytest.raises(ConfigError, match=r"^task 'rlhf' needs a reward model; write task.reward_from=RUN"):
        task.read_frozen()
    with pytest.raises(ConfigError, match=r"^task.length=2, and .* judges texts of 3 tokens; write task.length=3$"):
        task._use(FrozenReward("there", "", Choice("bag"), JUDGED, Counted()))
    other = DataSpec("pairs", (4,), 1, "preference", vocabulary=("a", "b"), tokenizer="characters", taste="a")
    with pytest.raises(ConfigError, match=r"^task.reward_from=there reads another vocabulary than data 'toy'; use"):
        task._use(FrozenReward("there", "", Choice("bag"), other, Counted()))


def test_a_reward_model_is_the_same_from_its_state() -> None:
    model = MODELS.build(Choice("bag", {"embedding": 4}), spec=JUDGED)
    reward = FrozenReward("there", "1" * 64, Choice("bag", {"embedding": 4}), JUDGED, model)
    again = FrozenReward.from_state(reward.state_dict(), cpu())
    texts = torch.tensor([[0, 1, 2], [2, 2, 2]])
    assert torch.equal(again.rewards(texts), reward.rewards(texts)) and again.spec == JUDGED and again.length == 3
    assert not any(parameter.requires_grad for parameter in again.model.parameters())
    with pytest.raises(DataError, match=r"^the reward model in the saved state cannot be built: "):
        FrozenReward.from_state(reward.state_dict() | {"model": {"name": "none", "options": {}}}, cpu())


def test_a_run_that_is_resumed_needs_neither_of_the_runs_it_began_from(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = [
        *tiny_data("tinyshakespeare", tmp_path),
        "model=transformer",
        "model.width=8",
        "model.heads=2",
        "model.layers=1",
    ]
    text = [word for word in text if not word.startswith("data.context")] + ["data.context=12", "trainer.epochs=2"]
    start = lab.train(*text, "run.dir=start")
    pairs = ["data.length=6", "model=bag", "model.embedding=4", "trainer.epochs=1"]
    reward = lab.train(*tiny_data("preferences", tmp_path), *pairs, "run.dir=reward")
    ppo = [*text, "task=rlhf", f"init_from={start}", f"task.reward_from={reward}", "task.prompt=4", "task.length=6"]
    ppo += ["trainer.batch_size=10", "task.passes=2", "scheduler=cosine", "trainer.checkpoint.seconds=null"]
    whole = lab.train(*ppo, "run.dir=whole")
    with monkeypatch.context() as patch:
        after_step(patch, 5, lambda: signal.raise_signal(signal.SIGTERM))
        lab.train(*ppo, "run.dir=stopped", code=143)
    for gone in (start, reward):
        shutil.rmtree(gone)
    assert main(["resume", "stopped"]) == 0, capsys.readouterr().err
    ours, theirs = (load_file(lab.folder / name / "weights.safetensors") for name in ("stopped", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    found = report(lab.folder / "stopped")
    assert found["test"] == report(whole)["test"]
    assert len(found["reward_sha256"]) == 64 and found["start"].keys() == {"reward", "liking"}
    capsys.readouterr()
    assert main(["evaluate", "stopped"]) == 0
    assert f"reward {found['test']['reward']:.2f} (start" in capsys.readouterr().out
    shutil.rmtree(lab.folder / "stopped" / "checkpoints")
    assert main(["evaluate", "stopped"]) == 2
    assert "stopped has no checkpoint, and task 'rlhf' is measured with what lies in it" in capsys.readouterr().err
