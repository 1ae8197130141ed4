"""`dlcourse report`: one valid HTML file for every kind of run, which asks for nothing else and leaves the run alone."""

import base64
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlcourse.cli import hydra_guard
from dlcourse.cli import report as verb
from dlcourse.cli.hydra_overrides import parse
from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.pages import render, run_page, sweep_page
from dlcourse.plots import to_png
from dlcourse.runs.find import find_finished
from dlcourse.runs.result import BELOW_NUMBERS
from dlcourse.sweeps.plan import Plan, PlannedRun
from dlcourse.sweeps.search import Choices, Interval, Search
from fake_runs import leave
from html_page import problems, rows, sections
from lab import Lab
from sweep_lab import TINY, Sweeps, less

SMALL = ("trainer.epochs=2", "device=cpu")
DIGITS = ("data=digits", "model=softmax", "data.subset=300", "optimizer.lr=0.02", *SMALL)
NASTY = ("<script>alert(1)</script>", "a\x1b[31m\u202eb", '"><img src=x onerror=alert(1)>')


def trained(folder: Path, *words: str) -> Path:
    """A real run in a folder of its own."""
    done = main(["train", *words, f"run.dir={folder}"])
    assert done == 0
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Every file with its content and time."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("digits") / "run", *DIGITS)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model, and the text that it has learned from beside it."""
    folder = tmp_path_factory.mktemp("writer")
    lines = [f"It was the best & <worst> of times, number {number}.\n" for number in range(200)]
    (folder / "book.txt").write_text("".join(lines))
    small = ("model=transformer", "model.width=16", "model.layers=1", "model.heads=2", "data.windows=40", *SMALL)
    return trained(folder / "run", "data=text", f"data.file={folder / 'book.txt'}", "data.context=16", *small)


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae") / "run"
    small = ("model.hidden=[16]", "model.latent=2", "trainer.epochs=3", "device=cpu")
    return trained(folder, "data=digits", "model=vae", *small)


def asked(lab: Lab, *words: object, code: int = 0) -> str:
    """What the command prints on standard output."""
    return lab.ask("report", *words, code=code)


def page(lab: Lab, *words: object) -> bytes:
    """The content of the page that the command writes, which has no mistake."""
    saved = asked(lab, *words).splitlines()[-1]
    assert saved.startswith("saved  ")
    content = Path(saved.removeprefix("saved  ")).read_bytes()
    assert problems(content) == []
    assert len(content) < render.MOST_BYTES
    return content


def refused(lab: Lab, *words: object) -> str:
    """The one line that a mistake is answered with; nothing is written."""
    before = snapshot(lab.folder)
    assert asked(lab, *words, code=2) == ""
    assert lab.err.count("\n") == 1 and lab.err.startswith("dlcourse: error: ")
    assert snapshot(lab.folder) == before
    return lab.err


# What a page shows


def test_the_page_of_a_classifier(lab: Lab, digits: Path) -> None:
    before = snapshot(digits)
    content = page(lab, digits)
    assert snapshot(digits) == before
    text, report = sections(content), json.loads((digits / "report.json").read_text())
    assert report["command"] in text["command"]
    assert ["optimizer.lr", "0.02", "0.1"] in rows(content, "What differs from the defaults")
    assert ["model", "softmax", "mlp"] in rows(content, "What differs from the defaults")
    assert "Training examples270 Validation examples30 Test examples359" in text["data"]
    accuracy = f"{100 * report['test']['accuracy']:.2f} %"
    low, high = (f"{100 * bound:.2f}" for bound in report["accuracy_interval"])
    table = {row[0]: row[1:] for row in rows(content, "Numbers")}
    assert table["Accuracy"][2:] == [accuracy, f"{low} to {high} %"]
    assert table["Accuracy"][1] == f"{100 * report['val']['accuracy']:.2f} %"
    classes = rows(content, "The classes of the test set")
    assert len(classes) == 13 and classes[1][0] == "0" and classes[-1][0] == "weighted average"
    assert classes[4][4] == str(report["classes"]["3"]["support"])
    alt = re.findall(r'alt="([^".:,]*)', content.decode())
    assert alt.count("Training example") == 12
    assert {"Learning curve", "Confusion matrix", "Most confident mistakes", "Weights"} <= set(alt)
    assert "most confused" in text["results"] and "PyTorch" in text["environment"]
    assert "Linear" in text["model"]


