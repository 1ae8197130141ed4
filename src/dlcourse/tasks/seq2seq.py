"""Sequence to sequence: teacher forcing, greedy decoding, and what is measured on whole sequences.

N is a number of examples, B a batch size, T the most tokens of a target, V the size of the vocabulary. Targets end with
END, then PAD.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.models.attention import CrossAttention, record_attention
from dlcourse.plots import AccuracyByLength, AttentionMap
from dlcourse.spec import Batch, DataSpec, Split
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.task import LossTask, Scalars, output_shape
from dlcourse.tokens import END, PAD, SPECIAL, START, encode_prompt, tokenizer_of

_NUM_EXAMPLES = 8


class SequenceToSequence(LossTask):
    """A sequence of tokens for each example: cross-entropy of every token, given the true ones before it.

    `accuracy` is the share of examples whose whole output is right when the model decodes greedily, fed with its own
    tokens; `accuracy_tokens` the share of tokens that are right given the true ones before.
    """

    main_metric = "accuracy"
    monitor = "accuracy"
    mode = "max"

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        if spec.target != "sequence":
            raise ConfigError(
                f"task 'seq2seq' needs sequences for targets, and data '{spec.name}' has {spec.target_kind.words}; "
                f"write task={spec.target_kind.task}"
            )
        shape = output_shape(model, spec, device)
        wanted = (spec.output_length, len(spec.vocabulary))
        if shape != wanted:
            raise ConfigError(
                f"task 'seq2seq' needs outputs of shape {wanted} for data '{spec.name}', and the model's have shape "
                f"{shape}; write model=transformer"
            )
        super().__init__(model, spec, device)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.spec.vocabulary))

    def losses(self, batch: Batch) -> Scalars:
        logits = self._teacher_forced(batch)  # (B, T, V)
        loss = functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=PAD)
        with torch.no_grad():
            counted = batch.targets != PAD
            right = (logits.argmax(-1) == batch.targets) & counted
        return {"loss": loss, "accuracy_tokens": right.sum() / counted.sum()}

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        """Teacher forcing suffices to count the sequences that greedy decoding gets right.

        The first token is the same in both. If all tokens up to some place are right, greedy decoding feeds the model
        exactly the true ones, and so the next is the same too; if one is wrong, so are both sequences.
        """
        counts = _Counts()
        for batch in split.batches(batch_size):
            with self.device.autocast():
                logits = self._teacher_forced(batch).float()
            counts.add(logits, batch.targets)
        report = Report(counts.scalars())
        if full:
            self._add_details(report, counts, split, batch_size)
        return report

    def sample(self, request: SampleRequest) -> Report:
        """The output for `prompt`, tokens with blanks between them."""
        request.refuse_all_but("prompt")
        example = self.spec.vocabulary[len(SPECIAL) :][:3]
        if request.prompt is None or not request.prompt.split():
            raise ConfigError(f"--prompt is missing: the input sequence, such as --prompt '{' '.join(example)}'")
        inputs = self.encode(request.prompt, "--prompt")
        outputs = self.greedy(inputs)
        return Report({}, texts={"sample": self._arrow(inputs[0], outputs[0])})

    def encode(self, text: str, option: str) -> Tensor:
        """The input sequence `(1, T)` that was given for an option, tokens with blanks between; raises ConfigError."""
        if set(text.split()) & set(SPECIAL):
            raise ConfigError(f"{option}: {', '.join(SPECIAL)} are added by the program; write the input without")
        tokens = encode_prompt(text, tokenizer_of(self.spec), option)
        longest = self.spec.input_shape[0]
        if len(tokens) > longest:
            raise ConfigError(f"{option} has {len(tokens)} tokens, and the model reads at most {longest}; use fewer")
        inputs = self.spec.zeros(1, self.device.torch_device)  # zeros are PAD
        inputs[0, : len(tokens)] = torch.tensor(tokens, device=inputs.device)
        return inputs

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The output for each input sequence `(B, T)`, decoded greedily."""
        return [Answer(text=self._text(output)) for output in self.greedy(inputs)]

    def greedy(self, inputs: Tensor) -> Tensor:
        """The likeliest token at each step, given those before it, `(B, T)`; PAD behind END."""
        length = self.spec.output_length
        previous = inputs.new_full((len(inputs), length + 1), PAD)
        previous[:, 0] = START
        ended = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
        for step in range(length):
            with self.device.autocast():
                tokens = self.model(inputs, previous[:, :length])[:, step].argmax(-1)  # (B, T, V) -> (B,)
            previous[:, step + 1] = tokens.masked_fill(ended, PAD)
            ended |= tokens == END
            if bool(ended.all()):
                break
        return previous[:, 1:]

    def _teacher_forced(self, batch: Batch) -> Tensor:
        return self.model(batch.inputs, _shifted(batch.targets))

    def _add_details(self, report: Report, counts: "_Counts", split: Split, batch_size: int) -> None:
        lengths, correct, totals = counts.by_length()
        scalars = report.scalars
        report.headline = (
            f"accuracy {100 * scalars['accuracy']:.2f} % of whole sequences   "
            f"tokens {100 * scalars['accuracy_tokens']:.2f} %   loss {scalars['loss']:.4g}"
        )
        rows = list(zip(lengths, correct, totals, strict=True))
        table: list[list[object]] = [["length", "right", "examples", "accuracy"]]
        report.tables["accuracy_by_length"] = table + [[*row, row[1] / row[2]] for row in rows]
        report.tables["predictions"] = _prediction_rows(counts)
        report.details["accuracy_by_length"] = {str(length): right / total for length, right, total in rows}
        report.pictures["accuracy_by_length"] = AccuracyByLength(lengths, correct, totals)
        report.lines = ["length  right  examples  accuracy"]
        report.lines += [f"{length:6d}  {right:5d}  {total:8d}  {right / total:8.4f}" for length, right, total in rows]
        self._add_examples(report, next(iter(split.batches(batch_size))))

    def _add_examples(self, report: Report, batch: Batch) -> None:
        inputs, targets = batch.inputs[:_NUM_EXAMPLES], batch.targets[:_NUM_EXAMPLES]
        outputs = self.greedy(inputs)
        shown = [
            f"{self._arrow(source, output)}   {'right' if output.equal(target) else 'wrong: ' + self._text(target)}"
            for source, output, target in zip(inputs, outputs, targets, strict=True)
        ]
        report.highlights = shown[:2]
        report.lines += ["", "examples (input -> output, decoded greedily):", *shown]
        longest = int((inputs != PAD).sum(1).argmax())
        picture = self._attention_map(inputs[longest, None], outputs[longest, None])
        if picture is not None:
            report.pictures["attention"] = picture

    def _attention_map(self, inputs: Tensor, outputs: Tensor) -> AttentionMap | None:
        """How the last layer looks from the output of one example `(1, T)` at its input, averaged over its heads."""
        layers = [name for name, layer in self.model.named_modules() if isinstance(layer, CrossAttention)]
        if not layers:
            return None
        with record_attention(self.model) as maps:
            self.model(inputs, _shifted(outputs))
        weights = maps[layers[-1]][0].mean(0).float().cpu()  # (1, H, T, S) -> (T, S)
        queries, keys = _symbols(self.spec, outputs[0]), _symbols(self.spec, inputs[0])
        title = "Where the last layer of the decoder looks, at each token it writes"
        return AttentionMap(weights[: len(queries), : len(keys)], queries, keys, title)

    def _arrow(self, source: Tensor, output: Tensor) -> str:
        return f"{self._text(source)} -> {self._text(output)}"

    def _text(self, tokens: Tensor) -> str:
        """The tokens in words, without those that only mark beginning, end and filling."""
        return " ".join(symbol for symbol in _symbols(self.spec, tokens) if symbol not in SPECIAL)


