"""scripts/bench: the same networks as dlcourse's, tables from the JSON alone, and a quick bench as users run it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import nets, results
from bench.contests import CONTESTS, NETS, Contest, Work
from bench.measure import LoopError, Run
from bench.table import markdown
from conftest import REPOSITORY
from dlcourse.models import MODELS
from dlcourse.spec import DataSpec
from lab import composed

CONTEST = Contest("speed", "mlp", ("dlcourse", "bare", "skorch"), "bare", 100, 100)
SETTINGS = results.Settings(rounds=2, quick=False, threads=1, root=None)


def run(loop: str, number: int, speed: float, contest: str = "mlp 64", **figures: Any) -> Run:
    usual: dict[str, Any] = {
        "parameters": 10,
        "first_step_seconds": 2.5,
        "evaluation_us": None,
        "training_seconds": None,
        "seconds": 5.0,
        "processor_seconds": 6.0,
        "peak_mb": 700.4,
        "others": 0.0,
    }
    return Run(contest=contest, loop=loop, round=number, samples_per_second=speed, **usual | figures)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """What the runs of a bench give, the next first, in place of measuring."""
    runs: list[Run] = []

    def measure(contest: Contest, loop: str, work: Work, number: int, threads: int | None) -> Run:
        if loop == "skorch":
            raise LoopError("it broke")
        assert (runs[0].loop, runs[0].round, threads) == (loop, number, 1)
        return runs.pop(0)

    monkeypatch.setattr(results, "measure", measure)
    monkeypatch.setattr(results, "NEEDS", {"keras_jax": ("no_such_package",)})
    monkeypatch.setattr(results.os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    return runs


@pytest.mark.parametrize("net", [net for net in NETS if net != "gan"])
def test_a_network_by_hand_has_as_many_parameters_as_that_of_dlcourse(net: str) -> None:
    data = [] if "experiment" in NETS[net].words[0] else ["data=mnist"]
    side, channels = NETS[net].side, NETS[net].channels
    config = composed(*data, *NETS[net].words)
    spec = DataSpec("mnist", (channels, side, side), 10, pixel_mean=(0.5,) * channels, pixel_std=(0.5,) * channels)
    assert nets.parameters(nets.build(net)) == nets.parameters(MODELS.build(config.model, spec=spec))


def test_every_contest_has_its_reference_among_its_loops() -> None:
    assert all(contest.reference in contest.loops and contest.net in NETS for contest in CONTESTS)
    assert len({contest.name for contest in CONTESTS}) == len(CONTESTS)


def test_loops_take_turns_one_that_fails_is_left_out_and_named(
    found: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    found += [run("dlcourse", 1, 300), run("bare", 1, 200), run("bare", 2, 100), run("dlcourse", 2, 200)]
    bench = results.Results(SETTINGS, [*CONTEST.loops, "keras_jax"])
    bench.measure(CONTEST, CONTEST.loops)
    assert found == [] and list(bench.failed) == ["mlp 64 skorch"]
    assert "mlp 64 skorch failed: it broke" in capsys.readouterr().err
    record = bench.record() | {"machine": {"processor": "A chip", "cores": 2}, "versions": {"torch": "2.15"}}
    assert (
        markdown(json.loads(json.dumps(record)))
        == """\
A chip, 2 cores, threads 1, torch 2.15.
Median (smallest to largest) of 2 rounds.
Left out: Keras on JAX (no_such_package is not installed).
Failed: mlp 64 skorch.

| ratio  | `dlcourse train`    | by hand             |
| ------ | ------------------- | ------------------- |
| mlp 64 | 1.75 (1.50 to 2.00) | 1.00 (1.00 to 1.00) |

| samples/s | `dlcourse train` | by hand          |
| --------- | ---------------- | ---------------- |
| mlp 64    | 250 (200 to 300) | 150 (100 to 200) |

