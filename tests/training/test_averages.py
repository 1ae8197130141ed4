"""Averaged weights: they are the averages of what training had, measured beside it, and training does not notice them."""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_swa_multi_avg_fn, update_bn

from dlcourse.api.run import load
from dlcourse.cli.main import main
from dlcourse.config.run_config import TrainerConfig
from dlcourse.optim.ema import EqualAverage, ExponentialAverage
from dlcourse.runs.find import checkpoints_of
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.saver import read
from dlcourse.training import averages_text
from dlcourse.training.averages import EMA, RAW, SWA, Averages, _measuring
from dlcourse.training.evaluate import evaluate
from dlcourse.training.history import History
from dlcourse.training.opened import open_run
from dlcourse.training.trainer import Trainer
from dlcourse.training.transfer import freeze
from lab import Lab, report
from torture.same import differences
from torture.warm import last_of_each

XOR = ("data=xor", "data.size=200", "model=mlp", "model.hidden=[8]", "device=cpu", "device.threads=1", "report=light")
XOR += ("trainer.epochs=4", "optimizer.lr=0.03")
BOTH = ("trainer.ema=0.9", "trainer.swa=0.5")
NORMED = (
    "data=glyphs",
    "data.train_size=60",
    "data.test_size=20",
    "data.resize=8",
    "model=cnn",
    "model.channels=[4,4]",
)
NORMED += (
    "model.head=[]",
    "device=cpu",
    "device.threads=1",
    "report=light",
    "trainer.epochs=2",
    "trainer.batch_size=16",
)


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[Trainer]:
    """The trainers of the runs of this test."""
    found: list[Trainer] = []
    fit = Trainer.fit

    def noted(self: Trainer) -> History:
        found.append(self)
        return fit(self)

    monkeypatch.setattr(Trainer, "fit", noted)
    return found


def weights_of(trainer: Trainer) -> list[Tensor]:
    return [each.detach().clone() for each in trainer._task.model.parameters()]


def averages_of(run: Path) -> dict[str, Any]:
    """Those in the newest checkpoint."""
    checkpoint, _ = checkpoints_of(RunFolder(run)).newest()
    assert checkpoint is not None
    return dict(read(checkpoint)[1]["averages"])


def trained(lab: Lab, *words: str) -> Path:
    run = lab.train(*last_of_each(words))
    assert run is not None
    return run


def numbers(run: Path, prefix: str) -> list[tuple[int, str, float]]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [(each["step"], tag, value) for each in records for tag, value in each.items() if tag.startswith(prefix)]


def test_averages_are_those_of_the_weights_that_training_had(
    lab: Lab, trainers: list[Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Tensor]] = []
    begin: list[list[Tensor]] = []
    step = Trainer._after_step

    def noted(self: Trainer, *arguments: Any) -> None:
        seen.append(weights_of(self))
        step(self, *arguments)

    monkeypatch.setattr(Trainer, "_after_step", noted)
    init = Averages.__init__
    monkeypatch.setattr(
        Averages,
        "__init__",
        lambda self, task, *rest: (
            begin.append([p.detach().clone() for p in task.model.parameters()]),
            init(self, task, *rest),
        )[1],
    )
    run = trained(lab, *XOR, *BOTH)
    per_epoch = len(seen) // 4
    expected = begin[0]
    for number, weights in enumerate(seen, start=1):
        kept = min(0.9, (1 + number) / (10 + number))
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected, weights, strict=True)]
    state = averages_of(run)
    assert state[EMA]["updates"] == len(seen)
    for found, right in zip(state[EMA]["tensors"].values(), expected, strict=True):
        assert torch.allclose(found, right, atol=1e-6)
    ends = [seen[per_epoch * epoch - 1] for epoch in (2, 3, 4)]  # 2 / 4 of the epochs are the first at or behind a half
    assert state[SWA]["updates"] == 3
    for found, *snapshots in zip(state[SWA]["tensors"].values(), *ends, strict=True):
        assert torch.allclose(found, torch.stack(snapshots).mean(0), atol=1e-6)


