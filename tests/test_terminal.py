"""What reaches the terminal: no character of a stranger's that it would obey, all that an encoding lacks, and our styles."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse import terminal
from dlcourse.cli.main import main
from dlcourse.console import Console
from lab import Lab

EVIL = "x\x1b[31mred\x9b2J\x07\x7fλ"
SHOWN = r"x\x1b[31mred\x9b2J\x07\x7fλ"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen:
    """Standard output and error as one terminal of 80 columns, from `open` on."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def open(self, **variables: str) -> None:
        for name in ("NO_COLOR", "FORCE_COLOR"):
            self._monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **variables}.items():
            self._monkeypatch.setenv(name, value)
        for stream in (sys.stdout, sys.stderr):
            self._monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)

    def text(self) -> str:
        return "".join(self._capsys.readouterr())


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(capsys, monkeypatch)


def table(path: Path, header: str, classes: tuple[str, str]) -> list[str]:
    rows = [f"{row % 4},{row % 3},{classes[row % 2]}" for row in range(60)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return ["data=csv", f"data.file={path.name}", "model=logreg", "trainer.epochs=1"]


def safe(*texts: str) -> bool:
    """Whether the name is shown in one of the texts, and nothing that a terminal obeys in any."""
    return any(SHOWN in text for text in texts) and not any(OBEYED.search(text) for text in texts)


# Where names come from


def test_class_names(lab: Lab) -> None:
    run = lab.train(*table(lab.folder / "t.csv", "a,b,answer", (EVIL, "y")), "data.target=answer")
    assert safe(lab.out, lab.err) and safe((run / "report.txt").read_text(encoding="utf-8"))


def test_the_header_of_a_table(lab: Lab) -> None:
    words = table(lab.folder / "t.csv", f"a,{EVIL},answer", ("x", "y"))
    lab.train(*words, "data.target=other", code=2)
    assert safe(lab.out, lab.err) and lab.err.count("\n") == 1


def test_facts_in_a_checkpoint_and_the_words_a_run_began_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlcourse.training import session

    facts, original = session.environment(), session.run
    with monkeypatch.context() as patches:
        patches.setattr(session, "environment", lambda: facts | {"python": EVIL})
        patches.setattr(session, "run", lambda config, words: original(config, [*words, f"tag={EVIL}"]))
        words = table(lab.folder / "t.csv", "a,b,answer", ("x", "y"))
        run = lab.train(*words, "data.target=answer")
    assert main(["resume", str(run), "trainer.epochs=2"]) == 0
    assert safe(*lab.capsys.readouterr())
    assert safe((run / "report.txt").read_text(encoding="utf-8"))


def test_names_of_data_files_and_folders(lab: Lab) -> None:
    for name in (EVIL, "dog"):
        (lab.folder / "photos" / name).mkdir(parents=True)
        for index in range(10):
            Image.fromarray(np.full((8, 8, 3), 9 * index, np.uint8)).save(lab.folder / "photos" / name / f"{index}.png")
    (lab.folder / "photos" / "dog" / f"{EVIL}.png").write_bytes(b"no picture")
    words = ["data=images", "data.folder=photos", "data.size=8", "model=softmax", "trainer.epochs=1"]
    words.append("trainer=full_batch")
    lab.train(*words, code=2)
    assert safe(lab.out, lab.err)
    run = lab.train(*words, "data.unreadable=skip")
    assert safe(lab.out, lab.err) and safe((run / "report.txt").read_text(encoding="utf-8"))


def test_sampled_text_keeps_newlines_and_tabs_only(lab: Lab) -> None:
    (lab.folder / "t.txt").write_text("ab\tcd\n\x1b[31m\x9b" * 400, encoding="utf-8")
    words = ["data=text", "data.file=t.txt", "data.context=8", "data.windows=200", "model=gru", "model.hidden=32"]
    run = lab.train(*words, "trainer.epochs=2", "optimizer.lr=0.01")
    assert not OBEYED.search(lab.out + (run / "samples.txt").read_text(encoding="utf-8"))
    for out in ([], ["--out", "sampled.txt"]):
        assert main(["sample", str(run), "--prompt", "ab\tcd\n\x1b[31m", "--length", "60", *out]) == 0
        shown, _ = lab.capsys.readouterr()
        assert not OBEYED.search(shown) and r"\x1b[31m" in shown and "\tcd\n" in shown
    assert "\x1b[31m" in (lab.folder / "sampled.txt").read_text(encoding="utf-8"), "what is asked for in a file"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model/own.yaml", f'name: mlp\n"{EVIL.encode("unicode_escape").decode()}": 3\n', ["train", "model=own"]),
        (f"model/{EVIL}.yaml", "# Own.\nname: mlp\nhidden: [4]\n", ["list", "all"]),
        (f"model/{EVIL}.yaml", "hidden: [4\n", ["list", "all"]),
        ("model/own.yaml", "name: mlp\n", ["train", f"model.{EVIL}=1"]),
        ("model/own.yaml", "name: mlp\n", ["train", f"--{EVIL}"]),
        ("model/own.yaml", "name: mlp\n", ["sample", EVIL]),
    ],
)
def test_keys_file_names_and_words(lab: Lab, name: str, content: str, words: list[str]) -> None:
    path = lab.folder / "own" / name
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    place = [] if words[0] == "sample" else ["--config-dir", "own"]
    main([words[0], *place, *words[1:]])
    assert safe(*lab.capsys.readouterr())


# Encodings


