import errno
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import nn

from dlcourse.metrics.report import Report
from dlcourse.plots import Captioned, ConfusionMatrix, to_image
from dlcourse.runs import logger as logger_module
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.logger import Logger

WARNING = "dlcourse: warning: TensorBoard's file cannot be written: No space left on device\n"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room for another record of TensorBoard's file."""

    def refuse(writer: RecordWriter, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", refuse)


def board(folder: RunFolder) -> EventAccumulator:
    """What TensorBoard reads from the one event file in the folder."""
    (file,) = folder.path.glob("events.out.tfevents.*")
    return EventAccumulator(str(file)).Reload()


def records(folder: RunFolder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def shown(number: int) -> Report:
    """A report of a number with a text and a picture."""
    picture = ConfusionMatrix([[number]], ["a"])
    return Report({"accuracy": number}, texts={"samples": f"{number} of\n{number}"}, pictures={"confusion": picture})


def test_scalars_reach_metrics_jsonl_and_tensorboard_with_split_and_step(folder: RunFolder) -> None:
    with Logger(folder) as logger:
        logger.scalars("train", 10, 1, {"loss": 0.5, "accuracy": 0.75})
        logger.scalars("train", 20, 2, {"loss": 0.25})
        logger.scalars("val", 20, 2, {"loss": 0.375})
        logger.flush()
        first, *others = records(folder)  # by others, while the run goes on
    assert first.pop("time") > 1e9
    assert first == {"step": 10, "epoch": 1, "train/loss": 0.5, "train/accuracy": 0.75}
    assert [{*record} - {"time"} for record in others] == [
        {"step", "epoch", "train/loss"},
        {"step", "epoch", "val/loss"},
    ]
    events = board(folder)
    assert sorted(events.Tags()["scalars"]) == ["train/accuracy", "train/loss", "val/loss"]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(10, 0.5), (20, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("val/loss")] == [(20, 0.375)]


@pytest.mark.parametrize(("seconds", "readable"), [(0.0, 3), (float("inf"), 0)])
def test_numbers_wait_no_longer_than_a_second(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, seconds: float, readable: int
) -> None:
    monkeypatch.setattr(logger_module, "_MOST_SECONDS", seconds)
    with Logger(folder) as logger:
        for step in (1, 2, 3):
            logger.scalars("train", step, 1, {"loss": 1 / step})
        assert len(records(folder)) == readable
        assert ("train/loss" in board(folder).Tags()["scalars"]) is bool(readable)
    assert len(records(folder)) == len(board(folder).Scalars("train/loss")) == 3


def test_going_on_shows_each_number_once_and_leaves_no_gap(folder: RunFolder) -> None:
    """What was logged after the checkpoint is logged again by the run that goes on."""
    with Logger(folder) as logger:
        for step in (1, 2, 3):
            logger.scalars("train", step, 1, {"loss": 1 / step})
        logger.report("val", 3, 1, shown(3))
        start = logger.sync()
        for step in (4, 5):
            logger.scalars("train", step, 2, {"loss": -1.0})
        logger.report("val", 5, 2, shown(9))
    with Logger(folder, start) as logger:
        for step in (4, 5, 6):
            logger.scalars("train", step, 2, {"loss": 1 / step})
        logger.report("val", 6, 3, shown(6))
    assert [record["step"] for record in records(folder) if "train/loss" in record] == [1, 2, 3, 4, 5, 6]
    events = board(folder)
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert found == [(step, pytest.approx(1 / step)) for step in (1, 2, 3, 4, 5, 6)]
    assert [(event.step, event.value) for event in events.Scalars("val/accuracy")] == [(3, 3.0), (6, 6.0)]
    assert [event.step for event in events.Images("val/confusion")] == [3, 6]
    texts = events.Tensors("val/samples/text_summary")
    assert [(event.step, event.tensor_proto.string_val[0]) for event in texts] == [
        (3, b"    3 of\n    3"),
        (6, b"    6 of\n    6"),
    ]
    times = [record["time"] for record in records(folder) if "train/loss" in record]
    assert [event.wall_time for event in events.Scalars("train/loss")] == times


def test_going_on_after_a_torn_line_cuts_it_off(folder: RunFolder) -> None:
    with Logger(folder) as logger:
        logger.scalars("train", 1, 1, {"loss": 0.5})
        start = logger.sync()
    with (folder / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "epo')
    with Logger(folder, start) as logger:
        logger.scalars("train", 2, 1, {"loss": 0.25})
    assert [record["step"] for record in records(folder)] == [1, 2]
    assert [event.step for event in board(folder).Scalars("train/loss")] == [1, 2]


def test_a_run_that_begins_anew_shows_nothing_of_before(folder: RunFolder) -> None:
    for step in (1, 2):
        with Logger(folder) as logger:
            logger.scalars("train", step, 1, {"loss": 0.5})
    assert [record["step"] for record in records(folder)] == [2]
    assert [event.step for event in board(folder).Scalars("train/loss")] == [2]


def test_pictures_and_texts_stand_in_metrics_jsonl_by_file(folder: RunFolder) -> None:
    with Logger(folder) as logger:
        logger.report("val", 7, 2, shown(7))
    stood = [{key: record[key] for key in record if key not in ("step", "epoch", "time")} for record in records(folder)]
    assert stood == [
        {"val/accuracy": 7},
        {"text": "val/samples", "file": "progress/samples_0002.txt"},
        {"picture": "val/confusion", "file": "progress/confusion_0002.png"},
    ]


def test_a_picture_that_has_gone_is_left_out_when_the_board_is_made_again(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Logger(folder) as logger:
        logger.report("val", 1, 1, shown(1))
        logger.scalars("train", 2, 1, {"loss": 0.5})
        start = logger.sync()
    (folder / "progress" / "confusion_0001.png").unlink()
    with Logger(folder, start) as logger:
        logger.scalars("train", 3, 1, {"loss": 0.25})
    assert [event.step for event in board(folder).Scalars("train/loss")] == [2, 3]


def test_a_report_leaves_numbers_tables_and_the_same_picture_in_the_folder_and_on_the_board(folder: RunFolder) -> None:
    picture = ConfusionMatrix([[3, 1], [0, 4]], ["no", "yes"])
    report = Report(
        {"accuracy": 0.875}, tables={"counts": [["class", "n"], ["犬, 猫", 4]]}, pictures={"confusion": picture}
    )
    with Logger(folder, subject="mlp on digits") as logger:
        logger.report("test", 30, 3, report)
    assert records(folder)[0]["test/accuracy"] == 0.875
    assert (folder / "counts.csv").read_text(encoding="utf-8") == 'class,n\n"犬, 猫",4\n'
    with Image.open(folder / "confusion.png") as png:
        assert np.array_equal(np.asarray(png), to_image(Captioned(picture, "mlp on digits, test set")))
    events = board(folder)
    assert [(event.step, event.value) for event in events.Scalars("test/accuracy")] == [(30, 0.875)]
    (shown,) = events.Images("test/confusion")
    assert shown.step == 30
    (folder / "shown.png").write_bytes(shown.encoded_image_string)
    with Image.open(folder / "shown.png") as png:
        assert np.array_equal(np.asarray(png), to_image(Captioned(picture, "mlp on digits, test set")))


def test_a_picture_is_drawn_once(folder: RunFolder) -> None:
    class Counting(ConfusionMatrix):
        drawn = 0

        def draw(self) -> Figure:
            Counting.drawn += 1
            return super().draw()

    with Logger(folder) as logger:
        logger.report("test", 1, 1, Report({}, pictures={"confusion": Counting([[1]], ["a"])}))
    assert Counting.drawn == 1


def test_texts_are_shown(folder: RunFolder) -> None:
    with Logger(folder) as logger:
        logger.board.text("command", "`dlcourse train model=mlp`")
    (event,) = board(folder).Tensors("command/text_summary")
    assert event.tensor_proto.string_val[0].decode() == "`dlcourse train model=mlp`"


def test_hyperparameters_and_results_lie_in_the_runs_own_file(folder: RunFolder) -> None:
    with Logger(folder) as logger:
        logger.scalars("selected", 30, 3, {"accuracy": 0.875})
        options = {"model": "mlp", "optimizer.lr": 0.1, "seed": 3, "data.flip": True}
        logger.board.hyperparameters(options)
        logger.board.columns({"model": "mlp", "optimizer.lr": 0.1}, ["selected/accuracy"])
    assert [path.name for path in folder.path.iterdir() if path.is_dir()] == []
    plugin = board(folder).summary_metadata
    experiment, session = (
        HParamsPluginData.FromString(plugin[f"_hparams_/{name}"].plugin_data.content)
        for name in ("experiment", "session_start_info")
    )
    assert [metric.name.tag for metric in experiment.experiment.metric_infos] == ["selected/accuracy"]
    assert {info.name for info in experiment.experiment.hparam_infos} == {"model", "optimizer.lr"}
    values = session.session_start_info.hparams
    assert values["model"].string_value == "mlp" and values["optimizer.lr"].number_value == 0.1
    assert values["seed"].number_value == 3 and values["data.flip"].number_value == 1


class Flattening(nn.Module):
    """A model with a Python number taken from a shape, of which the tracer warns, and with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        assert bool(inputs.isfinite().all())
        return self.linear(self.drop(self.norm(inputs)))


def test_the_graph_is_shown_without_warnings_or_a_trace_on_the_model(folder: RunFolder) -> None:
    model = Flattening()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.random.get_rng_state()
    with Logger(folder) as logger:
        logger.board.graph(model, torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    operations = {node.op for node in GraphDef.FromString(board(folder).Graph().SerializeToString()).node}
    assert {"aten::linear", "aten::batch_norm"} <= operations
    assert model.training and model.drop.training
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_models_own_warnings_are_not_hidden_by_drawing_its_graph(folder: RunFolder) -> None:
    class Noisy(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            warnings.warn("old weights", FutureWarning, stacklevel=1)
            return super().forward(inputs)

    with Logger(folder) as logger, pytest.warns(FutureWarning, match="old weights"):
        logger.board.graph(Noisy(2, 2), torch.zeros(1, 2))


def test_a_full_disk_costs_texts_too_but_not_the_run(
    folder: RunFolder, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    with Logger(folder) as logger:
        request.getfixturevalue("full_disk")
        logger.board.text("command", "dlcourse train")
        logger.scalars("train", 1, 1, {"loss": 0.5})
    assert capsys.readouterr().err == WARNING
    assert [record["step"] for record in records(folder)] == [1]


@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_is_full_from_the_start_gives_one_warning(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Logger(folder) as logger:
        for step in range(50):
            logger.scalars("train", step, 1, {"loss": 0.5})
    assert capsys.readouterr().err == WARNING
    assert len(records(folder)) == 50


def test_a_disk_that_fills_up_gives_one_warning(
    folder: RunFolder, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    with Logger(folder) as logger:
        logger.scalars("train", 1, 1, {"loss": 0.5})
        request.getfixturevalue("full_disk")
        for step in range(2, 9):
            logger.scalars("train", step, 1, {"loss": 0.5})
    assert capsys.readouterr().err == WARNING
    assert [record["step"] for record in records(folder)] == list(range(1, 9))
