"""Figures of what data cannot decide: no free lunch, and many hypotheses that fit the same examples.

N is a number of examples, K of classes, X of possible inputs.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.reading import examples, predicted_probabilities
from dlcourse.metrics.report import Report
from dlcourse.plots import BarPanel, Panels
from dlcourse.spec import Batch

_BITS = 3
_PASSES = 20
Input = tuple[int, ...]
Examples = dict[Input, int]
Learner = Callable[[Examples, Input], int]
"""What it answers, 0 or 1, to an input after it has seen these examples."""


def no_free_lunch(runs: Sequence[Finished]) -> Report:
    """Every target on three bits, half of the inputs seen: the error on the others, averaged over the targets.

    The average is exact: there are 2^8 targets, and all are tried (Wolpert 1996).
    """
    inputs = list(itertools.product((0, 1), repeat=_BITS))
    seen, unseen = [x for x in inputs if sum(x) % 2 == 0], [x for x in inputs if sum(x) % 2]
    targets = [dict(zip(inputs, labels, strict=True)) for labels in itertools.product((0, 1), repeat=len(inputs))]
    thresholds = threshold_functions(inputs)
    regular = [tuple(target.values()) in thresholds for target in targets]
    scalars: dict[str, float] = {"targets": len(targets), "threshold targets": sum(regular)}
    shares: dict[str, list[float]] = {}
    for name, learner in LEARNERS.items():
        errors = [off_training_error(learner, target, seen, unseen) for target in targets]
        among = list(itertools.compress(errors, regular))
        scalars[f"mean error of {name}"] = float(sum(errors) / len(errors))
        scalars[f"mean error of {name} on threshold targets"] = float(sum(among) / len(among))
        counts = Counter(errors)
        shares[name] = [counts[Fraction(wrong, len(unseen))] / len(targets) for wrong in range(len(unseen) + 1)]
    names = list(LEARNERS)
    bars = {
        f"all {len(targets)} targets": [scalars[f"mean error of {name}"] for name in names],
        f"the {sum(regular)} that a plane separates": [
            scalars[f"mean error of {name} on threshold targets"] for name in names
        ],
    }
    groups = [f"{wrong} of {len(unseen)} wrong" for wrong in range(len(unseen) + 1)]
    left = BarPanel(shares, groups, "share of the targets", "Each learner, all targets: the same")
    right = BarPanel(
        bars, names, "mean error on unseen inputs", "With and without prior knowledge", at={"guessing": 0.5}
    )
    return Report(scalars, pictures={"no_free_lunch": Panels([left, right], width=5.2)})


def off_training_error(learner: Learner, target: Examples, seen: Sequence[Input], unseen: Sequence[Input]) -> Fraction:
    """The share of unseen inputs on which a learner is wrong that has seen the target on the others."""
    known = {x: target[x] for x in seen}
    return Fraction(sum(learner(known, x) != target[x] for x in unseen), len(unseen))


def _nearest(known: Examples, x: Input) -> int:
    """The majority of the nearest examples, by the number of bits that differ; of a tie the first."""
    distances = {other: sum(a != b for a, b in zip(x, other, strict=True)) for other in known}
    nearest = [known[other] for other, distance in distances.items() if distance == min(distances.values())]
    return int(2 * sum(nearest) > len(nearest))


def _majority(known: Examples, x: Input) -> int:
    return int(2 * sum(known.values()) > len(known))


def _linear(known: Examples, x: Input) -> int:
    """The perceptron (Rosenblatt 1958), a few times through the examples."""
    weights = [0] * (_BITS + 1)
    for _ in range(_PASSES):
        for other, label in known.items():
            error = label - _threshold(weights, other)
            weights = [w + error * value for w, value in zip(weights, (1, *other), strict=True)]
    return _threshold(weights, x)


def _threshold(weights: Sequence[int], x: Input) -> int:
    return int(sum(w * value for w, value in zip(weights, (1, *x), strict=True)) > 0)


def _contrary(known: Examples, x: Input) -> int:
    """The opposite of what the nearest neighbors say."""
    return 1 - _nearest(known, x)


LEARNERS: dict[str, Learner] = {
    "nearest neighbors": _nearest,
    "majority": _majority,
    "perceptron": _linear,
    "contrary neighbors": _contrary,
}


def threshold_functions(inputs: Sequence[Input]) -> set[tuple[int, ...]]:
    """The labels of all inputs by each target that a plane separates: small whole weights give all of them on three bits."""
    weights = itertools.product(range(-2, 3), repeat=_BITS)
    return {
        tuple(_threshold((cut, *each), x) for x in inputs) for each, cut in itertools.product(weights, range(-6, 7))
    }


def many_hypotheses(runs: Sequence[Finished]) -> Report:
    """Networks that fit the same training set and differ on the rest, their mean, and a table that only remembers."""
    data = runs[0].data()
    train, test = examples(data.train), examples(data.test)
    if len({run.data().train.fingerprint() for run in runs}) != 1 or len(runs) < 2:
        raise ConfigError("lecture.runs: the figure needs several runs on one training set, whose seed is the same")
    guesses = torch.stack([predicted_probabilities(run, test.inputs) for run in runs])  # (M, N, K)
    each = [_share(guess.argmax(1), test) for guess in guesses]
    fits = [_share(predicted_probabilities(run, train.inputs).argmax(1), train) for run in runs]
    votes = guesses.argmax(2)  # (M, N)
    scalars = {
        "networks": len(runs),
        "training examples": len(train.targets),
        "lowest training accuracy": min(fits),
        "mean test accuracy": sum(each) / len(each),
        "best test accuracy": max(each),
        "ensemble test accuracy": _share(guesses.mean(0).argmax(1), test),
        "disagreement": float((votes != votes[0]).any(0).double().mean()),
        "lookup table training accuracy": _share(look_up(train, train.inputs), train),
        "lookup table test accuracy": _share(look_up(train, test.inputs), test),
    }
    scalars["gain of the ensemble"] = scalars["ensemble test accuracy"] - scalars["mean test accuracy"]
    names = [" ".join(run.varied.values()) or run.label for run in runs] + ["the mean of all", "lookup table"]
    bars = {
        "training": [*fits, 1.0, scalars["lookup table training accuracy"]],
        "test": [*each, scalars["ensemble test accuracy"], scalars["lookup table test accuracy"]],
    }
    bars["training"][len(runs)] = _share(_mean_of(runs, train.inputs).argmax(1), train)
    panel = BarPanel(bars, names, "accuracy", "The same examples, known by all", share=True)
    return Report(scalars, pictures={"many_hypotheses": Panels([panel], width=8.0, height=5.6)})


def look_up(train: Batch, inputs: Tensor) -> Tensor:
    """The class of the training example that is equal to each input `(N, ...)`, or else the most frequent class."""
    table = {row.numpy().tobytes(): int(label) for row, label in zip(train.inputs, train.targets, strict=True)}
    usual = int(torch.bincount(train.targets).argmax())
    return torch.tensor([table.get(row.numpy().tobytes(), usual) for row in inputs])


def _mean_of(runs: Sequence[Finished], inputs: Tensor) -> Tensor:
    return torch.stack([predicted_probabilities(run, inputs) for run in runs]).mean(0)


def _share(predicted: Tensor, batch: Batch) -> float:
    return float((predicted == batch.targets).double().mean())
