"""The notebooks and the page for Python run from top to bottom, and show what they say they show."""

import doctest
import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from notebooks import NOTEBOOKS, executed, shown
from transcripts import REPOSITORY, comparable

PAGE = REPOSITORY / "docs" / "python.md"


def name(path: Path) -> str:
    return path.stem


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcourse.runs.logger.to_image", lambda picture: np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_the_cells_of_a_notebook_run_in_order(path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kernel, which takes seconds to start, and with trainings of one epoch that draw nothing."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    draw_nothing(monkeypatch)
    names: dict[str, Any] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            source = re.sub(r"trainer\.epochs=\d+", "trainer.epochs=1", cell.source)
            exec(compile(source, str(path), "exec"), names)
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_shows_what_its_cells_show(path: Path, tmp_path: Path) -> None:
    """In a kernel of its own, from top to bottom."""
    assert shown(nbformat.read(path, as_version=4)) == shown(executed(path, tmp_path)), "scripts/docs refresh NOTEBOOK"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_small_and_names_no_folder_of_its_writer(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 400_000 and not re.search(r"/(?:home|tmp|work|Users)/", text)
    kinds = {kind for _, outputs in shown(nbformat.reads(text, as_version=4)) for kind, _ in outputs}
    assert kinds == {"stdout", "text", "picture"}


def test_the_page_shows_what_its_examples_show(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_nothing(monkeypatch)
    names: dict[str, Any] = {}
    compared = 0
    for kind, block in re.findall(r"^```(python|pycon)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        if kind == "python":
            exec(block, names)
            continue
        for example in doctest.DocTestParser().get_examples(block):
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(example.source, PAGE.name, "single"), names)
            if example.want:
                assert comparable(printed.getvalue()) == comparable(example.want), example.source
                compared += 1
    assert compared > 15
