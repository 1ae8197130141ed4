"""When a training is saved, and what of it: the files of a checkpoint made of the state of everything, and back."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.config.run_config import CheckpointConfig
from dlcourse.errors import DataError, DivergedError
from dlcourse.files import write_durably
from dlcourse.runs.checkpoints import Checkpoint, Checkpoints
from dlcourse.runs.folder import STATE
from dlcourse.runs.logger import Logger
from dlcourse.runs.weights import from_bytes, load_weights, save_weights, to_bytes
from dlcourse.state_dict import State, load_tensors, pack, unpack

MODEL, TRAINING, KEPT = "model.safetensors", "training.safetensors", "kept.safetensors"

_MOST_OF_THE_TIME = 0.03


class Saver:
    """Saves a training into checkpoints, by steps and by time; by time never so often that it takes more than 3 % of it.

    `about` says which run it is: it stands in each checkpoint, and is checked by whoever resumes. `clock` counts seconds.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        config: CheckpointConfig,
        logger: Logger,
        weights: Path,
        about: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoints = checkpoints
        self._config = config
        self._logger = logger
        self._weights = weights
        self._about = about
        self._clock = clock
        self._kept: dict[str, Tensor] = {}
        self.seconds = 0.0
        self._next_time = self._time_after(0.0)

    def is_due(self, step: int) -> bool:
        """Whether it is time to save after this step."""
        if self._config.steps is not None and step % self._config.steps == 0:
            return True
        return self._clock() >= self._next_time

    def save(self, step: int, model: nn.Module, state: State) -> None:
        """Write a checkpoint. Raises OSError, and DivergedError rather than keep weights that are not finite.

        Raises OutputError if the run folder is not there any more, and, once the checkpoint is written, if its log is not.
        """
        started = self._clock()
        tensors = model.state_dict()
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise DivergedError(f"the weights '{name}' became nan or infinite")
        packed, training = pack(state)
        contents = {
            MODEL: to_bytes(tensors),
            TRAINING: to_bytes(training),
            STATE: json.dumps({"about": self._about, "state": packed}).encode(),
        }
        self.write_kept_weights()
        links = {KEPT: self._weights} if self._weights.exists() else {}
        self._checkpoints.save(step, contents, self._logger.sync(), links)
        self._logger.require_intact()
        cost = self._clock() - started
        self.seconds += cost
        self._next_time = self._time_after(cost)

    def keep_weights(self, model: nn.Module) -> None:
        """Remember the weights of the epoch that is kept, in place of those of an earlier one, until the next checkpoint."""
        self._kept = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}

    def write_kept_weights(self) -> None:
        """Write them now, unless they are written already. Raises OSError."""
        if self._kept:
            save_weights(self._kept, self._weights)
            self._kept = {}

    def load_kept_weights(self, model: nn.Module) -> None:
        """Put the kept weights into the model."""
        self.write_kept_weights()
        load_weights(model, self._weights)

    def _time_after(self, cost: float) -> float:
        if self._config.seconds is None:
            return float("inf")
        return self._clock() + max(self._config.seconds, cost / _MOST_OF_THE_TIME)


def read(checkpoint: Checkpoint) -> tuple[State, State]:
    """The model's tensors by name, and the training's state; raises DataError."""
    try:
        tensors = from_bytes(checkpoint.contents[TRAINING])
        model = from_bytes(checkpoint.contents[MODEL])
    except (KeyError, ValueError) as error:
        raise DataError(f"cannot read {checkpoint.path}: {error}") from None
    return model, unpack(checkpoint.json(STATE).get("state"), tensors)


def restore(checkpoint: Checkpoint, model: nn.Module, weights: Path) -> State:
    """Put the weights back into the model, and the kept ones of that time into their file; returns the training's state.

    The checkpoint's contents, which take as much memory as the training, are let go. Raises DataError.
    """
    tensors, state = read(checkpoint)
    model.load_state_dict(load_tensors(model.state_dict(), tensors, "the weights"))
    kept = checkpoint.contents.get(KEPT)
    if kept is None:
        weights.unlink(missing_ok=True)
    elif not weights.is_file() or weights.read_bytes() != kept:
        write_durably(weights, kept)
    checkpoint.contents.clear()
    return state


def save_again(checkpoint: Checkpoint, checkpoints: Checkpoints, about: Mapping[str, Any]) -> None:
    """Write a checkpoint once more, of a run that continues with another config. Raises OSError."""
    state = json.dumps(checkpoint.json(STATE) | {"about": about}).encode()
    checkpoints.save(checkpoint.step, {**checkpoint.contents, STATE: state}, checkpoint.log, {})
