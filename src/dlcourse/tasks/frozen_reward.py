"""A reward model that another run has trained, kept beside a task: read once, then part of the task's state."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dlcourse.config.registry import Choice
from dlcourse.device import Device
from dlcourse.errors import ConfigError, DataError
from dlcourse.models import MODELS
from dlcourse.runs.find import find_run
from dlcourse.runs.folder import WEIGHTS
from dlcourse.runs.reopen import read_config, read_spec, stated_checksum
from dlcourse.runs.weights import load_weights
from dlcourse.spec import DataSpec
from dlcourse.state_dict import State, load_tensors

_SPEC = ("name", "input_shape", "num_outputs", "target", "vocabulary", "tokenizer", "taste")


@dataclass(frozen=True, eq=False)
class FrozenReward:
    """A model that gives texts `(B, T)` a reward, with the run it comes from and the sha256 of that one's weights."""

    run: str
    sha256: str
    choice: Choice
    spec: DataSpec
    model: nn.Module

    @property
    def length(self) -> int:
        """The tokens of the texts that it has learned to judge."""
        return self.spec.input_shape[0] // 2

    @classmethod
    def read(cls, folder: str, option: str, device: Device) -> "FrozenReward":
        """That of a run that is done; raises ConfigError if it is of another kind, DataError if it is damaged."""
        run = find_run(folder, option)
        config, spec, checksum = read_config(run), read_spec(run), stated_checksum(run)
        if spec.target != "preference" or config.task.name != "preference":
            raise ConfigError(
                f"{option}={folder} is a run of task '{config.task.name}'; expected one of task=preference, a reward "
                "model"
            )
        if checksum is None:
            raise ConfigError(f"{option}={folder} is not finished; write dlcourse resume {run}")
        model = MODELS.build(config.model, spec=spec)
        load_weights(model, run / WEIGHTS, checksum)
        return cls(str(run), checksum, config.model, spec, _frozen(model, device))

    def rewards(self, texts: Tensor) -> Tensor:
        """A number for each of the texts `(B, T)`: `(B,)`."""
        return self.model(texts)[:, 0].float()

    def state_dict(self) -> State:
        spec = {name: getattr(self.spec, name) for name in _SPEC}
        choice = {"name": self.choice.name, "options": dict(self.choice.options)}
        about = {"run": self.run, "sha256": self.sha256, "model": choice, "spec": spec}
        return about | {"weights": dict(self.model.state_dict())}

    @classmethod
    def from_state(cls, state: State, device: Device) -> "FrozenReward":
        """The one that `state_dict` was called of; raises DataError."""
        try:
            spec = DataSpec(**{name: _tuple(state["spec"][name]) for name in _SPEC})
            choice = Choice(state["model"]["name"], state["model"]["options"])
            model = MODELS.build(choice, spec=spec)
            model.load_state_dict(load_tensors(model.state_dict(), state["weights"], "the reward model"))
            return cls(state["run"], state["sha256"], choice, spec, _frozen(model, device))
        except (KeyError, TypeError, ConfigError) as error:
            raise DataError(f"the reward model in the saved state cannot be built: {error}") from None


def _frozen(model: nn.Module, device: Device) -> nn.Module:
    return device.place(model).eval().requires_grad_(requires_grad=False)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
