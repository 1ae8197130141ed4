"""`dlcourse runs`: what is listed, in which order, which of it, and in which form."""

import csv
import io
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcourse.cli.main import main
from dlcourse.cli.runs_table import Line
from dlcourse.cli.runs_where import chosen
from dlcourse.errors import ConfigError
from dlcourse.runs.folder import RunFolder
from dlcourse.runs.record import RunRecord, read_record
from fake_runs import config_of, leave, report_of

Runs = Callable[..., str]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runs:
    """What `dlcourse runs` prints in an empty folder: on standard output, or in the one line of an error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        assert main(["runs", *words]) == code
        out, err = capsys.readouterr()
        if code:
            assert out == "" and err.startswith("dlcourse: error: ") and err.count("\n") == 1
            return err.removeprefix("dlcourse: error: ").rstrip("\n")
        assert err == ""
        return out

    return run


def names(text: str) -> list[str]:
    """The first cells of the rows of a table."""
    return [line.split("  ")[0] for line in text.partition("\n\n")[0].splitlines()[1:]]


def some_runs() -> None:
    """One of each state, and a sweep of two runs out of three."""
    leave(Path("outputs/digits-mlp/2026-11-21_100000-aaaa"), "data=digits", "optimizer.lr=0.1", "trainer.epochs=10")
    cnn = config_of("mnist", "cnn", ["baseline"], optimizer__lr=0.01, optimizer__name="sgd", model__head=[128, 64])
    words = ("model=cnn", "data=mnist", "optimizer=sgd", "optimizer.lr=1e-2", "model.head=[128, 64]", "run.name=x")
    report = report_of(cnn, 0.95, 0.94, seconds=200.0)
    leave(
        Path("outputs/mnist-cnn/2026-11-22_100000-bbbb"),
        *words,
        "run.tags=[baseline]",
        "report=light",
        started="2026-11-22T10:00:00+0000",
        config=cnn,
        report=report,
    )
    line = config_of("line", "linreg")
    report = report_of(line, 0.01, 0.02, monitor="val/mse", mode="min", seconds=0.5)
    leave(Path("outputs/own"), started="2026-11-23T10:00:00+0000", config=line, report=report)
    leave(
        Path("outputs/digits-mlp/2026-11-24_100000-dddd"),
        status="failed",
        reason="the loss became nan at step 7",
        started="2026-11-24T10:00:00+0000",
    )
    leave(
        Path("outputs/digits-mlp/2026-11-25_100000-eeee"),
        status="running",
        step=43,
        started="2026-11-25T10:00:00+0000",
    )
    sweep = Path("outputs/multirun/2026-11-20_100000-ffff")
    for number, (seed, best) in enumerate(((1, 0.5), (2, 0.7)), start=1):
        config = config_of("digits", "softmax", seed=seed)
        leave(
            sweep / f"{number}-seed={seed}",
            f"seed={seed}",
            "device.threads=1",
            started="2026-11-20T10:00:00+0000",
            config=config,
            report=report_of(config, best, best),
        )
    (sweep / "sweep.json").write_text(json.dumps({"runs": [{}, {}, {}], "search": None}))


TABLE = """\
run                               data    model    options                                                  validation     test         time  state
multirun/2026-11-20_100000-ffff   digits  softmax  seed=2                                             accuracy 70.00 %  70.00 %         25 s  2 done, 1 to do
digits-mlp/2026-11-21_100000-aaaa  digits  mlp      lr=0.1 epochs=10                                   accuracy 90.00 %  80.00 %         12 s  done
mnist-cnn/2026-11-22_100000-bbbb  mnist   cnn      optimizer=sgd lr=1e-2 head=[128,64] tags=[baseline]  accuracy 95.00 %  94.00 %  3 min 20 s  done
own                               line    linreg                                                            mse 0.0100   0.0200       500 ms  done
digits-mlp/2026-11-24_100000-dddd  digits  mlp                                                                                                 failed: the loss became nan at step 7
digits-mlp/2026-11-25_100000-eeee  digits  mlp                                                                                                 cut short 43 %

