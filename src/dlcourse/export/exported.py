"""The model of a run as one module from raw inputs to answers, with everything inside that dlcourse does around it.

B is a batch size, K the number of classes, O of numbers predicted, T of steps in a sequence, V the size of a vocabulary.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlcourse.errors import ConfigError
from dlcourse.spec import Batch
from dlcourse.tasks.adversarial import Adversarial
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.diffusion import Diffusion
from dlcourse.tasks.language import Language
from dlcourse.tasks.preference import Preference
from dlcourse.tasks.reconstruction import Reconstruction
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tasks.skip_gram import SkipGram
from dlcourse.tasks.task import Task
from dlcourse.tasks.variational import Variational
from dlcourse.tokens import PAD, START
from dlcourse.training.opened import OpenedRun

_NOISE_SEED = 20231102


@dataclass(frozen=True)
class Signature:
    """One input or output: its name, the shape of one example behind the batch, the type and what the numbers mean."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str


class Exported(nn.Module, ABC):
    """Abstract: from raw inputs to answers; in evaluation mode, on the CPU, and free of the task it was made from."""

    def __init__(self, task: Any) -> None:
        super().__init__()
        self.model = task.model.eval()
        self._task = (task,)  # in a tuple, so that it does not become a submodule: it only says what is expected
        self._spec = task.spec

    @property
    def task(self) -> Any:
        """The task of the run, whose own answers the exported file must give."""
        return self._task[0]

    @abstractmethod
    def raw(self, batch: Batch) -> tuple[Tensor, ...]:
        """The inputs of `forward` for a batch as the run's data give it."""

    @abstractmethod
    def expected(self, batch: Batch) -> Tensor:
        """The run's own answers to this batch."""

    @abstractmethod
    def describe(self, raw: tuple[Tensor, ...], answers: Tensor) -> tuple[tuple[Signature, ...], Signature]:
        """The inputs and the output, of which examples are given."""


class _OfExamples(Exported):
    """Abstract: one example in, as a user has it; images are pixels in [0, 1], tables and sequences are not scaled."""

    output: str
    meaning: str

    def raw(self, batch: Batch) -> tuple[Tensor, ...]:
        inputs = self._spec.to_pixels(batch.inputs) if self._spec.is_image else batch.inputs
        return (inputs.contiguous(),)

    def seen(self, raw: Tensor) -> Tensor:
        """Raw inputs `(B, ...)` as the data give them to the model."""
        return self._spec.from_pixels(raw) if self._spec.is_image else raw

    def describe(self, raw: tuple[Tensor, ...], answers: Tensor) -> tuple[tuple[Signature, ...], Signature]:
        spec = self._spec
        if spec.is_image:
            given = Signature("pixels", tuple(raw[0].shape[1:]), _dtype(raw[0]), "from 0 (black) to 1 (white)")
        elif spec.is_tokens:
            given = Signature("tokens", tuple(raw[0].shape[1:]), "int64", "places in the vocabulary, from 0")
        else:
            given = Signature("inputs", tuple(raw[0].shape[1:]), _dtype(raw[0]), "as in the data, not scaled")
        return (given,), Signature(self.output, tuple(answers.shape[1:]), _dtype(answers), self.meaning)


class Probabilities(_OfExamples):
    """A classifier: the probability of each class, `(B, ...) -> (B, K)`."""

    output, meaning = "probabilities", "one for each label, in their order"

    def __init__(self, task: Classification) -> None:
        super().__init__(task)
        self._of = task.probabilities

    def forward(self, raw: Tensor) -> Tensor:
        return self._of(self.model(self.seen(raw)))

    def expected(self, batch: Batch) -> Tensor:
        return self.task.probabilities(self.model(batch.inputs))


class Values(_OfExamples):
    """A regression: numbers in the units of the targets, `(B, ...) -> (B, O)`."""

    output, meaning = "values", "in the units of the targets"

    def forward(self, raw: Tensor) -> Tensor:
        outputs = self.model(self.seen(raw))
        return outputs * self.model.target_std + self.model.target_mean  # float64 if float32 would blur the targets

    def expected(self, batch: Batch) -> Tensor:
        return self.task.in_units(self.model(batch.inputs))


class Reconstructions(_OfExamples):
    """An autoencoder: each example as it comes back, `(B, ...) -> (B, ...)`; of a variational one from its code's mean."""

    output, meaning = "reconstruction", "in the units of the input"

    def __init__(self, task: Reconstruction | Variational) -> None:
        super().__init__(task)
        self._ends_in_logits = isinstance(task, Variational) and task.is_bernoulli

    def forward(self, raw: Tensor) -> Tensor:
        if self._spec.is_image:
            outputs = self.model.decode(self.model.represent(raw))
            return outputs.sigmoid() if self._ends_in_logits else outputs.clamp(0, 1)
        center, scale = self.model.center, self.model.scale
        return self.model.decode(self.model.represent((raw - center) / scale)) * scale + center

    def expected(self, batch: Batch) -> Tensor:
        if not self._spec.is_image:
            return self.forward(*self.raw(batch))
        return torch.stack([answer.image for answer in self.task.answer(batch.inputs)])


