"""The length of a training: epochs, or a time on a clock of the test's own."""

import itertools
import json
import math
import signal
from pathlib import Path

import pytest

from dlcourse.cli.main import main
from dlcourse.config.duration import seconds_of
from dlcourse.config.registry import Choice
from dlcourse.config.run_config import TrainerConfig
from dlcourse.optim.schedules import SCHEDULERS, Updates
from dlcourse.training import set_up
from dlcourse.training.length import Epochs, Length, TimeBudget, length_of
from lab import Lab, report


class Clock:
    """Stands still until a test lets time pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def train(length: TimeBudget, clock: Clock, seconds: float, steps: int = 0, most: int = 10_000) -> int:
    """Steps of so many seconds until the end, or the most; returns their number so far."""
    while not length.is_cut and steps < most:
        clock.now += seconds
        steps += 1
        length.after_step(steps)
    return steps


def evaluate(length: TimeBudget, clock: Clock, seconds: float) -> None:
    with length.evaluating():
        clock.now += seconds


def begun(seconds: float, clock: Clock, steps_to_evaluation: int = 0) -> TimeBudget:
    length = TimeBudget(seconds, clock)
    length.begin(steps_to_evaluation)
    return length


def test_a_training_ends_with_its_time_whatever_the_speed() -> None:
    clock = Clock()
    assert train(begun(10, clock), clock, 0.1) == 100
    assert train(begun(10, clock), clock, 0.4) == 25
    assert train(begun(10, clock), clock, 3.9) == 3  # 11.7 is nearer to 10 than 7.8
    assert train(begun(10, clock), clock, 4.2) == 2
    assert train(begun(1, clock), clock, 60) == 1  # a step is the least there is


@pytest.mark.parametrize("factor", [0.2, 5])
def test_it_ends_in_time_if_the_machine_slows_down_or_speeds_up(factor: float) -> None:
    clock = Clock()
    length, start = begun(100, clock), clock.now
    steps = train(length, clock, 0.1, most=500)
    train(length, clock, 0.1 * factor, steps)
    assert clock.now - start == pytest.approx(100, abs=1)


def test_time_for_the_last_evaluation_is_kept_free() -> None:
    clock = Clock()
    length, start = begun(20, clock), clock.now
    steps = train(length, clock, 0.1, most=50)
    evaluate(length, clock, 2)
    train(length, clock, 0.1, steps)
    evaluate(length, clock, 2)
    assert clock.now - start == pytest.approx(20, abs=0.11)


def test_an_evaluation_is_tried_early_if_the_first_would_come_last() -> None:
    """Otherwise nobody knows how much time to keep free for it."""
    clock = Clock()
    length, start = begun(10, clock, steps_to_evaluation=80), clock.now
    steps = 0
    while not length.wants_evaluation:
        steps = train(length, clock, 0.1, steps, most=steps + 1)
    assert steps == 2  # a hundredth of the time, but for rounding
    evaluate(length, clock, 2)
    assert not length.wants_evaluation
    assert train(length, clock, 0.1, steps) == 60
    evaluate(length, clock, 2)
    assert clock.now - start == pytest.approx(10)


def test_none_is_tried_if_one_comes_soon() -> None:
    clock = Clock()
    length = begun(10, clock, steps_to_evaluation=40)
    for step in range(39):
        train(length, clock, 0.1, step, most=step + 1)
        assert not length.wants_evaluation


def test_an_evaluation_that_leaves_no_time_for_another_is_the_last() -> None:
    clock = Clock()
    length = begun(10, clock)
    train(length, clock, 0.1, most=50)
    assert length.has_epoch(2) and not length.ends_with(1)
    evaluate(length, clock, 3)
    assert length.is_cut and not length.has_epoch(2) and length.ends_with(1)


@pytest.mark.parametrize("name", list(SCHEDULERS))
def test_every_schedule_is_stretched_over_the_time(name: str) -> None:
    """It has the values of a training of as many epochs as the time turned out to be long."""
    clock = Clock()
    length = begun(100, clock)
    maker = SCHEDULERS.build(Choice(name))
    fitted = length.fitted(maker)(Updates(epochs=1, batches=50))
    planned = maker(Updates(epochs=20, batches=50))
    factors = []
    while not length.is_cut:
        factors.append(fitted(len(factors)))
        train(length, clock, 0.1, len(factors) - 1, most=len(factors))
    assert len(factors) == 1000
    assert factors == pytest.approx([planned(step) for step in range(1000)], abs=0.03)
    if name in ("cosine", "one_cycle"):
        assert factors[-1] < 3e-4


@pytest.mark.parametrize("seconds", [0.01, 0.5, 20])
def test_a_schedule_follows_the_time_if_the_speed_changes(seconds: float) -> None:
    clock = Clock()
    length = begun(1000, clock)
    factor = length.fitted(SCHEDULERS.build(Choice("cosine")))(Updates(epochs=1, batches=50))
    steps = train(length, clock, 5, most=100)
    while not length.is_cut:
        progress = (clock.now - 1000) / 1000
        assert factor(steps) == pytest.approx((1 + math.cos(math.pi * progress)) / 2, abs=0.035)
        steps = train(length, clock, seconds, steps, most=steps + 1)
    assert factor(steps - 1) < 0.002


def test_the_time_of_a_run_counts_on_after_it_is_resumed() -> None:
    clock = Clock()
    length = begun(10, clock)
    assert length.state_dict()["used"] == 0
    steps = train(length, clock, 0.1, most=60)
    state = json.loads(json.dumps(length.state_dict()))
    clock.now += 500
    again = TimeBudget(10, clock)
    again.load_state_dict(state)
    clock.now += 500
    again.begin(0)
    make = SCHEDULERS.build(Choice("cosine"))
    assert again.fitted(make)(Updates(1, 50))(60) == length.fitted(make)(Updates(1, 50))(60)
    assert train(again, clock, 0.2, steps) == 80


def test_one_that_is_over_continues_with_a_longer_time_only() -> None:
    clock = Clock()
    length = begun(10, clock)
    steps = train(length, clock, 0.1)
    same, longer = TimeBudget(10, clock), TimeBudget(30, clock)
    for other in (same, longer):
        other.load_state_dict(length.state_dict())
        other.begin(0)
    assert same.is_cut and not same.has_epoch(3)
    assert train(longer, clock, 0.1, steps) == 300


def rows(length: Length, clock: Clock, epochs: int) -> int:
    shown = 0
    for epoch in range(1, epochs + 1):
        clock.now += 0.1
        shown += length.is_worth_a_row(epoch)
    return shown


def test_a_long_training_shows_as_many_rows_as_fit_on_a_screen() -> None:
    clock = Clock()
    assert rows(Epochs(1000, 1000), clock, 1000) == 25
    assert rows(begun(100, clock), clock, 1001) == 25
    assert rows(Epochs(7, 70), clock, 7) == 7


def test_the_options_decide_which_it_is() -> None:
    clock = Clock()
    assert length_of(TrainerConfig(epochs=3), 40).total == 120
    length = length_of(TrainerConfig(time="2min"), 40)
    assert isinstance(length, TimeBudget) and length.total == 1200  # tenths of a second
    length = begun(10, clock)
    clock.now += 4
    assert (length.done(1), length.total) == (40, 100)


class Ticking(Clock):
    """Moves by a hundredth of a second whenever it is read, and interrupts the program at one time."""

    def __init__(self, interrupt_at: float | None = None) -> None:
        super().__init__()
        self._interrupt_at = interrupt_at

    def __call__(self) -> float:
        self.now += 0.01
        if self._interrupt_at is not None and self.now - 1000 > self._interrupt_at:
            self._interrupt_at = None
            signal.raise_signal(signal.SIGTERM)
        return self.now


def use(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the time of runs by this clock."""

    def length(config: TrainerConfig, steps_per_epoch: int) -> Length:
        return length_of(config, steps_per_epoch) if config.time is None else TimeBudget(seconds_of(config.time), clock)

    monkeypatch.setattr(set_up, "length_of", length)


