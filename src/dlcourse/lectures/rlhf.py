"""The figure of learning from preferences: what a reward model does to a language model, with a KL term and without."""

from collections.abc import Sequence

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.metrics.report import Report
from dlcourse.plots import Excerpts, LineChart, LineCharts, Picture
from dlcourse.runs.result import read_report

_NAMES = {True: "with the KL term", False: "without"}


def rlhf(runs: Sequence[Finished]) -> Report:
    """Liking, reward and KL divergence over the epochs of PPO, and samples before and after.

    Of the runs it takes the reward model (task preference) and those of task rlhf, of which one has `task.kl_weight=0`.
    """
    judges = [run for run in runs if run.config.task.name == "preference"]
    tuned = {run.config.task.options["kl_weight"] > 0: run for run in runs if run.config.task.name == "rlhf"}
    if len(judges) != 1 or set(tuned) != {True, False}:
        raise ConfigError(
            "lecture.runs: the figure needs one run of task=preference and two of task=rlhf, with and without a KL term, "
            f"got tasks {', '.join(run.config.task.name for run in runs)}"
        )
    held, free = (read_report(tuned[has_kl].folder) for has_kl in (True, False))
    judge = judges[0].numbers()
    start = held["start"]
    scalars = {
        "reward model agrees": judge["test/accuracy"],
        "knowing the taste agrees": judge["test/knowing_the_taste"],
        "reward model above knowing the taste": judge["test/accuracy"] - judge["test/knowing_the_taste"],
        "liking of the start": start["liking"],
        "reward of the start": start["reward"],
        **{f"{name} with KL": held["test"][name] for name in ("liking", "reward", "kl")},
        **{f"{name} without KL": free["test"][name] for name in ("liking", "reward", "kl")},
        "liking grows with KL": held["test"]["liking"] / start["liking"],
        "reward without KL above": free["test"]["reward"] - held["test"]["reward"],
        "KL grows without": free["test"]["kl"] / held["test"]["kl"],
    }
    texts = {
        "samples_of_the_start": _text(tuned[True], "samples_of_the_start"),
        "samples_with_kl": _text(tuned[True], "samples"),
        "samples_without_kl": _text(tuned[False], "samples"),
    }
    columns = dict(zip(("the start", *_NAMES.values()), (text.splitlines() for text in texts.values()), strict=True))
    pictures: dict[str, Picture] = {
        "rlhf": _charts(tuned, start),
        "samples": Excerpts(columns, "What it writes behind eight letters"),
    }
    return Report(scalars, pictures=pictures, texts=texts)


def _charts(tuned: dict[bool, Finished], start: dict[str, float]) -> LineCharts:
    """A chart for each of three numbers over the epochs, from the start on."""
    first = {"liking": start["liking"], "reward": start["reward"], "kl": 0.0}
    axes = {"liking": "liked letters in a text", "reward": "reward", "kl": "KL divergence to the start (nats)"}
    charts = []
    for name, axis in axes.items():
        lines = {}
        for has_kl, run in tuned.items():
            epochs, values = run.series(f"val/{name}")
            lines[_NAMES[has_kl]] = ([0.0, *epochs], [first[name], *values])
        charts.append(LineChart(lines, "epoch", axis))
    return LineCharts(charts, columns=3)


def _text(run: Finished, name: str) -> str:
    """A text that the run left, or nothing."""
    path = run.folder / f"{name}.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
