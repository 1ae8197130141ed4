"""R7: a loss or a gradient that is not finite, at a random step of every kind of training, never reaches the weights."""

import contextlib
import io
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from dlcourse.cli.main import main
from dlcourse.optim.step import ScheduledOptimizer
from dlcourse.runs.checkpoints import Checkpoints
from dlcourse.runs.weights import from_bytes, read_tensors, to_bytes
from dlcourse.training.trainer import Trainer
from tiny_data import tiny_data
from torture.outcome import Outcome

CLIP = "trainer.clip_norm=1"

COMMANDS = {
    "classification": ["data=iris", "model.hidden=[4]", "model.norm=batch"],
    "regression": ["data=diabetes", "features=standard", "model=linreg", "optimizer=momentum", CLIP],
    "language": ["model=gru", "model.hidden=8"],
    "seq2seq": ["data=copy", "data.size=120", "model=transformer", "model.width=8", "model.layers=1", CLIP],
    "reconstruction": ["data=digits", "data.subset=80", "model=autoencoder"],
    "variational": ["data=digits", "data.subset=80", "model=vae"],
    "adversarial": ["data=ring", "data.size=120", "model=gan"],
    "diffusion": ["data=moons", "data.size=120", "model=diffusion"],
}
"""A small training for each task."""

_EPOCHS = ["trainer.epochs=2", "trainer.batch_size=32", "trainer.checkpoint.steps=1"]
_VALUES = (math.nan, math.inf, -math.inf)


@dataclass
class Poison:
    """What is put into the `call`-th gradient step: a value in place of the loss, or into the gradient of a parameter."""

    call: int
    value: float
    gradient: bool
    choice: float

    def told(self, is_clipped: bool) -> str:
        """What the error has to say of it; clipping looks at the norm."""
        if self.gradient:
            return f"the gradient became {abs(self.value) if is_clipped else self.value}"
        return f"the loss became {self.value}"

    def apply(self, descent: ScheduledOptimizer, loss: Tensor) -> Tensor:
        if not self.gradient:
            return loss * self.value
        groups = descent._optimizer.param_groups
        learnt = [parameter for group in groups for parameter in group["params"] if parameter.requires_grad]
        learnt[int(self.choice * len(learnt))].register_hook(self._spoil)
        return loss

    def _spoil(self, gradient: Tensor) -> Tensor:
        spoilt = gradient.clone()
        spoilt.view(-1)[int(self.choice * gradient.numel())] = self.value
        return spoilt


@dataclass
class Watched:
    """A run: what the weights were before each gradient step and at its end, and in which step the poison was given."""

    code: int = 0
    err: str = ""
    before: list[bytes] = field(default_factory=list)
    step: int = 0
    trainer: Trainer | None = None

    @property
    def weights(self) -> bytes:
        """Those in memory now."""
        assert self.trainer is not None
        return to_bytes(self.trainer._task.model.state_dict())


def train(words: list[str], folder: Path, poison: Poison | None = None) -> Watched:
    """Run the command in this process, with the poison."""
    watched = Watched()
    descend, fit = ScheduledOptimizer.descend, Trainer.fit

    def watched_step(self: ScheduledOptimizer, loss: Tensor) -> None:
        call = len(watched.before)
        watched.before.append(watched.weights)
        if poison is not None and call == poison.call:
            assert watched.trainer is not None
            watched.step = watched.trainer.history.steps + 1
            loss = poison.apply(self, loss)
        descend(self, loss)

    def watched_fit(self: Trainer) -> object:
        watched.trainer = self
        return fit(self)

    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(ScheduledOptimizer, "descend", watched_step),
        mock.patch.object(Trainer, "fit", watched_fit),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        watched.code = main(["train", *words, *_EPOCHS, f"run.dir={folder}", "trainer.checkpoint.keep=1000"])
    watched.err = err.getvalue()
    return watched


def problem(words: list[str], clean: Path, untouched: Watched, folder: Path, poison: Poison) -> str:
    """What is wrong with the run that was given the poison; empty where all is well."""
    found = train(words, folder, poison)
    expected = f"dlcourse: error: {poison.told(CLIP in words)} at step {found.step} ("
    wrong = [
        (found.code != 1, f"exit code {found.code}"),
        (not found.err.startswith(expected), f"not said: {expected!r}, but {found.err!r}"),
        (len(found.before) != poison.call + 1, "it went on after the poison"),
        (found.weights != untouched.before[poison.call], "the update was applied"),
        (json.loads((folder / "run.json").read_text())["status"] != "failed", "run.json does not say failed"),
        *_kept(clean, folder, found.step - 1),
    ]
    return ", ".join(text for holds, text in wrong if holds)


def _kept(clean: Path, folder: Path, step: int) -> Iterator[tuple[bool, str]]:
    """What is wrong with the checkpoints and the kept weights."""
    checkpoint, damaged = Checkpoints(folder / "checkpoints").newest()
    yield bool(damaged), f"damaged: {damaged}"
    yield checkpoint is None or checkpoint.step != step, "the newest checkpoint is not of the step before"
    if checkpoint is not None:
        model = checkpoint.contents["model.safetensors"]
        same = clean / "checkpoints" / f"step-{step:08d}" / "model.safetensors"
        yield not same.is_file() or model != same.read_bytes(), "its weights differ from those of the undisturbed run"
        for name in ("model.safetensors", "training.safetensors"):
            yield not _is_finite(from_bytes(checkpoint.contents[name])), f"{name} is not finite"
    best = folder / "weights.safetensors"
    yield best.exists() and not _is_finite(read_tensors(best)), "the best weights are not finite"


def _is_finite(tensors: dict[str, Tensor]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values() if tensor.is_floating_point())


def run(count: int, seed: int, folder: Path) -> Outcome:
    """So many poisoned runs, the tasks in turn, step, value and place at random."""
    outcome = Outcome("R7", f"loss or gradient not finite at a random step (seed {seed})")
    started = time.monotonic()
    generator = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    clean: dict[str, Watched] = {}
    blind = 0
    controls = max(1, count // 6)
    for number in range(count):
        task = list(COMMANDS)[number % len(COMMANDS)]
        words = COMMANDS[task] if task != "language" else [*COMMANDS[task], *tiny_data("text", folder / "text")]
        if task not in clean:
            clean[task] = train(words, folder / task)
            assert clean[task].code == 0, clean[task].err
        calls = len(clean[task].before)
        poison = Poison(
            generator.randrange(calls), generator.choice(_VALUES), generator.random() < 0.5, generator.random()
        )
        found = problem(words, folder / task, clean[task], folder / f"{number}-{task}", poison)
        outcome.count(not found, f"{task}, {poison}: {found}")
        if number < controls:
            with (
                mock.patch("dlcourse.optim.step.require_finite"),
                mock.patch("dlcourse.training.trainer.require_finite"),
            ):
                blind += not problem(words, folder / task, clean[task], folder / f"{number}-{task}-unchecked", poison)
    outcome.controls = [("not checked for finite numbers", blind, controls)]
    outcome.seconds = time.monotonic() - started
    return outcome
