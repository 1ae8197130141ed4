"""The notebooks in docs/: run from top to bottom in a kernel of this very interpreter, to be compared or written anew.

scripts/docs refresh docs/notebooks/NAME.ipynb      write what its cells show now
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from transcripts import ENVIRONMENT, REPOSITORY, comparable

NOTEBOOKS = sorted((REPOSITORY / "docs").rglob("*.ipynb"))
_SECONDS = 120
_SHOWN = ("text/html", "image/png", "text/plain")
"""The forms of what a cell shows that are kept, the first that there is."""


class _OfThisInterpreter(AsyncKernelManager):
    """Starts a kernel here, whatever kernels the user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def executed(path: Path, folder: Path) -> Any:
    """The notebook with what its cells show when they are run in a new folder; raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    place = folder / "work"
    place.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "PYTHONWARNINGS")}
    environment |= ENVIRONMENT | {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PLATFORM_DIRS": "1"}
    with tempfile.TemporaryDirectory() as sockets:  # whose names must be short
        manager = _OfThisInterpreter(
            connection_file=str(folder / "kernel.json"), transport="ipc", ip=f"{sockets}/kernel"
        )
        client = NotebookClient(notebook, km=manager, timeout=_SECONDS, coalesce_streams=True)
        client.owns_km = True  # and so ends the kernel, and closes its sockets
        client.execute(env=environment, cwd=str(place))
    for cell in notebook.cells:
        cell.metadata = {}  # the times of its run
        for output in cell.get("outputs", ()):
            _keep_one_form(output)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def _keep_one_form(output: Any) -> None:
    if "data" in output:
        kept = next(form for form in _SHOWN if form in output.data)
        output.data = {form: output.data[form] for form in dict.fromkeys((kept, "text/plain"))}
        output.metadata = {}


def shown(notebook: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each code cell with what it shows, as far as that is the same from run to run: of pictures that there is one."""
    return [
        (cell.source, [_comparable(output) for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _comparable(output: Any) -> tuple[str, str]:
    if output.output_type == "stream":
        return output.name, comparable(output.text)
    if "image/png" in output.data:
        return "picture", ""
    return "text", comparable(output.data.get("text/html") or output.data["text/plain"])


def write_anew(path: Path, folder: Path) -> bool:
    """Write the notebook with what its cells show now, if that differs by more than numbers, times and pixels."""
    before, now = nbformat.read(path, as_version=4), executed(path, folder)
    if shown(before) == shown(now):
        return False
    for number, cell in enumerate(now.cells):
        cell.id = f"cell-{number}"  # the same every time
    nbformat.write(now, path)
    return True