7 runs in outputs: 5 done, 1 failed, 1 cut short
"""  # noqa: E501


def test_a_table_of_all_runs_the_newest_last(runs: Runs) -> None:
    some_runs()
    assert re.sub(" +", " ", runs()) == re.sub(" +", " ", TABLE)
    lines = runs().splitlines()
    assert len({line.index("%  ") for line in lines[1:4]}) == 1, "numbers end at the same place"
    assert len({line.rindex("  done") for line in lines[2:5]}) == 1


def test_a_running_run_says_how_far_it_is_and_is_left_alone(runs: Runs) -> None:
    folder = leave(Path("outputs/digits-mlp/a"), status="running", step=43)
    with RunFolder(folder).locked() as run:
        before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
        assert "running 43 %" in runs()
        run.require_in_place()
        assert before == {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_the_runs_of_a_sweep_are_listed_if_asked_for(runs: Runs) -> None:
    some_runs()
    sweep = "multirun/2026-11-20_100000-ffff"
    assert names(runs("--all"))[:2] == [f"{sweep}/1-seed=1", f"{sweep}/2-seed=2"]
    assert names(runs(f"outputs/{sweep}")) == ["1-seed=1", "2-seed=2"]
    assert names(runs("outputs/multirun")) == ["2026-11-20_100000-ffff"]
    assert names(runs(f"outputs/{sweep}/1-seed=1")) == ["1-seed=1"]
    assert names(runs("--where", "seed=2")) == [f"{sweep}/2-seed=2"]


def test_no_runs_yet(runs: Runs, tmp_path: Path) -> None:
    assert runs() == "no runs in outputs yet; dlcourse train starts one\n"
    (tmp_path / "outputs").mkdir()
    assert runs() == "no runs in outputs yet; dlcourse train starts one\n"
    assert json.loads(runs("--json")) == [] and runs("--csv").count("\n") == 1
    assert runs("--where", "optimizer.lr=1") == "no runs in outputs yet; dlcourse train starts one\n"
    leave(tmp_path / "outputs" / "a")
    assert runs("--where", "model=cnn") == "0 of 1 run in outputs\n"


# Order


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("validation", ["mnist-cnn", "digits-mlp", "multirun", "own"]),
        ("test", ["mnist-cnn", "digits-mlp", "multirun", "own"]),
        ("time", ["own", "digits-mlp", "multirun", "mnist-cnn"]),
        ("name", ["digits-mlp", "digits-mlp", "digits-mlp", "multirun"]),
        ("started", ["multirun", "digits-mlp", "mnist-cnn", "own"]),
    ],
)
def test_lines_are_sorted_by_what_is_better(column: str, expected: list[str], runs: Runs) -> None:
    some_runs()
    assert [name.partition("/")[0] for name in names(runs("--sort", column))][:4] == expected


def test_lower_is_better_where_the_task_says_so_and_nan_comes_last(runs: Runs) -> None:
    config = config_of("line", "linreg")
    for name, value in (("a", 0.3), ("b", float("nan")), ("c", 0.1), ("d", None)):
        leave(
            Path("outputs") / name, config=config, report=report_of(config, value, 1.0, monitor="val/mse", mode="min")
        )
    leave(Path("outputs/e"), status="stopped")
    assert names(runs("--sort", "validation")) == ["c", "a", "b", "d", "e"]


def test_the_best_of_a_sweep_is_by_the_number_that_most_of_its_runs_have(runs: Runs) -> None:
    sweep, config = Path("outputs/multirun/a"), config_of("digits", "mlp")
    leave(sweep / "1", config=config, report=report_of(config, 0.2, 0.2))
    leave(sweep / "2", config=config, report=report_of(config, 0.3, 0.3))
    leave(sweep / "3", config=config, report=report_of(config, 0.1, 0.1, monitor="val/abs", mode="min"))
    leave(sweep / "4", status="failed", reason="why")
    (sweep / "sweep.json").write_text("{}")
    assert "accuracy 30.00 %" in runs() and runs().splitlines()[1].endswith("3 done, 1 failed")


# Conditions


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["model=cnn"], ["mnist-cnn"]),
        (["model=*m*"], ["digits-mlp", "digits-mlp", "digits-mlp", "multirun", "multirun"]),
        (["data=mnist"], ["mnist-cnn"]),
        (["state=failed"], ["digits-mlp"]),
        (["state=cut*"], ["digits-mlp"]),
        (["tag=baseline"], ["mnist-cnn"]),
        (["tag=base"], []),
        (["name=mnist*"], ["mnist-cnn"]),
        (["name=*-bbbb"], ["mnist-cnn"]),
        (["name=mnist"], []),
        (["optimizer=sgd"], ["mnist-cnn"]),
        (["optimizer.lr=0.01"], ["mnist-cnn"]),
        (["optimizer.lr=1e-2"], ["mnist-cnn"]),
        (["optimizer.lr=0.010"], ["mnist-cnn"]),
        (["optimizer.lr=0.001", "model=mlp", "state=done"], ["digits-mlp"]),
        (["model.head=[128,64]"], ["mnist-cnn"]),
        (["model.head=[128, 64]"], ["mnist-cnn"]),
        (["model.head=[1]"], []),
        (["model.head=*64*"], ["mnist-cnn"]),
        (["run.dir=null"], ["digits-mlp", "mnist-cnn", "own", *["digits-mlp", "multirun"] * 2]),
        (["seed=2"], ["multirun"]),
        (["report=light"], ["mnist-cnn"]),
        (["experiment=gpt_cpu"], []),
    ],
)
def test_only_runs_are_shown_for_which_all_conditions_hold(
    conditions: list[str], expected: list[str], runs: Runs
) -> None:
    some_runs()
    shown = runs(*(word for condition in conditions for word in ("--where", condition)))
    assert sorted(name.partition("/")[0] for name in names(shown)) == sorted(expected)


def test_an_entry_of_the_users_own_is_found_by_both_of_its_names(tmp_path: Path) -> None:
    record = read_record(leave(tmp_path / "a", "model=mine"))
    assert [chosen([record], [f"model={name}"]) for name in ("mine", "mlp", "cnn")] == [[record], [record], []]


def test_a_config_of_a_stranger_breaks_no_condition() -> None:
    nested: Any = 1
    for _ in range(2000):
        nested = [nested]
    sections: Any = {}
    for _ in range(2000):
        sections = {"a": sections}
    record = RunRecord(Path(), "done", config={"seed": nested, "trainer": sections})
    assert chosen([record], ["seed=1"]) == []
    with pytest.raises(ConfigError, match=r"^--where nothing: no run has this option"):
        chosen([record], ["nothing=1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "'nowhere' does not exist; expected the folder of a run, such as outputs/mnist-cnn"),
        (["--foo"], "unknown flag '--foo'; there are: --all, --sort, --where, "),
        (["--srot=time"], "unknown flag '--srot=time'; did you mean '--sort'?"),
        (["--sort"], "--sort needs a value; write dlcourse runs --help to see all flags"),
        (["--sort", "tset"], "unknown column 'tset' to sort by; did you mean 'test'?"),
        (["--where", "cnn"], "--where 'cnn' is not of the form KEY=VALUE; write --where model=cnn"),
        (["--where", "=cnn"], "--where '=cnn' is not of the form KEY=VALUE; write --where model=cnn"),
        (["--where", "state=faild"], "unknown state 'faild'; did you mean 'failed'?"),
        (["--where", "lr=0.1"], "--where lr: no run has this option; did you mean 'optimizer.lr'?"),
        (["--where", "modle=cnn"], "--where modle: no run has this option; did you mean 'model'?"),
        (["--where", "zzz=1"], "--where zzz: no run has this option; expected data, model, state, name, tag, or an"),
        (["--csv", "--json"], "argument --json: not allowed with argument --csv"),
        (["outputs", "outputs"], "unrecognized arguments: outputs"),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], message: str, runs: Runs) -> None:
    some_runs()
    assert runs(*words, code=2).startswith(message)


def test_help_says_what_it_can_do(runs: Runs) -> None:
    assert all(flag in runs("--help") for flag in ("--all", "--sort", "--where", "--markdown", "--csv", "--json"))


# Forms


def test_all_that_is_known_is_there_for_other_programs(runs: Runs) -> None:
    some_runs()
    found = json.loads(runs("--json"))
    rows = list(csv.DictReader(io.StringIO(runs("--csv"))))
    assert len(found) == len(rows) == 7 and list(found[0]) == list(rows[0])
    cnn, row = found[3], rows[3]
    assert cnn | {"options": [], "started": ""} == {
        "folder": "outputs/mnist-cnn/2026-11-22_100000-bbbb",
        "name": "mnist-cnn",
        "sweep": None,
        "data": "mnist",
        "model": "cnn",
        "options": [],
        "tags": ["baseline"],
        "monitor": "val/accuracy",
        "mode": "max",
        "validation": 0.95,
        "test": 0.94,
        "epochs": 10,
        "seconds": 200.0,
        "started": "",
        "state": "done",
        "progress": None,
        "reason": None,
    }
    assert cnn["options"][4] == "model.head=[128, 64]" and " 'model.head=[128, 64]' " in row["options"]
    assert (row["tags"], row["validation"], row["sweep"]) == ("baseline", "0.95", "")
    assert (found[5]["state"], found[5]["reason"]) == ("failed", "the loss became nan at step 7")
    assert (found[6]["state"], found[6]["progress"]) == ("cut short", 0.43)
    assert found[0]["sweep"] == "outputs/multirun/2026-11-20_100000-ffff"


def test_a_number_that_is_not_finite_is_no_json(runs: Runs) -> None:
    config = config_of("digits", "mlp")
    leave(Path("outputs/a"), config=config, report=report_of(config, float("nan"), float("inf")))
    (found,) = json.loads(runs("--json"), parse_constant=lambda name: pytest.fail(name))
    assert (found["validation"], found["test"], found["state"]) == (None, None, "done")


def test_a_table_to_paste(runs: Runs) -> None:
    leave(Path("outputs/a|b"), "seed=1")
    assert runs("--markdown") == (
        "| run | data | model | options | validation | test | time | state |\n"
        "| --- | --- | --- | --- | --: | --: | --: | --- |\n"
        "| a\\|b | digits | mlp | seed=1 | accuracy 90.00 % | 80.00 % | 12 s | done |\n"
    )


def test_options_keep_their_section_where_the_rest_could_be_another(runs: Runs) -> None:
    leave(Path("outputs/a"), "scheduler.epochs=1", "data.seed=3", "model.width=8", "device.precision=bfloat16")
    assert "  scheduler.epochs=1 data.seed=3 width=8 precision=bfloat16  " in runs()
    leave(Path("outputs/b"), "data.width=4")
    assert " model.width=8 " in runs() and " data.width=4 " in runs()


def fitted(runs: Runs, monkeypatch: pytest.MonkeyPatch, columns: int, *words: str) -> list[str]:
    """The table on a terminal of so many columns."""
    with monkeypatch.context() as context:
        context.setattr("sys.stdout.isatty", lambda: True, raising=False)
        context.setenv("NO_COLOR", "1")
        context.setenv("COLUMNS", str(columns))
        return runs(*words).partition("\n\n")[0].splitlines()


def test_a_terminal_gets_what_fits(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    some_runs()
    whole = runs().partition("\n\n")[0].splitlines()
    assert fitted(runs, monkeypatch, 200) == whole
    for columns in (160, 130, 110, 90, 80):
        lines = fitted(runs, monkeypatch, columns)
        assert max(map(len, lines)) <= columns
    assert lines[0].split() == ["run", "options", "validation", "test", "time", "state"]
    assert [line.split("  ")[0] for line in lines[1:4]] == ["multirun/*-ffff", "digits-mlp/*-aaaa", "mnist-cnn/*-bbbb"]
    assert [path.name for path in Path("outputs").glob("digits-mlp/*-aaaa")] == ["2026-11-21_100000-aaaa"]
    assert "failed:" in lines[5]
    assert max(map(len, fitted(runs, monkeypatch, 10))) < 100, "what does not fit is as short as it can be"


def test_a_name_is_not_shortened_where_it_would_stand_for_two(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (1, 2):
        leave(Path(f"outputs/{'x' * 30}/2026-11-0{day}_100000-aaaa"))
    leave(Path("outputs/multirun/a/1-seed=1"))
    leave(Path("outputs/multirun/a/12-seed=2"))
    shown = [line.split("  ")[0] for line in fitted(runs, monkeypatch, 80, "--all")[1:]]
    assert sorted(shown) == [
        "multirun/a/1-*",
        "multirun/a/12-*",
        f"{'x' * 30}/2026-11-01_100000-aaaa",
        f"{'x' * 30}/2026-11-02_100000-aaaa",
    ]


def test_what_needs_somebody_is_red(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(Path("outputs/done"))
    leave(Path("outputs/failed"), status="failed", reason="why")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = runs().splitlines()
    assert lines[0].startswith("\x1b[1mrun") and "\x1b" not in lines[1]
    assert lines[2].endswith("\x1b[31mfailed: why\x1b[0m") and lines[2].startswith("failed ")


def test_names_of_strangers_are_shown_as_escapes(runs: Runs, tmp_path: Path) -> None:
    evil = "a\x1b[2J\nb\u202e"
    config = config_of("digits", "mlp") | {"data": {"name": evil}}
    leave(tmp_path / "outputs" / evil, f"model.x={evil}", status="failed", reason=evil, config=config)
    leave(tmp_path / evil / "a", "seed=1")
    for words in ([], ["--csv"], ["--markdown"], ["--where", f"data={evil}"], [evil]):
        shown = runs(*words)
        assert "\\x1b" in shown and not set(shown) & {"\x1b", "\u202e"}
        assert shown.count("\n") <= 4
    assert json.loads(runs("--json"))[0]["data"] == evil


def test_damaged_runs_are_listed_with_what_is_wrong(runs: Runs) -> None:
    leave(Path("outputs/a"))
    (leave(Path("outputs/b")) / "report.json").unlink()
    (leave(Path("outputs/c")) / "run.json").write_text("{")
    assert [line.partition("  ")[2].strip() for line in runs().splitlines()[2:4]] == [
        "damaged: cannot read report.json: no such file or directory",
        "damaged: run.json is damaged, it cannot be read",
    ]


def test_a_line_of_a_sweep_adds_up_its_runs() -> None:
    done = RunRecord(Path("s/1"), "done", seconds=2.0, started=5.0, sweep=Path("s"))
    line = Line(Path("s"), (done, RunRecord(Path("s/2"), "stopped", started=9.0, sweep=Path("s"))))
    assert (line.is_sweep, line.seconds, line.started, line.state) == (True, 2.0, 9.0, "1 done, 1 stopped")


# Speed


def test_two_hundred_runs_are_listed_within_a_second_and_without_torch(tmp_path: Path) -> None:
    for number in range(200):
        config = config_of("digits", "cnn" if number % 2 else "mlp", trainer__epochs=number + 1)
        report = report_of(config, number / 200) | {"confusion_matrix": [[1] * 100] * 100}
        leave(
            tmp_path / "outputs" / config["run"]["name"] / f"2026-11-21_{100000 + number}-{number:04x}",
            f"model={config['model']['name']}",
            f"trainer.epochs={number + 1}",
            status=("done", "done", "done", "stopped", "running")[number % 5],
            config=config,
            report=report,
            step=50,
        )
    code = "import sys; from dlcourse.cli.main import main; print(main(sys.argv[1:]), *sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "runs", "--where", "optimizer.lr=0.001"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    after, elapsed = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    exit_code, *modules = done.stderr.split()
    assert exit_code == "0" and not {"torch", "numpy", "hydra", "omegaconf"} & set(modules)
    assert done.stdout.endswith("200 runs in outputs: 120 done, 40 stopped, 40 cut short\n")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1, f"{seconds:.2f} s of the processor, {elapsed:.2f} s in all"
    assert os.path.getsize(tmp_path / "outputs" / "digits-mlp" / "2026-11-21_100000-0000" / "report.json") > 10_000  # noqa: PTH202
