"""`dlcourse list`: what is printed for our entries and for the YAML files of a user."""

import pytest

from dlcourse import cli
from dlcourse.commands import listing
from dlcourse.commands.config_files import GROUPS
from dlcourse.commands.entry_files import Option, read_entry

OWN = """\
# My own model.
# Tried on Tuesday.
name: own
hidden: [1, 2]  # list of whole number >= 1: units of each layer
hash: "a # b"  # text: with a hash
plain: 3
block:  # list of text: in lines
  - 1
  - two
inner:  # section: nested options
  rate: 1e-3  # number > 0: of the inside
  flow: {a: 1}
"""


@pytest.fixture
def own(tmp_path):
    for group in GROUPS:
        (tmp_path / group).mkdir()
    (tmp_path / "model" / "own.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(own, capsys):
    def run(*words):
        code = cli.main(["list", "--config-dir", str(own), *words])
        return code, *capsys.readouterr()

    return run


def test_options_are_parsed_with_their_comments(own):
    entry = read_entry("model", own / "model" / "own.yaml")
    assert entry.head == ("My own model.", "Tried on Tuesday.")
    assert entry.options == (
        Option(("hidden",), "[1, 2]", "list of whole number >= 1", "units of each layer"),
        Option(("hash",), "a # b", "text", "with a hash"),
        Option(("plain",), "3", "", ""),
        Option(("block",), "[1, two]", "list of text", "in lines"),
        Option(("inner",), "", "section", "nested options"),
        Option(("inner", "rate"), "1e-3", "number > 0", "of the inside"),
        Option(("inner", "flow"), "{a: 1}", "", ""),
    )


def test_overview_shows_every_group_and_the_options_of_an_entry(run):
    code, out, _ = run()
    assert code == 0
    for title in ("models", "features", "tasks", "optimizers", "schedulers", "devices", "trainer"):
        assert f"\n{title}   " in f"\n{out}"
    assert "  own " in out and "My own model." in out and "hidden=[1,2] hash=a#b plain=3" in out


def test_piped_output_is_plain_and_100_wide(run):
    _, out, _ = run()
    assert "\033" not in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("word", ["own", "model=own", "models=own"])
def test_one_entry_in_full(run, word):
    code, out, _ = run(word)
    assert code == 0
    lines = out.splitlines()
    assert lines[:3] == ["model=own", "  My own model.", "  Tried on Tuesday."]
    assert lines[3].split(maxsplit=3) == ["hidden", "[1,", "2]", "list of whole number >= 1  units of each layer"]
    assert any(line.strip().startswith("rate") and "of the inside" in line for line in lines)


@pytest.mark.parametrize("words", [["optimizer"], ["optimizers"]])
def test_groups_may_be_singular_or_plural(run, words):
    code, out, _ = run(*words)
    assert code == 0
    assert "optimizer=sgd\n" in out and "optimizer=adam\n" in out and "model=" not in out


def test_an_experiment_prints_its_head_comment(run, own):
    (own / "experiment" / "try.yaml").write_text("# @package _global_\n# Command: x\n# Expected: 0.9\nseed: 3\n")
    assert "Command: x\n  Expected: 0.9\n    seed  3" in run("try")[1]
    assert "  try " in run()[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modle"], "nothing is called 'modle'; did you mean 'model'?"),
        (["model=onw"], "unknown model 'onw'; did you mean 'own'?"),
        (["modell=own"], "unknown group 'modell'; did you mean 'model'?"),
        (["--foo"], "unknown flag '--foo'"),
        (["--config-dir"], "--config-dir needs a folder"),
        (["--config-dir", "nowhere"], "--config-dir 'nowhere' does not exist"),
    ],
)
def test_mistakes(run, words, message):
    code, out, err = run(*words)
    assert code == 2 and out == ""
    assert err.startswith("dlcourse: error: ") and message in err and err.count("\n") == 1


def test_a_broken_file_is_named(run, own):
    (own / "model" / "bad.yaml").write_text("a: [1\n")
    code, _, err = run()
    assert code == 2 and "bad.yaml line 2" in err


def test_a_terminal_gets_bold_unless_no_color(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    listing.main(["optimizer=sgd"])
    assert "\033[1moptimizer=sgd\033[0m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    listing.main([])
    out = capsys.readouterr().out
    assert "\033" not in out and max(map(len, out.splitlines())) <= 60
