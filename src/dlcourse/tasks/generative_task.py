"""Tasks whose trained models generate examples: what can be asked of them, and scores against the data."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError
from dlcourse.metrics.generative import SampleScores
from dlcourse.metrics.report import Report
from dlcourse.spec import Data
from dlcourse.tasks.task import Task


@dataclass(frozen=True)
class SampleRequest:
    """What `dlcourse sample` asks for; None leaves the choice to the task, which refuses what it has no use for.

    `label` is the name of a class, `guidance` the strength of its pull, `steps` those of a reverse diffusion; `prompt`
    is the text to continue by `length` tokens, at a `temperature`, among the `top_k` likeliest.
    """

    count: int | None = None
    label: str | None = None
    guidance: float | None = None
    steps: int | None = None
    prompt: str | None = None
    length: int | None = None
    temperature: float | None = None
    top_k: int | None = None

    def refuse_all_but(self, *taken: str) -> None:
        """Raise ConfigError if something is asked for that is not among the `taken`."""
        for name, value in vars(self).items():
            if value is not None and name not in taken:
                flags = ", ".join(f"--{known.replace('_', '-')}" for known in taken)
                raise ConfigError(f"--{name.replace('_', '-')} has no meaning for this run; it takes {flags}")


@runtime_checkable
class Generative(Protocol):
    """A task whose trained model generates examples."""

    def sample(self, request: SampleRequest) -> Report:
        """Generated examples: a report with pictures or texts. Raises ConfigError."""


class GenerativeTask(Task):
    """Abstract: a task whose samples are scored against the data set once `prepare` was called."""

    words: ClassVar[dict[str, str]] = {
        "frechet_real": "real images {:.3g}",
        "modes": "modes {:.0f}",
        "good": "good {:.1%}",
        "classes": "classes {:.0f}",
        "recognized": "recognized {:.1%}",
    }
    """How scores are said, by name."""
    _scores: SampleScores | None = None

    def prepare(self, data: Data) -> list[str]:
        self._scores = SampleScores.prepare(data, self.device)
        return self._scores.lines

    def class_index(self, name: str) -> int:
        """The index of the class that `--label` names; raises ConfigError."""
        if name not in self.spec.class_names:
            raise ConfigError(f"--label: no class '{name}'{suggestion(name, self.spec.class_names)}")
        return self.spec.class_names.index(name)

    def classes_in_turn(self, count: int) -> Tensor:
        """`(count,)` classes, each as often as the others to within one."""
        return torch.arange(count, device=self.device.torch_device) % len(self.spec.class_names)

    def say(self, name: str, value: float) -> str:
        """A score in words, such as `good 95.7 %`."""
        return self.words.get(name, name + " {:.4g}").format(value).replace("%", " %")