def logged_lrs(run: Path) -> list[float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["optim/lr"] for record in records if "optim/lr" in record]


def test_a_run_ends_in_the_middle_of_an_epoch_and_can_be_trained_for_longer(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(Ticking(), monkeypatch)
    run = lab.train("data=iris", "trainer.time=2s", "trainer.log_every=1", "report=light")
    first = report(run)
    lrs = logged_lrs(run)
    assert 20 < first["steps"] == len(lrs) < 200 and first["steps"] % 4
    assert lrs[0] == 0.001 and lrs[-1] < 1e-5 and all(lr <= before + 1e-4 for before, lr in itertools.pairwise(lrs))
    assert main(["resume", str(run)]) == 0
    assert f"dlcourse resume {run} trainer.time=4s" in capsys.readouterr().out
    assert main(["resume", str(run), "trainer.time=2.0s"]) == 0
    assert "already complete" in capsys.readouterr().out, "the same time in other words is no longer one"
    assert main(["resume", str(run), "trainer.time=4s"]) == 0
    assert "trainer.time=4s (was 2s)" in capsys.readouterr().out
    assert report(run)["steps"] == pytest.approx(2 * first["steps"], rel=0.1)


def test_the_last_step_of_an_epoch_that_is_cut_is_watched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Ticking(), monkeypatch)
    run = lab.train("data=iris", "trainer.time=0.3s", "trainer.batch_size=2", "trainer.watch=true", "report=light")
    found = report(run)
    assert found["steps"] < 108 / 2, "or the epoch is not cut"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = {record["step"] for record in records if str(record.get("histogram", "")).startswith("gradients/")}
    assert steps == {found["steps"]} and found["watch"]["gradients"]


