"""The figures of generative pretraining: tasks shown in a prompt, fine-tuning against a start from scratch, scaling laws."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dlcourse.data import DATASETS
from dlcourse.data.in_context import InContext, best_accuracy
from dlcourse.errors import ConfigError
from dlcourse.gpt_sizes import SIZES
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.several import required
from dlcourse.metrics.report import Report
from dlcourse.plots import Excerpts, LineChart, LineCharts, Picture
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.language import Language

_PROMPTS = 1000
_WRITTEN, _LINE = 400, 44  # characters


def few_shot(runs: Sequence[Finished]) -> Report:
    """The share of right answers against the examples in the prompt, and that of who knows all tasks and Bayes' rule."""
    (run,) = required(runs, 1)
    source = DATASETS.build(run.config.data)
    if not isinstance(source, InContext):
        raise ConfigError(f"lecture.runs: the figure needs a run of data=in_context, got data '{run.config.data.name}'")
    batch = next(iter(run.data().test.batches(_PROMPTS)))
    with torch.no_grad():
        logits = run.open().task.model(batch.inputs)
    found = (logits.argmax(-1) == batch.targets).float().mean(0)[0::2].tolist()
    best = best_accuracy(source.dialects(), batch.inputs).tolist()
    shots = list(range(len(found)))
    scalars = run.numbers() | {
        "accuracy without an example": found[0],
        "accuracy with one example": found[1] if len(found) > 1 else math.nan,
        "accuracy with most examples": found[-1],
        "most examples": float(shots[-1]),
        "rise": found[-1] - found[0],
        "largest distance to the best": max(abs(there - here) for here, there in zip(found, best, strict=True)),
    }
    lines = {"GPT": (shots, found), "best possible": (shots, best)}
    chance = {"chance": 1 / source.words}
    chart = LineChart(lines, "examples in the prompt", "accuracy", share=True, at_y=chance, limits_y=(0, 1.02))
    return Report(scalars, pictures={"few_shot": chart})


def pretraining(runs: Sequence[Finished]) -> Report:
    """The validation loss of a model that was pretrained on another text and of one from scratch, at equal steps."""
    tuned = {run.config.init_from is not None: run for run in runs if run.config.data.name != "pydoc"}
    if len(runs) != 3 or set(tuned) != {True, False}:
        raise ConfigError(
            "lecture.runs: the figure needs a run of data=pydoc, one with init_from and one from scratch, got "
            f"{', '.join(run.config.name for run in runs)}"
        )
    before = next(run for run in runs if run.config.data.name == "pydoc")
    lines = {name: tuned[start].series("val/loss") for name, start in (("pretrained", True), ("from scratch", False))}
    (_, pretrained), (_, scratch) = lines.values()
    scalars = {
        "loss of pretraining": before.numbers()["test/loss"],
        "pretrained": tuned[True].numbers()["val/loss"],
        "from scratch": tuned[False].numbers()["val/loss"],
        "gain after the first epoch": scratch[0] - pretrained[0],
        "gain at the end": scratch[-1] - pretrained[-1],
        "steps": float(tuned[True].metrics["step"][-1]),
    }
    chart = LineChart(lines, "epoch of fine-tuning", "validation loss (nats for a letter)")
    samples = {name: _sample(tuned[start]) for name, start in (("pretrained", True), ("from scratch", False))}
    texts = {f"samples_{name.replace(' ', '_')}": "\n".join(lines) for name, lines in samples.items()}
    pictures: dict[str, Picture] = {
        "pretraining": chart,
        "samples": Excerpts(samples, "What they write at temperature 0.5"),
    }
    return Report(scalars, pictures=pictures, texts=texts)


def _sample(run: Finished) -> list[str]:
    """A text in lines, as a trained model writes it."""
    task = run.open().task
    assert isinstance(task, Language)
    torch.manual_seed(0)
    with torch.no_grad():
        report = task.sample(SampleRequest(length=_WRITTEN, temperature=0.5))
    return textwrap.wrap(report.texts["samples"].strip(), _LINE)


@dataclass(frozen=True)
class PowerLaw:
    """y = a x^-exponent, fitted on logarithms by least squares, with the 95 % interval of the exponent."""

    factor: float
    exponent: float
    low: float
    high: float

    def __call__(self, x: float) -> float:
        return self.factor * x**-self.exponent

    @classmethod
    def fit(cls, x: Sequence[float], y: Sequence[float]) -> "PowerLaw":
        """That of at least three points."""
        from scipy.stats import t

        logs, heights = np.log(np.asarray(x)), np.log(np.asarray(y))
        centered = logs - logs.mean()
        spread = float((centered**2).sum())
        slope = float((centered * heights).sum()) / spread
        start = float(heights.mean() - slope * logs.mean())
        rest = heights - start - slope * logs
        freedom = len(logs) - 2
        half = float(t.ppf(0.975, freedom)) * math.sqrt(float((rest**2).sum()) / freedom / spread)
        return cls(math.exp(start), -slope, -slope - half, -slope + half)