| peak memory, MB  | mlp 64           | cnn48 64 |
| ---------------- | ---------------- | -------- |
| `dlcourse train` | 700 (700 to 700) |          |
| by hand          | 700 (700 to 700) |          |
"""
    )


def test_loops_with_other_networks_are_not_compared(found: list[Run]) -> None:
    found += [run("dlcourse", 1, 1), run("bare", 1, 1, parameters=11)]
    bench = results.Results(results.Settings(1, False, 1, None), CONTEST.loops)
    with pytest.raises(AssertionError, match=r"mlp 64: different networks: \{'dlcourse': 10, 'bare': 11\}"):
        bench.measure(CONTEST, CONTEST.loops)


@pytest.mark.parametrize(
    ("load", "others", "lines"),
    [
        (0.1, 0.1, []),
        (0.1, None, []),
        (1.5, 0.1, ["the load average was 1.50 before the first round"]),
        (0.1, 0.8, ["others used up to 0.80 processors during 1 of 2 runs"]),
    ],
)
def test_a_busy_machine_is_named(load: float, others: float | None, lines: list[str]) -> None:
    loads = [
        results.Load("mlp 64", 1, 0.0, load),
        results.Load("mlp 64", 2, 0.0, 2.0),
    ]  # the second is of the bench itself
    assert results.busy(loads, [run("bare", 1, 1), run("dlcourse", 1, 1, others=others)]) == lines


def test_tables_besides_speed() -> None:
    runs = [
        run("dlcourse_digits", 1, 1, "start"),
        run("dlcourse_tiny", 1, 1, "tiny run", training_seconds=1.25),
        run("dlcourse", 1, 200, "cnn 64"),
        run("dlcourse_log", 1, 150, "cnn 64", evaluation_us=3.25),
        run("bare", 1, 150, "cnn 64", evaluation_us=4.0),
    ]
    record = results.Results(SETTINGS, []).record() | {"runs": [vars(one) for one in runs]}
    assert markdown(record).endswith("""\
| start                      | seconds to the end of the first step |
| -------------------------- | ------------------------------------ |
| `dlcourse train` on digits | 2.50                                 |

| a tiny run                             | seconds | of processors | in training |
| -------------------------------------- | ------- | ------------- | ----------- |
| `dlcourse train data=digits model=mlp` | 5.00    | 6.00          | 1.25        |

| `trainer.log_every=1` | speed as a ratio to the default |
| --------------------- | ------------------------------- |
| cnn 64                | 0.75                            |

| evaluation | loop                                 | microseconds a sample |
| ---------- | ------------------------------------ | --------------------- |
| cnn 64     | `dlcourse train trainer.log_every=1` | 3.2                   |
| cnn 64     | by hand                              | 4.0                   |
""")


def bench(*words: str) -> str:
    command = [sys.executable, str(REPOSITORY / "scripts" / "bench"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_quick_bench_measures_writes_and_prints_again(tmp_path: Path) -> None:
    words = ("--only", "mlp", "--loops", "dlcourse_log", "bare", "tuned", "worked", "--out", str(tmp_path))
    printed = bench("--quick", "--threads", "1", *words)
    record = json.loads((tmp_path / "bench.json").read_text())
    assert [found["loop"] for found in record["runs"]] == ["bare", "tuned", "worked", "dlcourse_log"]
    assert {found["parameters"] for found in record["runs"]} == {235_146}
    assert all(
        0 < found["first_step_seconds"] < found["seconds"] and found["peak_mb"] > 100 for found in record["runs"]
    )
    assert [found["evaluation_us"] is not None for found in record["runs"]] == [True, False, False, True]
    assert "torch" in record["versions"] and record["settings"]["threads"] == 1 and record["loads"][0]["load"] >= 0
    assert "Quick: sizes too small to compare anything." in printed
    assert printed == (tmp_path / "bench.md").read_text() == bench("--table", str(tmp_path / "bench.json"))


@pytest.mark.parametrize("file", ["bench.json", "bench-cuda.json"])
def test_the_published_tables_are_those_of_the_published_file(file: str) -> None:
    published = (REPOSITORY / "docs" / file).read_text(encoding="utf-8")
    assert markdown(json.loads(published)) in (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