class NextTokens(_OfExamples):
    """A language model: the logits of the token after each, `(B, T) -> (B, T, V)`; of word vectors, of those around it."""

    output, meaning = "logits", "at each step one for each token of the vocabulary"

    def forward(self, raw: Tensor) -> Tensor:
        return self.model(raw)

    def expected(self, batch: Batch) -> Tensor:
        return self.model(batch.inputs)


class Rewards(_OfExamples):
    """A reward model: a number for each text, `(B, T) -> (B, 1)`, larger for one that is preferred."""

    output, meaning = "rewards", "the larger, the more the text is preferred"

    def raw(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch.inputs.chunk(2, dim=1)[0].contiguous(),)

    def forward(self, raw: Tensor) -> Tensor:
        return self.model(raw)

    def expected(self, batch: Batch) -> Tensor:
        return self.model(*self.raw(batch))


class Sequences(Exported):
    """A sequence-to-sequence model: `(B, S)` and the tokens so far `(B, T)` to logits `(B, T, V)` of the next ones."""

    def raw(self, batch: Batch) -> tuple[Tensor, ...]:
        starts = batch.targets.new_full((len(batch.targets), 1), START)
        return batch.inputs.contiguous(), torch.cat([starts, batch.targets[:, :-1]], dim=1)

    def forward(self, tokens: Tensor, previous: Tensor) -> Tensor:
        return self.model(tokens, previous)

    def expected(self, batch: Batch) -> Tensor:
        return self.model(*self.raw(batch))

    def describe(self, raw: tuple[Tensor, ...], answers: Tensor) -> tuple[tuple[Signature, ...], Signature]:
        tokens, previous = raw
        pad, start = (self._spec.vocabulary[token] for token in (PAD, START))
        so_far = f"{start} (token {START}), the output so far, {pad}"
        given = (
            Signature("tokens", tuple(tokens.shape[1:]), "int64", f"the input, then {pad} (token {PAD})"),
            Signature("previous", tuple(previous.shape[1:]), "int64", so_far),
        )
        meaning = "at each place of the output one for each token of the vocabulary"
        return given, Signature("logits", tuple(answers.shape[1:]), _dtype(answers), meaning)


class Generated(Exported):
    """The generator of a GAN: noise `(B, L)`, and classes `(B,)` if it is conditional, to examples in raw units."""

    def raw(self, batch: Batch) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(_NOISE_SEED)
        noise = torch.randn(len(batch.inputs), self.model.latent, generator=generator)
        return (noise, batch.targets) if self.model.is_conditional else (noise,)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        made = self.model.generator(noise, labels)
        return self._spec.to_pixels(made) if self._spec.is_image else made

    def expected(self, batch: Batch) -> Tensor:
        return self.forward(*self.raw(batch))

    def describe(self, raw: tuple[Tensor, ...], answers: Tensor) -> tuple[tuple[Signature, ...], Signature]:
        given = [Signature("noise", (self.model.latent,), "float32", "standard normal numbers")]
        if len(raw) > 1:
            given.append(Signature("classes", (), "int64", "places among the labels, from 0"))
        name, meaning = (
            ("pixels", "from 0 (black) to 1 (white)") if self._spec.is_image else ("points", "as in the data")
        )
        return tuple(given), Signature(name, tuple(answers.shape[1:]), _dtype(answers), meaning)


EXPORTED: dict[type[Task], type[Exported]] = {
    Classification: Probabilities,
    Regression: Values,
    Reconstruction: Reconstructions,
    Variational: Reconstructions,
    Language: NextTokens,
    SkipGram: NextTokens,
    Preference: Rewards,
    SequenceToSequence: Sequences,
    Adversarial: Generated,
}
"""What is exported of a run, by its task or a base class of it."""


def exported(run: OpenedRun) -> Exported:
    """The run's model as one module; raises ConfigError for a task that is not in the table."""
    for kind, wrapper in EXPORTED.items():
        if isinstance(run.task, kind):
            return wrapper(run.task)
    if isinstance(run.task, Diffusion):
        why = "a sample takes many passes through it"
    elif run.spec.environment:
        why = "it learns from games that it plays"
    else:
        why = "dlcourse does not know what its answers are"
    raise ConfigError(
        f"cannot export the model of task '{run.config.task.name}': {why}; for its weights write --to safetensors"
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