_KAPLAN = {"parameters": 0.076, "tokens": 0.095, "computation": 0.050}
"""The exponents of large models (Kaplan 2020, equations 1.1 to 1.3)."""
_PF_DAY = 1e15 * 24 * 3600
"""Operations of a day at 10^15 in a second."""


def scaling(runs: Sequence[Finished]) -> Report:
    """The loss of small GPTs against parameters, tokens and computation, with fitted power laws and their intervals.

    Parameters are those without embeddings; computation is 6 operations for each parameter and token. For parameters all
    models have the most tokens, for tokens the largest model is taken, and for computation the best model for each.
    """
    points = sorted((_parameters(run), _tokens_seen(run), run.numbers()["val/loss"]) for run in runs)
    sizes = sorted({size for size, _, _ in points})
    amounts = sorted({tokens for _, tokens, _ in points})
    if len(sizes) < 3 or len(amounts) < 3:
        raise ConfigError(
            f"lecture.runs: the figure needs three or more sizes of the model and of the text, got {len(sizes)} and "
            f"{len(amounts)}"
        )
    scalars: dict[str, float] = {}
    charts = []
    for name, (fitted, shown) in _series(points, sizes[-1], amounts[-1]).items():
        places = [place for place, _ in fitted]
        law = PowerLaw.fit(places, [loss for _, loss in fitted])
        scalars[f"exponent of {name}"] = law.exponent
        scalars[f"lower end of the exponent of {name}"] = law.low
        scalars[f"upper end of the exponent of {name}"] = law.high
        charts.append(_chart(name, shown, places, law))
    for name, size in (("GPT-1", "gpt"), ("GPT-2", "gpt2-xl"), ("GPT-3", "gpt3")):
        scalars[f"parameters of {name}"] = float(SIZES[size].parameters)
    rows: list[list[object]] = [["parameters", "tokens", "pf_days", "loss"]]
    rows += [[size, tokens, _cost(size, tokens), loss] for size, tokens, loss in points]
    return Report(scalars, pictures={"scaling": LineCharts(charts, columns=3)}, tables={"runs": rows})


_Line = list[tuple[float, float]]


def _series(
    points: Sequence[tuple[int, int, float]], largest: int, most: int
) -> dict[str, tuple[_Line, dict[str, _Line]]]:
    """What is fitted and what is shown of each law, of points (parameters, tokens, loss)."""
    costs = [(_cost(size, tokens) * 1e9, size, loss) for size, tokens, loss in points]
    in_order = sorted((cost, loss) for cost, _, loss in costs)
    best = [point for place, point in enumerate(in_order) if all(point[1] < loss for _, loss in in_order[:place])]
    by_size = {
        f"{size:,} parameters": [(cost, loss) for cost, own, loss in costs if own == size]
        for size in dict.fromkeys(size for _, size, _ in costs)
    }
    of_parameters: _Line = [(float(size), loss) for size, tokens, loss in points if tokens == most]
    of_tokens: _Line = [(float(tokens), loss) for size, tokens, loss in points if size == largest]
    return {
        "parameters": (of_parameters, {"measured": of_parameters}),
        "tokens": (of_tokens, {"measured": of_tokens}),
        "computation": (best, by_size),
    }


def _cost(size: int, tokens: int) -> float:
    """The computation of a training in PF-days."""
    return 6 * size * tokens / _PF_DAY


def _chart(
    name: str, shown: Mapping[str, Sequence[tuple[float, float]]], x: Sequence[float], law: PowerLaw
) -> LineChart:
    """The points that are shown, by name, and the law at these places, with its exponent in the title."""
    units = {
        "parameters": "parameters without embeddings",
        "tokens": "tokens of training",
        "computation": "computation (billionths of a PF-day)",
    }
    lines = {label: ([place for place, _ in points], [loss for _, loss in points]) for label, points in shown.items()}
    lines["fit of the best" if name == "computation" else "fit"] = (list(x), [law(place) for place in x])
    title = f"exponent {law.exponent:.3f} ({law.low:.3f} to {law.high:.3f})\nKaplan 2020: {_KAPLAN[name]:.3f}"
    return LineChart(lines, units[name], "validation loss (nats)", title=title, log_x=True, log_y=True)


def _parameters(run: Finished) -> int:
    """Those of the blocks, without the embeddings of tokens and positions."""
    width = int(run.config.model.options["width"])
    spec = run.open().spec
    return int(run.numbers()["parameters"]) - width * (len(spec.vocabulary) + spec.num_features)


def _tokens_seen(run: Finished) -> int:
    options = run.config.data.options
    return int(options["windows"]) * int(options["context"]) * run.config.trainer.epochs