def test_an_interrupted_run_uses_up_what_is_left_of_its_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("data=iris", "trainer.time=2s", "report=light")
    use(Ticking(), monkeypatch)
    whole = report(lab.train(*words))
    use(Ticking(interrupt_at=1), monkeypatch)
    run = lab.train(*words, code=143)
    use(Ticking(), monkeypatch)
    assert main(["resume", str(run)]) == 0
    assert report(run)["steps"] == pytest.approx(whole["steps"], rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("trainer.time=soon", "trainer.time must be text such as 90s, 10min or 2h, or null, got 'soon'"),
        ("trainer.time=0", "trainer.time must be text such as 90s, 10min or 2h, or null, got 0"),
        ("trainer.time=-5s", "trainer.time must be text such as 90s, 10min or 2h, or null, got '-5s'"),
        (
            "trainer.time=10min trainer.epochs=3",
            "trainer.epochs=3 and trainer.time=10min both say how long to train; leave one of them out",
        ),
        (
            "trainer.time=10min trainer.swa=0.75",
            "trainer.swa=0.75 begins after a share of the epochs, and trainer.time does not say how many there are; write "
            "trainer.ema=0.999, or trainer.epochs in place of trainer.time",
        ),
        (
            "trainer.time=1s data=diabetes model=linreg task=least_squares trainer=one_step",
            "task 'least_squares' takes one step, however long that is; leave trainer.time out",
        ),
    ],
)
def test_a_time_that_cannot_be_is_one_line(lab: Lab, words: str, message: str) -> None:
    assert lab.attempt(*words.split()) == 2
    assert lab.err == f"dlcourse: error: {message}\n"
    assert not (lab.folder / "outputs").exists()


def test_a_run_keeps_to_its_kind_of_length(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Ticking(), monkeypatch)
    timed = lab.train("data=iris", "trainer.time=1s", "report=light", "run.dir=timed")
    counted = lab.train("data=iris", "trainer.epochs=1", "report=light", "run.dir=counted")
    for run, word, message in (
        (timed, "trainer.time=0.5s", "trainer.time=0.5s: the run has been trained for 1.0 seconds already"),
        (timed, "trainer.epochs=9", "trainer.epochs=9 and trainer.time=1s both say how long to train"),
        (
            timed,
            "trainer.time=null",
            "trainer.time=null: this run is trained for a time; write one such as trainer.time=1s",
        ),
        (
            counted,
            "trainer.time=1h",
            "trainer.time=1h: this run is trained for a number of epochs; write trainer.epochs=N",
        ),
    ):
        assert main(["resume", str(run), word]) == 2
        assert lab.capsys.readouterr().err.startswith(f"dlcourse: error: {message}")