def test_the_pictures_are_those_of_the_folder(lab: Lab, digits: Path) -> None:
    content = page(lab, digits).decode()
    inside = {base64.b64decode(found) for found in re.findall(r"data:image/png;base64,([\w+/=]+)", content)}
    assert {path.read_bytes() for path in digits.glob("*.png")} <= inside


def test_the_page_of_a_language_model(lab: Lab, writer: Path) -> None:
    content = page(lab, writer)
    text = sections(content)
    assert "It was the best & <worst> of times, number 0." in text["data"]
    assert "temperature 0.5" in text["texts"] and "after epoch 1, for comparison" in text["texts"]
    assert "nats per token" in content.decode() and "Perplexity" in text["results"]
    assert "Loss by position" in text["pictures"]


def test_the_page_of_a_vae(lab: Lab, vae: Path) -> None:
    content = page(lab, vae)
    text = sections(content)
    for title in ("Samples.", "Reconstructions.", "Traversals.", "The plane of codes.", "Samples, epoch 1."):
        assert title in text["pictures"]
    assert "KL divergence" in text["results"] and "variance of mean" in text["results"]
    assert ["model", "vae", "mlp"] in rows(content, "What differs from the defaults")
    assert not [row for row in rows(content, "What differs from the defaults") if row[0] == "task"]


