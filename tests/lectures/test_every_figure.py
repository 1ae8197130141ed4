"""Every figure made for real, and all of its numbers within their bands: minutes, and for some of them the data sets."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dlcourse.cli import lecture_plan
from dlcourse.lectures.entry import Lecture

SHORT = 30  # seconds


def needs_files(lecture: Lecture) -> bool:
    """Whether a run of the figure reads files that may have to be downloaded."""
    asked = lecture_plan.Asked((lecture,), {}, ())
    (figure,) = lecture_plan.planned(asked, Path("outputs/lectures"), full=False, config_dir=None)
    return any("root" in run.config.data.options for run in figure.runs)


def check(folder: Path, words: Sequence[str]) -> None:
    command = [sys.executable, "-m", "dlcourse", "check", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((folder / "outputs/lectures/check.json").read_text())
    assert content["numbers"] and not content["failed"] and not content["skipped"]


@pytest.mark.slow
def test_short_figures_that_need_no_files(tmp_path: Path) -> None:
    chosen = [
        name
        for name, lecture in lecture_plan.lectures(None).items()
        if lecture.seconds < SHORT and not needs_files(lecture)
    ]
    assert chosen
    check(tmp_path, chosen)


@pytest.mark.slow
def test_all_of_them(tmp_path: Path, real_data: Path) -> None:
    check(tmp_path, [f"data.root={real_data}", "data.verify=false"])
