"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

from lab import Lab

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MNIST and CIFAR-10 files, or a skip where there is none."""
    folder = Path(os.environ.get("DLCOURSE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}; set DLCOURSE_TEST_DATA to a folder with MNIST/ and cifar-10-batches-py/"
        )
    return folder


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lab:
    """An empty folder, to be the working folder of `dlcourse train`."""
    monkeypatch.chdir(tmp_path)
    return Lab(tmp_path, capsys)
