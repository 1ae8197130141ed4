"""What tasks that make examples up share: scores against the data, classes in turn, and scores in words."""

from typing import ClassVar

import torch
from torch import Tensor

from dlcourse.config.options import suggestion
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.generative import SampleScores
from dlcourse.spec import Data, DataSpec
from dlcourse.tasks.task import Task


class MakingTask(Task):
    """Abstract: a task whose samples are scored against the data set once `prepare` was called."""

    spec: DataSpec
    device: Device
    words: ClassVar[dict[str, str]] = {
        "frechet_real": "real images {:.3g}",
        "modes": "modes {:.0f}",
        "good": "good {:.1%}",
        "classes": "classes {:.0f}",
        "recognised": "recognised {:.1%}",
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
