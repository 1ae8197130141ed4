"""Skip-gram with negative sampling: a word's vector has to tell the words around it from words drawn at random.

B is a batch size, T a number of tokens, V the size of the vocabulary, E that of a vector, n a number of pairs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.config.options import Count
from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.metrics.word_vectors import complete, cosines, nearest, share_with_neighbor_of_class
from dlcourse.models.word_vectors import WordVectors
from dlcourse.plots import WordMap
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.answers import Answer
from dlcourse.tasks.task import LossTask, Scalars

_POWER = 0.75  # of how often a word occurs: the noise of Mikolov 2013
_COUNTED_AT_ONCE = 1024  # windows
_NEIGHBORS = 4
_MAPPED = 300  # words
_MOST_LOGITS = 2**24


class SkipGram(LossTask):
    """Which words stand within `window` of a word (Mikolov 2013, equation 4).

    The loss of a pair is -log s(u_o v_c) - sum over `negatives` words w from the noise of log s(-u_w v_c), with v_c the
    vector of the word in the middle, u_o that of the one beside it as a context, and s the sigmoid. The noise draws words
    as often as they occur, to the power of 3/4. Evaluations take the mean over the noise in place of draws from it.

    `neighbors` is the share of words whose nearest neighbor is of their class, and `analogies` the share of known
    analogies that hold, both of the vectors themselves and not of a split, if the data know classes and analogies.
    """

    model: WordVectors

    def __init__(
        self, model: nn.Module, spec: DataSpec, device: Device, window: Count = 5, negatives: Count = 5
    ) -> None:
        if not isinstance(model, WordVectors):
            raise ConfigError("task 'skip_gram' learns two vectors for each word; write model=embedding")
        if window >= spec.num_features:
            raise ConfigError(
                f"task.window={window} reaches out of windows of data.context={spec.num_features} tokens; write "
                f"task.window={max(1, spec.num_features - 1)} or a larger data.context"
            )
        super().__init__(model, spec, device)
        self._window = window
        self._negatives = negatives
        self._noise = torch.full((len(spec.vocabulary),), 1 / len(spec.vocabulary), device=device.torch_device)
        self._given = _indices(spec)
        if spec.word_classes:
            self.main_metric = "neighbors"

    def prepare(self, data: Data) -> list[str]:
        """Count the words of the training text, for the noise."""
        counts = torch.zeros(len(self.spec.vocabulary), dtype=torch.float64)
        for batch in data.train.batches(_COUNTED_AT_ONCE):
            counts += torch.bincount(batch.inputs.flatten().cpu(), minlength=len(counts))
        noise = counts**_POWER
        self._noise = (noise / noise.sum()).float().to(self.device.torch_device)
        return []

    def losses(self, batch: Batch) -> Scalars:
        centers, around = self._pairs(batch.inputs)  # (n,) both
        drawn = torch.multinomial(self._noise, len(centers) * self._negatives, replacement=True)
        vectors = self.model.vectors(centers)  # (n, E)
        contexts = self.model.contexts.weight  # (V, E)
        true = (vectors * functional.embedding(around, contexts)).sum(1)  # (n,)
        noise = functional.embedding(drawn, contexts).view(len(centers), self._negatives, -1)  # (n, k, E)
        false = torch.einsum("ne,nke->nk", vectors, noise)
        return {"loss": -(functional.logsigmoid(true) + functional.logsigmoid(-false).sum(1)).mean()}

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        report = Report({"loss": self._expected_loss(split, batch_size)})
        vectors = self.model.vectors.weight.detach()
        if self.spec.word_classes:
            report.scalars["neighbors"] = share_with_neighbor_of_class(vectors, self.spec.word_classes)
        if self._given is not None:
            first, second, third, fourth = self._given.to(vectors.device).T
            found = complete(vectors, first, second, third)
            report.scalars["analogies"] = float((found == fourth).float().mean())
        if full:
            self._tell(report, vectors.cpu())
        return report

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The cosines of the words nearest to the last word of each text `(B, T)`."""
        near = cosines(self.model.vectors.weight)[inputs[:, -1]]  # (B, V)
        near.scatter_(1, inputs[:, -1:], -torch.inf)
        names = self.spec.vocabulary
        return [
            Answer(values={names[place]: value for value, place in zip(*map(Tensor.tolist, row.topk(k)), strict=True)})
            for row in near
            for k in [min(_NEIGHBORS, len(names) - 1)]
        ]

    def _pairs(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs of a word of `(B, T)` and one at most `window` places before or behind it: `(n,)` both."""
        reach = range(1, min(self._window, tokens.shape[1] - 1) + 1)
        left = torch.cat([tokens[:, :-distance].flatten() for distance in reach])
        right = torch.cat([tokens[:, distance:].flatten() for distance in reach])
        return torch.cat([left, right]), torch.cat([right, left])

    def _expected_loss(self, split: Split, batch_size: int) -> float:
        """The mean loss of the split's pairs, with the mean over the noise for its draws."""
        total, count = torch.zeros((), dtype=torch.float64), 0
        rows = max(1, min(batch_size, _MOST_LOGITS // (self.spec.num_features * len(self.spec.vocabulary))))
        for batch in split.batches(rows):
            scores = self.model(batch.inputs).float()  # (B, T, V)
            noise = self._negatives * (functional.logsigmoid(-scores) @ self._noise)  # (B, T)
            for distance in range(1, self._window + 1):
                left, right = slice(None, -distance), slice(distance, None)
                for center, beside in ((left, right), (right, left)):
                    true = scores[:, center].gather(2, batch.inputs[:, beside, None])[:, :, 0]
                    total -= (functional.logsigmoid(true) + noise[:, center]).double().sum().cpu()
                    count += true.numel()
        return float(total / count)

    def _tell(self, report: Report, vectors: Tensor) -> None:
        """Add the neighbors of words and a map to a full report."""
        names, scalars = self.spec.vocabulary, report.scalars
        words = [f"loss {scalars['loss']:.3f}"]
        if "neighbors" in scalars:
            words.append(f"neighbor of the same class {scalars['neighbors']:.1%}".replace("%", " %"))
        if "analogies" in scalars:
            words.append(f"analogies {scalars['analogies']:.1%}".replace("%", " %"))
        report.headline = "   ".join(words)
        near = nearest(vectors, _NEIGHBORS).tolist()
        head: list[object] = ["word", *(f"neighbor_{place + 1}" for place in range(len(near[0])))]
        rows: list[list[object]] = [
            [repr(names[token]) if names[token].isspace() else names[token], *(names[other] for other in row)]
            for token, row in enumerate(near)
        ]
        report.tables["neighbors"] = [head, *rows]
        report.pictures["word_map"] = self._map(vectors)

    def _map(self, vectors: Tensor) -> WordMap:
        """The words with a class, or the most frequent ones, at the first two principal components of their vectors."""
        classes = self.spec.word_classes or ("",) * len(vectors)
        chosen = [token for token, label in enumerate(classes) if label] or self._noise.topk(
            min(_MAPPED, len(vectors))
        ).indices.tolist()
        unit = functional.normalize(vectors[chosen], dim=1)
        return WordMap(
            principal_components(unit).numpy(),
            [self.spec.vocabulary[token] for token in chosen],
            [classes[token] for token in chosen],
        )


def principal_components(vectors: Tensor) -> Tensor:
    """The first two principal components `(n, 2)` of vectors `(n, E)`."""
    centered = vectors - vectors.mean(0)
    left, sizes, _ = torch.linalg.svd(centered, full_matrices=False)
    flat = left[:, :2] * sizes[:2]
    return functional.pad(flat, (0, 2 - flat.shape[1]))


def _indices(spec: DataSpec) -> Tensor | None:
    """The tokens `(analogies, 4)` of the known analogies, if there are any."""
    if not spec.analogies:
        return None
    index = {word: token for token, word in enumerate(spec.vocabulary)}
    return torch.tensor([[index[word] for word in analogy.split()] for analogy in spec.analogies])