def test_training_is_the_same_to_the_bit_with_and_without(lab: Lab) -> None:
    plain = trained(lab, *NORMED)
    assert "watch  " not in lab.out and "watch" not in report(plain), "nothing is said unless it is asked for"
    assert "histogram" not in (plain / "metrics.jsonl").read_text()
    averaged = trained(lab, *NORMED, *BOTH, "trainer.watch=true")
    for prefix in ("train/", "val/"):
        assert numbers(plain, prefix) == numbers(averaged, prefix) != []
    models = [checkpoints_of(RunFolder(run)).newest()[0] for run in (plain, averaged)]
    first, second = (read(each)[0] for each in models if each is not None)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_best_on_validation_is_kept_tested_and_opened(lab: Lab) -> None:
    noisy = ("data=moons", "data.size=400", "data.noise=0.4", "data.val_fraction=0.4", "scheduler=constant")
    run = trained(lab, *XOR, *BOTH, *noisy, "trainer.weights=best", "optimizer.lr=0.2")
    content = report(run)
    assert content["kept_weights"] != "raw", "or this test says little"
    by_name = {"raw": numbers(run, "val/"), "ema": numbers(run, "ema/"), "swa": numbers(run, "swa/")}
    assert [len(by_name[name]) for name in ("raw", "ema", "swa")] == [8, 8, 6]
    scored: dict[tuple[float, float], str] = {}
    for name, found in by_name.items():
        for step in dict.fromkeys(step for step, *_ in found):
            scalars = {tag.partition("/")[2]: value for at, tag, value in found if at == step}
            scored.setdefault((scalars["accuracy"], -scalars["loss"]), name)
    best = max(scored)
    assert content["kept_weights"] == scored[best]
    assert (content["val"]["accuracy"], -content["val"]["loss"]) == best
    assert content["val_by_weights"][content["kept_weights"]] == content["val"]
    opened = open_run(run)
    data = load(run).data()
    assert evaluate(opened.task, data.val, 250).scalars == content["val"]
    assert evaluate(opened.task, data.test, 250).scalars == content["test"]


def test_last_keeps_the_better_of_the_last_epoch_and_says_so(lab: Lab) -> None:
    run = trained(lab, *XOR, *BOTH, "trainer.weights=last", "trainer.ema=0.99", "optimizer.lr=0.5")
    content = report(run)
    measured = content["val_by_weights"]
    assert set(measured) == {"raw", "ema", "swa"} and content["kept_epoch"] == 4
    assert content["val"]["accuracy"] == max(each["accuracy"] for each in measured.values())
    text = (run / "report.txt").read_text()
    assert f"{content['kept_weights']} (kept)" in text and "weights, validation" in text
    assert f"last epoch 4, {content['kept_weights']} weights" in lab.out
    assert "\nval    accuracy " in lab.out and ", swa " in lab.out
    assert "accuracy: val / ema / swa" in lab.out


@pytest.mark.slow
def test_they_have_tags_of_their_own_in_tensorboard(lab: Lab) -> None:
    run = trained(lab, *XOR, *BOTH)
    (events,) = run.glob("events.*")
    board = EventAccumulator(str(events)).Reload()
    assert [each.step for each in board.Scalars("ema/accuracy")] == [
        each.step for each in board.Scalars("val/accuracy")
    ]
    assert len(board.Scalars("swa/loss")) == 3


def test_batch_norms_are_measured_as_torch_does_and_the_raw_weights_come_back(
    lab: Lab, trainers: list[Trainer]
) -> None:
    trained(lab, *NORMED, "trainer.swa=0.1")
    (trainer,) = trainers
    averages, task, data = trainer._averages, trainer._task, trainer._data
    reference = AveragedModel(task.model, multi_avg_fn=get_swa_multi_avg_fn())
    raw = {name: each.clone() for name, each in task.model.state_dict().items()}
    with averages.in_model(SWA):
        averages.measure_statistics(SWA, 2)
    with averages.in_model(SWA):
        found = {name: each.clone() for name, each in task.model.state_dict().items()}
    reference.module.load_state_dict(found)
    update_bn(data.train.batches(16, epoch=2), reference.module)
    for name, tensor in reference.module.state_dict().items():
        assert torch.allclose(found[name].float(), tensor.float(), atol=1e-6), name
    assert any("running_mean" in name and each.abs().sum() > 0 for name, each in found.items())
    assert found["blocks.5.num_batches_tracked"] == 4  # of the 54 training examples
    assert not torch.equal(found["blocks.4.weight"], raw["blocks.4.weight"])
    for name, each in task.model.state_dict().items():
        assert torch.equal(each, raw[name]), f"{name} is raw again"


def test_a_frozen_batch_norm_keeps_its_statistics_and_normalizes_with_them() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=0.3))
    model[0].running_mean.fill_(5.0)
    model[2].running_mean.fill_(9.0)
    freeze(model, ("0.*",))
    batches = torch.randn(3, 20, 2)
    with torch.no_grad(), _measuring(model.eval()) as is_needed:
        assert is_needed
        for batch in batches:
            model(batch)
    assert model[0].running_mean.eq(5).all() and model[2].momentum == 0.3 and not model.training
    with torch.no_grad():
        expected = model[1]((batches - 5) / (1 + model[0].eps) ** 0.5).mean((0, 1))
    assert torch.allclose(model[2].running_mean, expected, atol=1e-5)


