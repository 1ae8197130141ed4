"""The export formats, known before torch is imported: file names, and the libraries that each needs."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError

LABELS, README = ".labels.json", ".README.md"
"""Endings of the files beside an exported one, behind its whole name."""


@dataclass(frozen=True)
class Format:
    """The ending of a file, the module of this package whose `write` makes it, what it needs, and the files beside it."""

    suffix: str
    module: str
    libraries: tuple[str, ...] = ()
    beside: tuple[str, ...] = (LABELS,)

    def files(self, path: Path) -> list[Path]:
        """The exported file of this name, and those beside it."""
        return [path, *(path.with_name(path.name + ending) for ending in self.beside)]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", "onnx_file", ("onnx", "onnxscript", "onnxruntime")),
    "torch-export": Format(".pt2", "torch_export"),
    "safetensors": Format(".safetensors", "weights_file", beside=(LABELS, README)),
    "playground": Format(".html", "playground", beside=()),
}


def named_format(name: str) -> Format:
    """The format of this name, whose libraries are all installed; raises ConfigError."""
    if name not in FORMATS:
        raise ConfigError(f"unknown format '{name}'{suggestion(name, FORMATS)}")
    found = FORMATS[name]
    missing = [library for library in found.libraries if importlib.util.find_spec(library) is None]
    if missing:
        libraries = "library" if len(missing) == 1 else "libraries"
        raise ConfigError(f"--to {name} needs the {libraries} {', '.join(missing)}: pip install 'dlcourse[{name}]'")
    return found