@pytest.mark.slow
def test_the_page_of_a_sweep(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("optimizer.lr=0.1,0.01", "seed=0,1", "hydra.launcher.jobs=1")
    before = snapshot(folder)
    content = page(sweeps, folder)
    assert snapshot(folder) == before
    summary = json.loads((folder / "summary.json").read_text())
    table = rows(content, "All settings, the best first")
    assert table[0][:3] == ["rank", "optimizer.lr", "val/accuracy"] and len(table) == 3
    assert [row[1] for row in table[1:]] == [each["options"]["optimizer.lr"] for each in summary["ranked"]]
    assert "±" in table[1][2] and table[1][-2] == "2"
    text = sections(content)
    assert all(word in text["command"] for word in less(["optimizer.lr", "seed"]))
    assert "-m" in text["command"] and "optimizer.lr=0.1,0.01" in text["command"] and "seed=0,1" in text["command"]
    assert table[1][-1] in text["best"] and "dlcourse report" in text["best"]
    assert {"Curves of the runs.", "Options and results."} <= set(re.findall(r"<b>([^<]*)</b>", content.decode()))
    asked(sweeps, folder / table[1][-1])
    assert sweeps.out == f"saved  outputs/reports/xor-mlp-{folder.name}-{table[1][-1]}.html\n"


def test_a_light_run_says_what_draws_its_pictures(lab: Lab, tmp_path: Path) -> None:
    folder = trained(tmp_path / "light", *TINY, "report=light")
    assert f"dlcourse resume {folder} report=full" in sections(page(lab, folder))["results"]


def test_what_a_user_adds(lab: Lab, digits: Path) -> None:
    notes = "# Question\n\nWhy **0.02**? See [paper](https://arxiv.org/abs/1412.6980).\n"
    Path("notes.md").write_text(notes, encoding="utf-8")
    content = page(lab, digits, "--title", "Sheet 3 <b>", "--author", "Ada & Bo", "--notes", "notes.md")
    html = content.decode()
    assert "<h1>Sheet 3 &lt;b&gt;</h1>" in html and "<title>Sheet 3 &lt;b&gt; · dlcourse</title>" in html
    assert '<meta name="author" content="Ada &amp; Bo">' in html
    assert sections(content)["notes"] == "Notes Question Why 0.02? See paper (https://arxiv.org/abs/1412.6980)."


def test_an_old_run_without_what_newer_ones_tell(lab: Lab, digits: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(digits, old)
    for name in ("environment.json", "model.txt", "report.txt", "overrides.yaml"):
        (old / name).unlink()
    facts = json.loads((old / "run.json").read_text())
    (old / "run.json").write_text(json.dumps({name: facts[name] for name in ("status", "started", "files")}))
    report = json.loads((old / "report.json").read_text())
    needed = ("data", "model", "monitor", "epochs", "kept_epoch", "seconds", "val", "test")
    (old / "report.json").write_text(json.dumps({name: report[name] for name in needed} | {"data": {"name": "digits"}}))
    text = sections(page(lab, old))
    assert "Training examples" in text["data"] and "Accuracy" in text["results"]


# Names of strangers


def test_names_of_strangers_are_text(lab: Lab, tmp_path: Path) -> None:
    head = "x<b>,y\x07,kind"
    Path("table.csv").write_text("\n".join([head, *(_csv(number) for number in range(90))]) + "\n", encoding="utf-8")
    folder = trained(tmp_path / "run", "data=csv", "data.file=table.csv", "data.target=kind", "model=softmax", *SMALL)
    content = page(lab, folder)
    html, text = content.decode(), sections(content)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for name in ("<script>alert(1)</script>", "a\\x1b[31m\\u202eb", '"><img src=x onerror=alert(1)>'):
        assert name in text["data"] and name in text["results"]
    assert "x<b>" in text["data"] and "y\\x07" in text["data"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", html)


def _csv(number: int) -> str:
    quoted = NASTY[number % 3].replace('"', '""')
    return f'{number % 7},{number % 5},"{quoted}"'


def test_whatever_stands_in_the_files_of_a_stranger(lab: Lab, digits: Path, tmp_path: Path) -> None:
    run = tmp_path / "stranger"
    shutil.copytree(digits, run)
    report = json.loads((run / "report.json").read_text())
    report["command"] = "dlcourse train </code><script>alert(1)</script> \ud800"
    report["data"]["notes"] = ["<b>note</b>", "../../secret", 7]
    report["test"]["</td><td onclick=x>"] = 0.5
    report["classes"]["x" * 5000] = {"precision": 1e999, "support": 10**30, "<i>": "x"}
    report["new_picture"] = "../../../etc/passwd"
    (run / "report.json").write_text(json.dumps(report))
    (run / "report.txt").write_text("x\n\ntest   a\n       <script>\n\n")
    (run / "environment.json").write_text(json.dumps({"python": "<script>", "<b>": "y", "deep": {"a": 1}, "n": None}))
    (run / "mistakes.png").write_bytes(b"<svg onload=alert(1)>")
    (run / "story.txt").write_bytes(b"</pre><script>alert(1)</script>\x00\xff\x1b[31m" + b"y" * 100_000)
    (run / "model.txt").write_text("</pre>")
    text = sections(page(lab, run))
    assert "mistakes.png is damaged, it is no PNG picture" in text["results"]
    assert "</pre><script>alert(1)</script>\\x00" in text["texts"] and "characters more in story.txt" in text["texts"]


def test_a_page_with_too_many_pictures_says_which_it_leaves_out(lab: Lab, digits: Path, tmp_path: Path) -> None:
    run = tmp_path / "large"
    shutil.copytree(digits, run)
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    for number in range(4):
        (run / f"zz_{number}.png").write_bytes(to_png(noise))
    text = sections(page(lab, run))
    assert "Zz 0." in text["pictures"] and "Zz 1." in text["pictures"] and "Zz 2." not in text["pictures"]
    assert "Left out, as the page would be too large: zz_2.png, zz_3.png." in text["results"]
    assert "Confusion matrix." in text["results"]


# Where it goes


def test_nothing_is_ever_overwritten(lab: Lab, digits: Path) -> None:
    first, second = asked(lab, digits), asked(lab, digits)
    assert first.startswith("saved  outputs/reports/digits-softmax-20") and second.endswith("-2.html\n")
    assert len(list(Path("outputs/reports").iterdir())) == 2
    asked(lab, digits, "--out", "mine.html")
    assert lab.out == "saved  mine.html\n"
    assert "--out mine.html exists already" in refused(lab, digits, "--out", "mine.html")


def test_the_newest_run_or_sweep_below_a_folder_is_meant(tmp_path: Path) -> None:
    for place, name in enumerate(("a/1", "b/2", "c/3")):
        run = leave(tmp_path / name)
        (run / "config.yaml").write_text("")
        (run / "weights.safetensors").write_bytes(b"")
        os.utime(run, (place, place))
    (tmp_path / "c/3/weights.safetensors").unlink()
    os.utime(tmp_path / "c/3", (9, 9))
    assert find_finished(str(tmp_path)) == tmp_path / "b/2"
    (tmp_path / "s/4").mkdir(parents=True)
    (tmp_path / "s/4/sweep.json").write_text("")
    assert find_finished(str(tmp_path)) == tmp_path / "s/4"
    assert find_finished(str(tmp_path / "c/3")) == tmp_path / "c/3"


# What is refused

Change = Callable[[Path], object]


def _status(status: str, **facts: str) -> Change:
    def change(run: Path) -> None:
        content = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(content | {"status": status} | facts))

    return change


def _damage(name: str) -> Change:
    def change(run: Path) -> None:
        content = bytearray((run / name).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (run / name).write_bytes(content)

    return change


def _link(name: str) -> Change:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to("/etc/passwd")

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda run: (run / "weights.safetensors").unlink(), "weights.safetensors: No such file or directory"),
        (_damage("weights.safetensors"), "weights.safetensors: "),
        (_damage("config.yaml"), "config.yaml is damaged or was changed"),
        (_damage("spec.json"), "spec.json is damaged or was changed"),
        (lambda run: (run / "report.json").write_text("{"), "report.json: it does not say what the run reached"),
        (lambda run: (run / "report.json").unlink(), "report.json"),
        (lambda run: (run / "run.json").unlink(), "run.json"),
        (lambda run: (run / "run.json").write_text('{"status": "elsewhere"}'), "run.json is damaged, it has no status"),
        (lambda run: (run / "environment.json").write_text("{"), "environment.json is damaged"),
        (_status("running"), "is not finished; write dlcourse resume"),
        (_status("stopped"), "is not finished; write dlcourse resume"),
        (
            _status("failed", reason="the loss became NaN"),
            "has failed (the loss became NaN); dlcourse report needs a finished",
        ),
        (_link("mistakes.png"), "mistakes.png is a link, which dlcourse does not make"),
        (_link("report.txt"), "report.txt is a link"),
        (_link("weights.safetensors"), "weights.safetensors is a link"),
    ],
)
def test_half_a_run_is_refused(change: Change, line: str, lab: Lab, digits: Path) -> None:
    shutil.copytree(digits, "run")
    change(Path("run"))
    assert line in refused(lab, "run")