@pytest.mark.parametrize("encoding", [pytest.param("cp1252", marks=pytest.mark.slow), "ascii"])
def test_a_run_whose_names_the_console_cannot_show_ends_well(tmp_path: Path, encoding: str) -> None:
    words = table(tmp_path / "t.csv", "a,b,answer", ("αλφα", "βήτα"))
    done = subprocess.run(
        [sys.executable, "-m", "dlcourse", "train", *words, "data.target=answer", "run.dir=run"],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u03b1\u03bb\u03c6\u03b1" in done.stdout
    assert "αλφα" in (tmp_path / "run" / "report.txt").read_text(encoding="utf-8")
    assert "αλφα" in (tmp_path / "run" / "confusion_matrix.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [["list", "all"], ["train", "model=λ"]])
def test_listings_and_errors_show_what_an_encoding_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text("# Named λ.\nname: mlp\n", encoding="utf-8")
    written = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(written, "ascii", write_through=True))
    assert main([words[0], "--config-dir", str(tmp_path), *words[1:]]) in (0, 2)
    assert rb"\u03bb" in written.getvalue()


# Styles


def test_an_error_is_red_on_a_terminal(screen: Screen) -> None:
    screen.open()
    assert main(["lst"]) == 2
    assert screen.text().startswith("dlcourse: \x1b[1m\x1b[31merror:\x1b[0m unknown command 'lst'")


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_style_where_it_is_not_wanted(screen: Screen, variable: str, value: str) -> None:
    screen.open(**{variable: value})
    main(["lst"])
    main(["list", "all"])
    assert "\x1b" not in screen.text()


def test_a_pipe_gets_styles_only_where_they_are_forced(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    main(["lst"])
    assert "\x1b" not in capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(["lst"])
    assert "\x1b[31merror:" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    main(["lst"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_name_cannot_pass_for_a_style(screen: Screen) -> None:
    screen.open()
    with terminal.guarded():
        Console().say("data", EVIL)
        Console().rows(["    1  0.5"], mark="best")
        print(EVIL)
    assert screen.text() == f"\x1b[1mdata\x1b[0m   {SHOWN}\n    1  0.5  \x1b[32mbest\x1b[0m\n{SHOWN}\n"


def test_a_line_stays_one_line(screen: Screen) -> None:
    screen.open()
    with terminal.guarded():
        Console().show("run", "a\nb\tc")
    assert screen.text() == "\x1b[1mrun\x1b[0m    a\\nb\\tc\n"


# Width


def test_lines_are_folded_between_their_parts_and_commands_are_not(screen: Screen) -> None:
    screen.open(NO_COLOR="1")
    files = "  ".join(["report.txt", "confusion_matrix.png", "mistakes.png", "learning_curve.png", "metrics.jsonl"])
    with terminal.guarded():
        Console().say("test", "accuracy 97.44 % (97.11 to 97.73)   top-3 99.75 %   loss 0.0786   best epoch 2")
        Console().say("saved", files)
        Console().say("note", " ".join(["word"] * 20))
        Console().show("look", f"tensorboard --logdir {'folder/' * 12}")
    assert screen.text().splitlines() == [
        "test   accuracy 97.44 % (97.11 to 97.73)   top-3 99.75 %   loss 0.0786",
        "         best epoch 2",
        "saved  report.txt  confusion_matrix.png  mistakes.png  learning_curve.png",
        "         metrics.jsonl",
        f"note   {' '.join(['word'] * 14)}",
        f"         {' '.join(['word'] * 6)}",
        f"look   tensorboard --logdir {'folder/' * 12}",
    ]


def test_a_pipe_gets_lines_as_they_are(capsys) -> None:
    Console().say("note", "word " * 40 + "end")
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("columns", [30, 80])
def test_folding_loses_no_word_and_ends(columns: int) -> None:
    lines = ["a" * 100, "  one   two    " + "three " * 30, "x" * 29 + " " + "y" * 90 + "  z", ""]
    for line in lines:
        pieces = terminal.folded(line, columns)
        assert " ".join(pieces).split() == line.split()
        assert all(len(piece) <= columns or len(piece.split()) == 1 for piece in pieces)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [["--help"], ["list", "--help"], ["train", "--help"], ["sample", "--help"]])
def test_help_fits_the_terminal(capsys, monkeypatch: pytest.MonkeyPatch, words, columns) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "argv", ["dlcourse"])
    main(words)
    out = capsys.readouterr().out
    assert "dlcourse" in out and max(map(len, out.splitlines())) <= columns


def test_the_bar_says_epoch_and_share_of_the_run_and_is_wide_enough_to_read(screen: Screen) -> None:
    screen.open()
    with terminal.guarded():
        console = Console()
        console.start_progress(200, epochs=5, done=80)
        for step in range(81, 101):
            console.progress(step, 3, 0.12345, 0.0005)
        console.end_progress()
    last = [part for part in screen.text().split("\r") if "50 %" in part][-1]
    assert re.match(r"epoch 3/5  run  50 % \S+ +\S* *loss 0.1235  lr 0.0005 .* left$", last), last
    assert len(last) <= 80 and len(re.search(r"% (.*?) ?loss", last)[1]) >= 12


def test_a_resumed_run_s_bar_begins_where_it_was(screen: Screen) -> None:
    screen.open()
    with terminal.guarded():
        console = Console()
        console.start_progress(200, epochs=5, done=150)
        console.end_progress()
    assert "run  75 %" in screen.text()
