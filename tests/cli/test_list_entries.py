"""`dlcourse list`: what is printed for our entries and for the YAML files of a user."""

import re

import pytest

from dlcourse.cli.entry_docs import Option, read_entry
from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.config.run_config import GROUPS

OWN = """\
# My own model.
# Tried on Tuesday.
name: own
hidden: [1, 2]  # list of whole numbers >= 1: units of each layer
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
        code = main(["list", "--config-dir", str(own), *words])
        return code, *capsys.readouterr()

    return run


def test_options_are_parsed_with_their_comments(own):
    entry = read_entry("model", own / "model" / "own.yaml")
    assert entry.head == ("My own model.", "Tried on Tuesday.")
    assert entry.options == (
        Option(("hidden",), "[1, 2]", "list of whole numbers >= 1", "units of each layer"),
        Option(("hash",), "a # b", "text", "with a hash"),
        Option(("plain",), "3", "", ""),
        Option(("block",), "[1, two]", "list of text", "in lines"),
        Option(("inner",), "", "section", "nested options"),
        Option(("inner", "rate"), "1e-3", "number > 0", "of the inside"),
        Option(("inner", "flow"), "{a: 1}", "", ""),
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_overview_is_one_screen_with_every_name_and_how_to_see_more(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = run()
    lines = out.splitlines()
    assert code == 0 and len(lines) <= 34 and max(map(len, lines)) <= columns
    words = out.split()
    for group in GROUPS:
        assert any(line.startswith(f"{group} ") for line in lines)
        assert {path.stem for path in (conf_dir() / group).glob("*.yaml")} <= set(words)
    assert "own" in words
    for more in ("list model=cnn", "list fits", "list all"):
        assert f"dlcourse {more} " in out


def test_list_all_shows_every_group_and_the_options_of_an_entry(run):
    code, out, _ = run("all")
    assert code == 0
    for title in ("models", "features", "tasks", "optimizers", "schedulers", "devices", "trainer"):
        assert f"\n{title}   " in f"\n{out}"
    assert "  own " in out and "My own model." in out and "hidden=[1,2] hash=a#b plain=3" in out


@pytest.mark.parametrize("words", [[], ["all"], ["model"], ["data"], ["trainer"], ["model=cnn"], ["fits"], ["--help"]])
@pytest.mark.parametrize("columns", [None, 60, 120])
def test_piped_output_is_plain_and_80_wide_unless_columns_says_otherwise(run, monkeypatch, words, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run(*words)
    assert "\033" not in out
    assert max(map(len, out.splitlines())) <= (columns or 80)


@pytest.mark.parametrize("word", ["data", "all"])
def test_what_entries_share_is_said_once(run, own, word):
    for name in ("one", "two", "three", "four"):
        more = "gap: 0.5  # number: of its own\n" if name == "one" else ""
        shared = "common: 3  # whole number: said once\nsection:  # section: both\n  inner: 1  # number: as well\n"
        (own / "data" / f"{name}.yaml").write_text(f"# Data {name}.\nname: {name}\n{shared}{more}")
    _, out, _ = run(word)
    if word == "data":
        assert out.count("said once") == out.count("as well") == out.count("\n    common ") == 1
    assert out.count("common=3") == (word == "all")
    assert out.count("also common section.*\n") == 4
    assert out.count("share of training labels replaced") <= 1
    assert "gap" in out and re.search("common +3 +whole number +said once", run("data=one")[1])


def test_an_option_that_differs_from_the_shared_one_is_named_with_its_section(run):
    assert "augment.crop  4 " in run("data")[1]


@pytest.mark.parametrize("word", ["own", "model=own", "models=own"])
def test_one_entry_in_full(run, word, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    code, out, _ = run(word)
    assert code == 0
    lines = out.splitlines()
    assert lines[:3] == ["model=own", "  My own model.", "  Tried on Tuesday."]
    assert lines[3].split(maxsplit=3) == ["hidden", "[1,", "2]", "list of whole numbers >= 1  units of each layer"]
    assert any(line.strip().startswith("rate") and "of the inside" in line for line in lines)


@pytest.mark.parametrize("words", [["optimizer"], ["optimizers"]])
def test_groups_may_be_singular_or_plural(run, words):
    code, out, _ = run(*words)
    assert code == 0
    assert "optimizer=sgd\n" in out and "optimizer=adam\n" in out and "model=" not in out


def test_an_experiment_prints_its_head_comment(run, own):
    (own / "experiment" / "try.yaml").write_text("# @package _global_\n# Command: x\n# Expected: 0.9\nseed: 3\n")
    assert "Command: x\n  Expected: 0.9\n    seed  3" in run("try")[1]
    assert "  try " in run("all")[1] and " try" in run()[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["modle"], "no group or entry 'modle'; did you mean 'model'?"),
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
    code, _, err = run("all")
    assert code == 2 and "bad.yaml line 2" in err


def test_a_terminal_gets_bold_unless_no_color(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    main(["list", "optimizer=sgd"])
    assert "\033[1moptimizer=sgd\033[0m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["list"])
    out = capsys.readouterr().out
    assert "\033" not in out and max(map(len, out.splitlines())) <= 60