def test_a_run_that_is_still_running_is_refused(lab: Lab, digits: Path) -> None:
    shutil.copytree(digits, "run")
    _status("running")(Path("run"))
    with Path("run/.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "run is still running; wait for it" in refused(lab, "run")


def test_a_run_of_an_unknown_format_is_refused(lab: Lab, digits: Path) -> None:
    shutil.copytree(digits, "run")
    config = Path("run/config.yaml")
    config.write_text(config.read_text() + "quantum: {bits: 7}\n")
    facts = json.loads(Path("run/run.json").read_text())
    facts["files"]["config.yaml"] = hashlib.sha256(config.read_bytes()).hexdigest()
    Path("run/run.json").write_text(json.dumps(facts))
    assert "unknown section 'quantum'" in refused(lab, "run")


def test_half_a_sweep_is_refused(sweeps: Sweeps) -> None:
    folder = sweeps.sweep("optimizer.lr=0.1,0.01", "hydra.launcher.jobs=1", "report=light")
    runs = sorted(path for path in folder.iterdir() if path.is_dir())
    shutil.rmtree(runs[1])
    assert f"is not finished, 1 run still to do; write dlcourse resume {folder}" in refused(sweeps, folder)
    runs[1].symlink_to(runs[0].resolve())
    assert f"{runs[1].name} is a link" in refused(sweeps, folder)
    runs[1].unlink()
    plan = folder / "sweep.json"
    plan.write_text(plan.read_text().replace("0.01", "0.02"))
    assert "sweep.json is damaged" in refused(sweeps, folder)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere"], "'nowhere' does not exist"),
        (["empty"], "'empty' has no weights.safetensors; expected the folder of a finished run, or of a sweep"),
        ([], "RUN is missing; write dlcourse report outputs/NAME/TIME"),
        (["empty", "other"], "'other': report takes one RUN"),
        (["empty", "--tittle", "x"], "unknown flag '--tittle'; did you mean '--title'?"),
        (["empty", "--title"], "--title needs a value"),
        (["empty", "--title", " "], "--title must be a text of 1 to 200 characters, got nothing"),
        (["empty", "--author", "x" * 201], "--author must be a text of 1 to 200 characters, got 201 characters"),
        (["empty", "--notes", "none.md"], "--notes none.md does not exist"),
        (["empty", "--notes", "empty"], "--notes empty is not a file"),
        (["empty", "--notes", "latin.md"], "--notes latin.md is not UTF-8 (byte 1); save it as UTF-8"),
        (["empty", "--notes", "large.md"], "--notes large.md is too large for a page; the limit is 64 KiB"),
        (["empty", "--out", "page.pdf"], "--out page.pdf must end in .html"),
        (["empty", "--out", "nowhere/page.html"], "the folder nowhere does not exist"),
        (["empty", "--out", "there.html"], "--out there.html exists already"),
        (["empty", "--out", "link.html"], "--out link.html exists already"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str, lab: Lab) -> None:
    Path("empty").mkdir()
    Path("there.html").write_text("mine")
    Path("link.html").symlink_to("there.html")
    Path("latin.md").write_bytes("né".encode("latin-1") + b"e")
    Path("large.md").write_text("x" * 70_000)
    assert line in refused(lab, *words)


def test_torch_is_not_loaded_for_a_mistake(tmp_path: Path) -> None:
    code = "import sys; from dlcourse.cli.main import main; main(['report', 'there']); print('torch' in sys.modules)"
    _status_of = leave(tmp_path / "there", status="failed", reason="x")
    (_status_of / "config.yaml").write_text("")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "has failed (x)" in done.stderr and done.stdout == "False\n"


@pytest.mark.parametrize("word", ["html", "pdf", "handout"])
def test_other_words_for_it_lead_to_it(word: str, lab: Lab) -> None:
    assert main([word, "outputs"]) == 2
    assert "did you mean 'report'?" in lab.capsys.readouterr().err


def test_help_shows_an_example(lab: Lab) -> None:
    assert "dlcourse report outputs/mnist-cnn" in asked(lab, "--help") and verb.HELP.startswith("dlcourse report RUN")


def test_the_command_of_a_sweep_that_is_no_grid_is_that_of_a_run() -> None:
    pairs = (("x", 1), ("y", 2))
    runs = [PlannedRun(("seed=1", f"model={name}", f"a={a}"), (f"model={name}", f"a={a}"), "") for name, a in pairs]
    assert sweep_page.sweep_command(Plan(tuple(runs))) == (
        "dlcourse train seed=1 model=x a=1",
        "The first of its runs alone:",
    )


def test_the_command_of_a_search_can_be_typed() -> None:
    space = {
        "optimizer.lr": Interval(1e-4, 0.1, log=True),
        "trainer.batch_size": Interval(8, 64, whole=True),
        "model": Choices(("mlp", "cnn")),
    }
    command, _ = sweep_page.sweep_command(Plan((), search=Search(("data=digits",), space, trials=9)))
    assert command == (
        "dlcourse train -m hydra/sweeper=search hydra.sweeper.trials=9 hydra.sweeper.method=tpe data=digits "
        "'optimizer.lr=tag(log,interval(0.0001,0.1))' 'trainer.batch_size=interval(8,64)' 'model=choice(mlp,cnn)'"
    )
    assert hydra_guard.check(parse(shlex.split(command)[3:]), [conf_dir()], sweep=True)


def test_report_txt_is_split_behind_what_it_says_of_the_test() -> None:
    text = "a\n\ntest   x\n       one\n       2 -> 3\n\nrest\nof it\n"
    assert run_page.split_report(text) == (["one", "2 → 3"], "rest\nof it")
    assert run_page.split_report("nothing") == ([], "")
    text = f"a\n\n  test\naccuracy  1\n{BELOW_NUMBERS}3; x\n\none\n2 -> 3\n\nrest\n\nof it\n"
    assert run_page.split_report(text) == (["one", "2 → 3"], "rest\n\nof it")
