"""A number that a run logged several times in an epoch, as one number for each."""

from dlcourse.lectures.finished import Finished


def by_epoch(run: Finished, name: str) -> tuple[list[float], list[float]]:
    """The epochs at which a number was logged, each once and in order, and the mean of the numbers in each."""
    epochs, values = run.series(name)
    found: dict[float, list[float]] = {}
    for epoch, value in zip(epochs, values, strict=True):
        found.setdefault(epoch, []).append(value)
    places = sorted(found)
    return places, [sum(found[epoch]) / len(found[epoch]) for epoch in places]
