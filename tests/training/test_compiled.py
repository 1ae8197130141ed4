"""`trainer.compile`: what is tried before training, and that it changes nothing but the speed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dlcourse.runs.weights import read_tensors
from lab import Lab

VAE = ["data=digits", "model=vae", "task.kl_warmup=20", "task.likelihood=gaussian", "trainer.epochs=2"]
"""Its loss depends on the steps so far, and it follows its error in a buffer."""
SIZES = ["trainer.batch_size=300", "trainer.eval_batch_size=100", "data.val_fraction=0.1"]


def as_it_is(sizes: list[int]) -> Callable[[Any], Any]:
    """A compiler that makes of a function the function itself, and notes the batches it is called with."""

    def compiler(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
        def noting(inputs: Tensor) -> Any:
            sizes.append(len(inputs))
            return forward(inputs)

        return noting

    return compiler


def test_all_sizes_of_batches_are_tried_and_nothing_is_changed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = lab.train(*VAE, *SIZES)
    sizes: list[int] = []
    monkeypatch.setattr(torch, "compile", as_it_is(sizes))
    compiled = lab.train(*VAE, *SIZES, "trainer.compile=true")
    assert sizes[:4] == [300, 1294 - 4 * 300, 100, 144 - 100]
    assert "note   compiled in " in lab.out
    expected = read_tensors(plain / "weights.safetensors")
    assert {n: t.tolist() for n, t in read_tensors(compiled / "weights.safetensors").items()} == {
        name: tensor.tolist() for name, tensor in expected.items()
    }


def test_without_a_compiler_the_run_continues_without(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(forward: object) -> Callable[[Tensor], Any]:
        def fail(inputs: Tensor) -> Any:
            raise RuntimeError("No working C++ compiler found\nmore")

        return fail

    monkeypatch.setattr(torch, "compile", missing)
    lab.train("data=iris", "trainer.epochs=1", "trainer.compile=true")
    assert "note   trainer.compile=true has no effect: No working C++ compiler found\n" in lab.out


def test_a_task_of_two_losses_is_refused(lab: Lab) -> None:
    assert lab.attempt("data=ring", "model=gan", "trainer.compile=true") == 2
    assert lab.err == "dlcourse: error: trainer.compile=true needs a task with one loss; write trainer.compile=false\n"


@pytest.mark.slow
def test_compiled_passes_give_the_same_losses_and_resume_to_the_bit(lab: Lab) -> None:
    words = ["data=digits", "model=mlp", "trainer.epochs=2", "trainer.compile=true"]
    plain, compiled, half = lab.train(*words[:-1]), lab.train(*words), lab.train(*words, "run.dir=half")
    assert "note   compiled in" in lab.out
    first, second = (read_tensors(run / "weights.safetensors") for run in (plain, compiled))
    for name, tensor in first.items():
        assert torch.allclose(second[name], tensor, atol=1e-3)
    assert {n: t.tolist() for n, t in second.items()} == {
        n: t.tolist() for n, t in read_tensors(half / "weights.safetensors").items()
    }
