"""TensorBoard's file made again from records: each tag at its step, and no file of others."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlcourse.plots.picture import to_png
from dlcourse.runs.tensorboard import Board


def test_records_are_shown_at_their_step_and_time_and_files_of_others_are_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "progress").mkdir(parents=True)
    png = to_png(np.zeros((3, 5, 3), np.uint8))
    for name in ("run/own.png", "run/progress/own.png", "others.png"):
        (tmp_path / name).write_bytes(png)
    (run / "link.png").symlink_to(tmp_path / "others.png")
    (run / "events.out.tfevents.1.stale").write_bytes(b"stale")
    places = ["own.png", "progress/own.png", "../others.png", str(tmp_path / "others.png"), "link.png", "gone.png"]
    pictures = [{"step": n, "time": 50.0, "picture": "val/p", "file": place} for n, place in enumerate(places)]
    Board.anew(run, iter([{"step": 4, "time": 99.5, "epoch": 2, "val/loss": 0.5}, *pictures])).close()
    (file,) = run.glob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    assert events.Tags()["scalars"] == ["val/loss"]
    assert [(event.step, event.wall_time, event.value) for event in events.Scalars("val/loss")] == [(4, 99.5, 0.5)]
    assert [(event.step, event.width, event.height) for event in events.Images("val/p")] == [(0, 5, 3), (1, 5, 3)]
    assert events.Images("val/p")[0].encoded_image_string == png


def test_a_board_that_cannot_be_written_warns_once_and_lets_the_run_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = Board(tmp_path / "gone")
    board.show({"step": 1, "time": 1.0, "val/loss": 0.5})
    board.close()
    warning = "dlcourse: warning: TensorBoard's file cannot be written: No such file or directory\n"
    assert capsys.readouterr().err == warning
