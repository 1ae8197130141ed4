"""Language modelling: a text continued token by token, what that costs in nats and bits, and samples of it.

B is a batch size, T a number of tokens, V the size of the vocabulary.
"""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.ngrams import NGrams
from dlcourse.metrics.report import Report
from dlcourse.plots import LossByPosition
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.answers import Answer, rank
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.task import LossTask, Scalars, output_shape
from dlcourse.tokens import encode_prompt, is_byte_pairs, tokenizer_of

_TEMPERATURES = (0.5, 0.8, 1.0)
_SHORT, _LONG = 200, 500  # tokens of the samples of an evaluation, and of a full report
_MAX_LOGITS = 2**25  # at a time: 128 MiB
_COUNTED_AT_ONCE = 1024  # windows


class Language(LossTask):
    """The next token of a text: cross-entropy on logits `(B, T, V)`, in nats for each token."""

    name: ClassVar[str] = "language"
    main_metric = "perplexity"
    monitor = "loss"
    mode: Literal["max", "min"] = "min"

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        if spec.target != "next":
            raise ConfigError(
                f"task '{self.name}' needs text to continue, and data '{spec.name}' has {spec.target_kind.words}; "
                f"write task={spec.target_kind.task}"
            )
        shape = output_shape(model, spec, device)
        expected = (*spec.input_shape, len(spec.vocabulary))
        if shape != expected:
            raise ConfigError(
                f"task '{self.name}' needs outputs of shape {expected} for data '{spec.name}', a number for each token that "
                f"may come next, and the model's have shape {shape}; write model=transformer or model=lstm"
            )
        super().__init__(model, spec, device)
        self._tokenizer = tokenizer_of(spec)
        self._ngrams: NGrams | None = None

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.spec.vocabulary))

    def losses(self, batch: Batch) -> Scalars:
        return {"loss": _nats(self.model(batch.inputs), batch.targets).mean()}

    def prepare(self, data: Data) -> list[str]:
        """Count the n-grams of the training text: the losses of predictions without a network."""
        self._ngrams = NGrams.fit(data.train.batches(_COUNTED_AT_ONCE), len(self.spec.vocabulary))
        baselines = self._ngrams.losses(data.val.batches(_COUNTED_AT_ONCE))
        return [f"baselines (validation)   {_listed(baselines)}"]

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        by_position, by_window, targets = self._measure(split, batch_size)  # (T,) float64, (N,), (n,)
        loss = float(by_position.mean())
        bits = loss / math.log(2) * len(targets) / self._count_characters(targets)
        perplexity = float(torch.tensor(loss, dtype=torch.float64).exp())
        report = Report({"loss": loss, "bits_per_character": bits, "perplexity": perplexity})
        if self._ngrams is not None:
            report.texts["samples"] = self._samples(_LONG if full else _SHORT)
        if full:
            self._tell(report, split, by_position)
            head: list[object] = ["example", "loss"]
            windows = enumerate(by_window.tolist())
            report.tables["predictions"] = [head, *([number, f"{nats:.7g}"] for number, nats in windows)]
        return report

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The tokens that may come after each text `(B, T)`, with their probabilities."""
        with self.device.autocast():
            logits = self.model(inputs[:, -self.spec.num_features :])[:, -1]  # (B, V)
        return rank(logits.float().softmax(1), self.spec.vocabulary)

    def sample(self, request: SampleRequest) -> Report:
        """Texts that continue the prompt, or else from the start of a line."""
        request.refuse_all_but("prompt", "length", "temperature", "top_k", "count")
        tokens = encode_prompt(request.prompt, self._tokenizer) if request.prompt else self._start()
        written = self._write(
            tokens,
            _LONG if request.length is None else request.length,
            torch.full((request.count or 1, 1), 0.8 if request.temperature is None else request.temperature),
            request.top_k,
        )
        return Report({}, texts={"samples": "\n\n".join(written)})

    def _measure(self, split: Split, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
        """The mean loss at each position `(T,)` and of each window `(N,)`, and all targets in order `(n,)`, on the CPU.

        No logits are kept.
        """
        sums = torch.zeros(self.spec.num_features, dtype=torch.float64)
        windows, targets = [], []
        rows = max(1, min(batch_size, _MAX_LOGITS // (self.spec.num_features * len(self.spec.vocabulary))))
        for batch in split.batches(batch_size):
            for inputs, after in zip(*(torch.split(part, rows) for part in batch), strict=True):
                with self.device.autocast():
                    logits = self.model(inputs)  # (b, T, V)
                nats = _nats(logits, after)  # (b, T)
                sums += nats.sum(0).cpu().double()
                windows.append(nats.mean(1).cpu())
            targets.append(batch.targets)
        every = torch.cat(targets).cpu()  # (N, T)
        return sums / len(every), torch.cat(windows), every.flatten()

    def _count_characters(self, tokens: Tensor) -> int:
        if self.spec.tokenizer == "characters":
            return len(tokens)
        return max(1, len(self._tokenizer.decode(tokens.tolist())))

    def _tell(self, report: Report, split: Split, by_position: Tensor) -> None:
        """Add what a full report has besides the numbers."""
        scalars = report.scalars
        baselines = self._ngrams.losses(split.batches(_COUNTED_AT_ONCE)) if self._ngrams else {}
        better = {name: loss for name, loss in baselines.items() if loss < scalars["loss"]}
        report.headline = (
            f"{scalars['loss']:.2f} nats   {scalars['bits_per_character']:.2f} bits/character   "
            f"perplexity {scalars['perplexity']:.1f}"
        )
        if baselines:
            report.highlights.append(f"baselines: {_listed(baselines)}")
        if better:
            report.highlights.append(f"the model loses to counting: {_listed(better)} against {scalars['loss']:.2f}")
        report.details |= {
            "baselines": baselines,
            "loses_to": list(better),
            "loss_by_position": by_position.tolist(),
        }
        report.pictures["loss_by_position"] = LossByPosition(by_position.numpy(), baselines)
        if "samples" in report.texts:
            report.lines += report.texts["samples"].splitlines()

    def _samples(self, length: int) -> str:
        """One text for each temperature, under its temperature."""
        written = self._write(self._start(), length, torch.tensor(_TEMPERATURES)[:, None])
        return "\n\n".join(
            f"--- temperature {temperature} ---\n{text.strip()}"
            for temperature, text in zip(_TEMPERATURES, written, strict=True)
        )

    def _start(self) -> list[int]:
        """A prompt that the vocabulary surely has: the end of a line, or its first symbol."""
        has_lines = is_byte_pairs(self.spec) or "\n" in self.spec.vocabulary
        return self._tokenizer.encode("\n" if has_lines else self.spec.vocabulary[0])

    def _write(self, prompt: list[int], length: int, temperature: Tensor, top_k: int | None = None) -> list[str]:
        """A text for each row of the temperatures `(B, 1)`, prompt included."""
        device = self.device.torch_device
        tokens = torch.tensor(prompt, device=device).expand(len(temperature), -1)  # (B, T)
        with self.device.autocast():
            written = generate(self.model, tokens, length, self.spec.num_features, temperature.to(device), top_k)
        return [self._tokenizer.decode(row) for row in written.tolist()]


def generate(
    model: nn.Module,
    tokens: Tensor,
    length: int,
    context: int,
    temperature: float | Tensor = 1.0,
    top_k: int | None = None,
) -> Tensor:
    """Tokens `(B, T)` continued by `length` tokens, each drawn after the latest `context`: `(B, T + length)`.

    The model turns tokens `(B, T)` into logits `(B, T, V)`. Logits are divided by the `temperature`, one number or
    `(B, 1)`, of which 0 takes the likeliest token; with `top_k` only that many of the likeliest can be drawn.
    """
    for _ in range(length):
        logits = model(tokens[:, -context:])[:, -1].float()  # (B, V)
        tokens = torch.cat([tokens, _draw(logits, temperature, top_k)], dim=1)
    return tokens


def _draw(logits: Tensor, temperature: float | Tensor, top_k: int | None) -> Tensor:
    """A token for each row of logits: `(B, V) -> (B, 1)`."""
    vocab_size = logits.shape[1]
    kept, places = logits.topk(min(top_k or vocab_size, vocab_size))  # (B, k), the likeliest first
    warmth = torch.as_tensor(temperature, device=logits.device)
    weights = ((kept - kept[:, :1]) / warmth.clamp(min=1e-8)).softmax(1)
    drawn = torch.multinomial(weights, 1).masked_fill(warmth == 0, 0)
    return places.gather(1, drawn)


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of each prediction: `(B, T, V)`, `(B, T) -> (B, T)`."""
    return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


def _listed(baselines: dict[str, float]) -> str:
    return ", ".join(f"{name} {loss:.2f}" for name, loss in baselines.items()) + " nats"