def test_a_batch_norm_that_nothing_goes_through_keeps_what_it_has() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2))
    model[0].running_mean.fill_(9.0)
    with _measuring(model):
        pass
    assert model[0].running_mean.eq(9).all() and model.training


@pytest.mark.slow
def test_a_signal_while_an_average_is_measured_loses_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*NORMED, *BOTH, "resume=auto")
    assert lab.attempt(*words, "run.dir=whole") == 0
    in_model = Averages.in_model

    @contextlib.contextmanager
    def interrupted(self: Averages, name: str) -> Iterator[None]:
        with in_model(self, name):
            if name == SWA:
                signal.raise_signal(signal.SIGTERM)
            yield

    with monkeypatch.context() as patch:
        patch.setattr(Averages, "in_model", interrupted)
        assert lab.attempt(*words, "run.dir=run") == 143
    assert lab.attempt(*words, "run.dir=run") == 0, lab.err
    assert differences(Path("run"), Path("whole")) == []


@pytest.mark.slow
def test_more_epochs_begin_the_equal_average_anew(lab: Lab) -> None:
    run = trained(lab, *XOR, "trainer.swa=0.5", "run.dir=run", "scheduler=constant")
    assert averages_of(run)[SWA]["updates"] == 3
    assert main(["resume", "run", "trainer.epochs=10"]) == 0
    assert averages_of(run)[SWA]["updates"] == 6  # those after epochs 5 to 10


@pytest.mark.slow
def test_with_accumulated_gradients_only_updates_count(lab: Lab) -> None:
    run = trained(lab, *XOR, "trainer.ema=0.9", "trainer.accumulate=3", "trainer.batch_size=16")
    assert averages_of(run)[EMA]["updates"] == report(run)["steps"] // 3


@pytest.mark.parametrize(("share", "first"), [(0.5, 5), (0.55, 6), (0.7, 7), (0.01, 1), (0.999, 10)])
def test_the_equal_average_begins_at_its_share_of_the_epochs(share: float, first: int) -> None:
    model = nn.Linear(1, 1)
    task, data = SimpleNamespace(model=model), SimpleNamespace(train=range(6))
    averages = Averages(task, data, TrainerConfig(epochs=10, batch_size=2, swa=share))  # type: ignore[arg-type]
    for step in range(1, 31):
        averages.update(step)
        assert averages.known == ([SWA] if step >= 3 * first else [])
    assert averages.state_dict()[SWA]["updates"] == 11 - first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trainer.ema=1",), "trainer.ema must be a number in (0, 1) or null, got 1"),
        (("trainer.swa=0",), "trainer.swa must be a number in (0, 1) or null, got 0"),
        (
            ("data=moons", "model=diffusion", "trainer.swa=0.5"),
            "task 'diffusion' averages the weights itself (task.ema); leave trainer.swa out, or write task.ema=0",
        ),
    ],
)
def test_bad_input_is_one_line(lab: Lab, words: tuple[str, ...], message: str) -> None:
    assert lab.attempt(*words) == 2
    assert message in lab.err and lab.err.count("\n") == 1


@pytest.mark.slow
def test_one_average_of_a_generative_model(lab: Lab) -> None:
    run = trained(
        lab,
        *("data=moons", "data.size=60", "model=diffusion", "model.hidden=[8]", "task.ema=0", "trainer.ema=0.9"),
        *("task.samples=20", "task.sample_steps=2", "task.steps=10", "trainer.epochs=1", "report=light", "device=cpu"),
    )
    assert set(report(run)["val_by_weights"]) == {"raw", "ema"}


def test_the_two_averages_by_hand() -> None:
    latest = [torch.tensor([0.0])]
    equal, exponential = (
        EqualAverage([torch.tensor([9.0])], latest),
        ExponentialAverage([torch.tensor([9.0])], latest, 0.1),
    )
    for value in (3.0, 6.0, 0.0):
        latest[0].fill_(value)
        equal.update()
        exponential.update()
    assert equal.averages[0].item() == 3.0
    assert exponential.averages[0].item() == pytest.approx(0.1 * (0.1 * (0.1 * 9 + 0.9 * 3) + 0.9 * 6))


def test_without_averages_nothing_is_said() -> None:
    config, history = TrainerConfig(), History()
    assert averages_text.as_numbers(config, history) == {}
    assert averages_text.table(config, "loss", history) == averages_text.compared(config, "loss", history) == []
    assert TrainerConfig(swa=0.5, ema=0.9).averages == (EMA, SWA) and History().kept_weights == RAW