@dataclass
class _Counts:
    """Sums over the examples of a split, and the length and success of each."""

    loss: float = 0.0
    right_tokens: int = 0
    tokens: int = 0
    lengths: tuple[int, ...] = ()
    right: tuple[bool, ...] = ()

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Logits `(B, T, V)` given the true tokens, and targets `(B, T)`."""
        counted = targets != PAD
        hits = (logits.argmax(-1) == targets) & counted
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD, reduction="sum")
        self.loss += loss.item()
        self.right_tokens += int(hits.sum())
        self.tokens += int(counted.sum())
        self.lengths += tuple((counted.sum(1) - 1).tolist())  # without END
        self.right += tuple((hits == counted).all(1).tolist())

    def scalars(self) -> dict[str, float]:
        return {
            "loss": self.loss / self.tokens,
            "accuracy": sum(self.right) / len(self.right),
            "accuracy_tokens": self.right_tokens / self.tokens,
        }

    def by_length(self) -> tuple[list[int], list[int], list[int]]:
        """The lengths there are, and for each the examples that are right and all of them."""
        lengths = sorted(set(self.lengths))
        right = [sum(hit for hit, own in zip(self.right, self.lengths, strict=True) if own == size) for size in lengths]
        return lengths, right, [self.lengths.count(size) for size in lengths]


def _prediction_rows(counts: _Counts) -> list[list[object]]:
    """A head and a row for each example: the tokens of its target, and whether all of them are right."""
    rows: list[list[object]] = [["example", "length", "right"]]
    for example, (length, is_right) in enumerate(zip(counts.lengths, counts.right, strict=True)):
        rows.append([example, length, int(is_right)])
    return rows


def _shifted(targets: Tensor) -> Tensor:
    """What the decoder reads: START, then the targets `(B, T)` without the last."""
    return torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1]], dim=1)


def _symbols(spec: DataSpec, tokens: Tensor) -> Sequence[str]:
    return [spec.vocabulary[token] for token in tokens.tolist() if token != PAD]
