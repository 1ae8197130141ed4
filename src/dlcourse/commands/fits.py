"""Which model trains on which data set: a table found by a test, kept beside this file."""

from pathlib import Path

import yaml

FITS_FILE = Path(__file__).with_name("fits.yaml")


def fits() -> dict[str, tuple[str, ...]]:
    """The names of the data sets of each model."""
    content = yaml.safe_load(FITS_FILE.read_text(encoding="utf-8"))
    return {model: tuple(names) for model, names in content.items()}
