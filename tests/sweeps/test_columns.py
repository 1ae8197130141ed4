"""What TensorBoard's HParams shows of a sweep: what varies, the validation numbers, and of each run all options."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dlcourse.sweeps.columns import columns
from dlcourse.sweeps.plan import Plan, PlannedRun
from lab import Lab, composed

TINY = ("data=xor", "data.size=40", "model=mlp", "model.hidden=[4]", "trainer.epochs=1", "device=cpu")


def plan_of(runs: list[tuple[str, ...]]) -> tuple[Plan, list[Any]]:
    plan = Plan(tuple(PlannedRun(run, run, str(place)) for place, run in enumerate(runs)))
    return plan, [composed("data=xor", *run) for run in runs]


def test_numbers_are_numbers_and_what_is_not_always_one_is_text() -> None:
    plan, configs = plan_of(
        [("model.hidden=[4]", "trainer.batch_size=8"), ("model.hidden=[5]", "trainer.batch_size=full")]
    )
    assert columns(plan, configs) == {
        "model.hidden": "[4]",
        "trainer.batch_size": "8",
        "model": "mlp",
        "optimizer": "adam",
    }
    plan, configs = plan_of([("optimizer=sgd", "optimizer.nesterov=true", "optimizer.lr=1"), ("optimizer=adam",) * 3])
    assert columns(plan, configs) == {
        "optimizer": "sgd",
        "optimizer.nesterov": True,
        "optimizer.lr": 1.0,
        "model": "mlp",
    }


def test_an_experiment_is_seen_by_its_name() -> None:
    plan = Plan((PlannedRun((), ("experiment=memorize",), "1"),))
    config = composed("experiment=memorize", "run.name=memorize")
    assert columns(plan, [config])["run"] == "memorize"


def summaries(folder: Path) -> dict[str, Any]:
    return EventAccumulator(str(folder)).Reload().summary_metadata


def test_the_sweep_says_the_columns_and_its_runs_their_options(lab: Lab) -> None:
    assert lab.attempt("-m", *TINY, "optimizer.lr=0.1,0.01", "hydra.launcher.jobs=1") == 0, lab.err
    (folder,) = Path("outputs/multirun").iterdir()
    content = summaries(folder)["_hparams_/experiment"].plugin_data.content
    experiment = HParamsPluginData.FromString(content).experiment
    assert {info.name for info in experiment.hparam_infos} == {"optimizer.lr", "model", "optimizer"}
    assert [info.name.tag for info in experiment.metric_infos] == ["selected/accuracy", "selected/loss"]
    run = summaries(folder / "1-optimizer.lr=0.1")
    assert "_hparams_/experiment" not in run
    session = HParamsPluginData.FromString(run["_hparams_/session_start_info"].plugin_data.content).session_start_info
    assert session.hparams["optimizer.lr"].number_value == 0.1
    assert session.hparams["model.hidden"].string_value == "[4]"
    assert session.hparams["data"].string_value == "xor"
