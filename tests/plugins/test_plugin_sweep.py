"""The processes that a sweep starts know the folders that were named for it, and no others."""

import json
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.sweeps import workers
from own_entries import SHORT, bottleneck
from sweep_lab import Sweeps, rows

WORDS = (*SHORT, "model.units=1,2", "run.root=swept")


@pytest.mark.slow
@pytest.mark.parametrize("forks", [True, False])
def test_every_run_of_a_sweep_has_the_model(forks: bool, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a process cannot be forked, and each run is a command of its own."""
    monkeypatch.setattr(workers, "can_fork", lambda: forks)
    bottleneck(Path("mine"))
    assert sweeps.attempt("-m", *WORDS, "--plugins", "mine") == 0, sweeps.out + sweeps.err
    (sweep,) = Path("swept/multirun").iterdir()
    assert [row["model.units"] for row in rows(sweep)] != [] and len(rows(sweep)) == 2
    for run in sweep.glob("*/run.json"):
        assert set(json.loads(run.read_text())["plugins"]) == {"model"}
    assert "mine" not in (sweep / "sweep.json").read_text()


def test_a_sweep_is_not_begun_without_the_folder(sweeps: Sweeps) -> None:
    bottleneck(Path("mine"))
    assert sweeps.attempt("-m", *WORDS) == 2
    assert "unknown model 'bottleneck'" in sweeps.err and not Path("swept").exists()


@pytest.mark.slow
def test_a_sweep_that_was_cut_short_is_continued_with_the_folder(sweeps: Sweeps) -> None:
    bottleneck(Path("mine"))
    assert sweeps.attempt("-m", *WORDS, "--plugins", "mine") == 0
    (sweep,) = Path("swept/multirun").iterdir()
    run = sorted(path.parent for path in sweep.glob("*/run.json"))[1]
    run.rename("aside")
    assert sweeps.resume(str(sweep)) == 2
    assert sweeps.err == "dlcourse: error: model 'bottleneck' is from a plug-in folder; name it: --plugins DIR\n"
    assert sweeps.resume(str(sweep), "--plugins", "mine") == 0, sweeps.err
    assert (run / "report.json").exists()
    assert main(["runs", str(sweep)]) == 0, "which needs no folder"
