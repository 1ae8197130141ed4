"""`debug=profile` on a real run: the table names what is slow, and the trace can be opened."""

import json

import pytest
import torch

from dlcourse.models.mlp import MLP
from dlcourse.training.debug.profiling import NUMBERS, STEPS, TABLE, TRACE
from lab import Lab


def test_the_operator_that_takes_the_time_is_on_top(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = MLP.forward
    large = torch.randn(96, 96)

    def slow(self: MLP, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            torch.linalg.svd(large)
        return forward(self, inputs)

    monkeypatch.setattr(MLP, "forward", slow)
    backward, step = torch.autograd.backward, torch.amp.GradScaler.step
    assert lab.attempt("debug=profile", "device.threads=1", "data=digits", "model.hidden=[8]") == 0, lab.err
    assert torch.autograd.backward is backward and torch.amp.GradScaler.step is step, "what was timed is as before"
    (folder,) = (lab.folder / "outputs" / "debug" / "digits-mlp").iterdir()
    assert {path.name for path in folder.iterdir()} == {TRACE, TABLE, NUMBERS}
    assert "https://ui.perfetto.dev" in lab.out and str(folder.relative_to(lab.folder) / TRACE) in lab.out
    found = json.loads((folder / NUMBERS).read_text())
    first = next(operator for operator in found["operators"] if operator["name"].startswith("aten::"))
    assert (first["name"], first["calls"]) == ("aten::_linalg_svd", STEPS)
    phases = found["phase_seconds"]
    assert max(phases, key=phases.get) == "forward" and min(phases.values()) > 0
    assert found["samples_per_second"] > 0
    table = (folder / TABLE).read_text().splitlines()
    assert any(line.startswith("aten::_linalg_svd ") for line in table)
    names = {event.get("name") for event in json.loads((folder / TRACE).read_text())["traceEvents"]}
    assert {"train_step", "data", "aten::addmm", "aten::_linalg_svd"} <= names
    assert not list(lab.folder.rglob("test_looks.jsonl")) and not list(lab.folder.rglob("weights.safetensors"))
