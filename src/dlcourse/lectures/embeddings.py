"""The figure of words as vectors: a map, the neighbors of words, and an analogy as a parallelogram."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.metrics.word_vectors import complete, nearest, share_with_neighbor_of_class
from dlcourse.models.word_vectors import WordVectors
from dlcourse.plots import Picture, WordMap
from dlcourse.spec import DataSpec
from dlcourse.tasks.skip_gram import principal_components

_PERPLEXITY = 4.0


def embeddings(runs: Sequence[Finished], analogy: str = "man king woman queen", of_class: str = "person") -> Report:
    """Word vectors of a text of known word classes, as t-SNE and principal components show them.

    `analogy` are four words: the first is to the second as the third to the fourth. Words `of_class` are drawn on their own.
    """
    (run,) = required(runs, 1)
    opened = run.open()
    spec, model = opened.spec, opened.task.model
    if not isinstance(model, WordVectors) or not spec.word_classes:
        raise ConfigError(
            f"lecture.runs: the figure needs a run of model=embedding data=grammar, got model '{run.config.model.name}' "
            f"on data '{run.config.data.name}'"
        )
    vectors = model.vectors.weight.detach().cpu()
    first, second, third, fourth = _tokens(analogy, spec)
    found = complete(vectors, first, second, third)
    scalars = run.numbers() | {
        "neighbors of the same class": share_with_neighbor_of_class(vectors, spec.word_classes),
        "neighbors of the same class by chance": _by_chance(spec.word_classes),
        "analogy found": float(found == fourth),
        "words with a class": float(sum(map(bool, spec.word_classes))),
    }
    near = nearest(vectors, 4).tolist()
    rows: list[list[object]] = [["word", "class", "nearest", "second", "third", "fourth"]]
    names = spec.vocabulary
    rows += [[names[i], spec.word_classes[i], *(names[j] for j in near[i])] for i in _classed(spec)]
    pictures: dict[str, Picture] = {
        "map": _tsne(vectors, spec),
        "one_class": _one_class(vectors, spec, of_class, analogy),
    }
    return Report(scalars, pictures=pictures, tables={"neighbors": rows})


def _tokens(analogy: str, spec: DataSpec) -> tuple[Tensor, ...]:
    """The four words of an analogy as tokens `(1,)`; raises ConfigError."""
    words = analogy.split()
    unknown = [word for word in words if word not in spec.vocabulary]
    if len(words) != 4 or unknown:
        raise ConfigError(
            f"lecture.analogy must be four words of the text such as 'man king woman queen', got '{analogy}'"
        )
    return tuple(torch.tensor([spec.vocabulary.index(word)]) for word in words)


def _classed(spec: DataSpec) -> list[int]:
    return [token for token, label in enumerate(spec.word_classes) if label]


def _by_chance(classes: Sequence[str]) -> float:
    """The share of words whose neighbor is of their class if it is any other word."""
    named = [label for label in classes if label]
    return sum((named.count(label) - 1) / (len(classes) - 1) for label in named) / len(named)


def _tsne(vectors: Tensor, spec: DataSpec) -> WordMap:
    """All words with a class, near each other where their vectors are (t-SNE, van der Maaten 2008)."""
    from sklearn.manifold import TSNE

    chosen = _classed(spec)
    unit = functional.normalize(vectors[chosen], dim=1).numpy()
    places = TSNE(perplexity=_PERPLEXITY, init="pca", random_state=0).fit_transform(unit)
    words, classes = ([names[token] for token in chosen] for names in (spec.vocabulary, spec.word_classes))
    return WordMap(places, words, classes, ("t-SNE, first", "t-SNE, second"), "Words by their vectors")


def _one_class(vectors: Tensor, spec: DataSpec, of_class: str, analogy: str) -> WordMap:
    """The words of one class at their first two principal components, in which analogies are parallelograms."""
    chosen = [token for token, label in enumerate(spec.word_classes) if label == of_class]
    if len(chosen) < 3:
        raise ConfigError(
            f"lecture.of_class must be one of {', '.join(sorted(set(filter(None, spec.word_classes))))}, got '{of_class}'"
        )
    places = principal_components(functional.normalize(vectors[chosen], dim=1)).numpy()
    words = [spec.vocabulary[token] for token in chosen]
    first, second, third, fourth = analogy.split()
    links = [pair for pair in ((first, second), (third, fourth)) if set(pair) <= set(words)]
    title = f"The words of the class '{of_class}' alone"
    return WordMap(places, words, [of_class] * len(words), title=title, links=links)
