"""A figure of a user's, in a folder of config files: two short runs on iris."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dlcourse.cli.main import main

MINE = """\
# Mine: two learning rates on iris.
name: mine
items: [A3]
title: {en: Mine, ja: 私の図}
draw: curves
runs: [RUNS]
seconds: 3
check:
  - {number: optimizer.lr=0.1 test/accuracy, at_least: 0.6, at_most: 1, unit: "%", source: theory}
text: {en: "It is {optimizer.lr=0.1 test/accuracy:.1%}.", ja: "正解率 {optimizer.lr=0.1 test/accuracy:.1%} である。"}
"""
RUNS = "data=iris model=softmax trainer.epochs=3 optimizer.lr=0.1,0.01"


def write_figure(folder: Path, runs: str = RUNS, changes: Mapping[str, str] | None = None) -> Path:
    """The folder for --config-dir with this figure, in which texts are replaced by others."""
    text = MINE.replace("RUNS", f'"{runs}"')
    for before, after in (changes or {}).items():
        assert before in text
        text = text.replace(before, after)
    (folder / "lecture").mkdir(parents=True, exist_ok=True)
    (folder / "lecture" / "mine.yaml").write_text(text, encoding="utf-8")
    return folder


def folder_with_figure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in this folder, with no language set and the figure in conf/."""
    monkeypatch.chdir(folder)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    write_figure(folder / "conf")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code of a command that knows the figure, and what it printed."""
    code = main([*words, "--config-dir", "conf"])
    out, err = capsys.readouterr()
    return code, out, err
