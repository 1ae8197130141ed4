"""How long a training is: a number of epochs, or a time, which decides when it ends and how its schedule is stretched."""

import contextlib
import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from dlcourse.config.duration import seconds_of
from dlcourse.config.run_config import TrainerConfig
from dlcourse.optim.schedules import Schedule, ScheduleMaker, Updates
from dlcourse.state_dict import State

_MOST_ROWS = 25
_MOST_OFF = 0.01
_NOT_FITTED = 2**40


class Length(ABC):
    """Abstract: when a training ends. The trainer reports each step and each evaluation to it."""

    @abstractmethod
    def begin(self, steps_to_evaluation: int) -> None:
        """Called before the first step of a process, with the steps from one evaluation to the next."""

    @abstractmethod
    def after_step(self, steps: int) -> None:
        """Called after each step, with the number of them so far."""

    @property
    @abstractmethod
    def wants_evaluation(self) -> bool:
        """Whether it has to know how long an evaluation takes before one is due."""

    @abstractmethod
    def evaluating(self) -> AbstractContextManager[None]:
        """Each evaluation is made within this."""

    @property
    @abstractmethod
    def is_cut(self) -> bool:
        """Whether training ends now, also in the middle of an epoch."""

    @abstractmethod
    def has_epoch(self, epoch: int) -> bool:
        """Whether an epoch that has not begun yet belongs to the training."""

    @abstractmethod
    def ends_with(self, epoch: int) -> bool:
        """Whether this epoch, all of whose steps are done, is the last."""

    @abstractmethod
    def is_worth_a_row(self, epoch: int) -> bool:
        """Whether the console shows this epoch: of a long training about as many as fit on a screen."""

    @property
    @abstractmethod
    def total(self) -> int:
        """The length of the progress bar."""

    @abstractmethod
    def done(self, steps: int) -> int:
        """How far the progress bar is after this many steps."""

    @abstractmethod
    def fitted(self, make_schedule: ScheduleMaker) -> ScheduleMaker:
        """The schedule over the whole of this length."""

    @abstractmethod
    def state_dict(self) -> State:
        """What it depends on besides its option."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Continue from this state."""


class Epochs(Length):
    """A number of epochs, with `steps` in all."""

    def __init__(self, epochs: int, steps: int) -> None:
        self._epochs = epochs
        self._steps = steps

    def begin(self, steps_to_evaluation: int) -> None:
        pass

    def after_step(self, steps: int) -> None:
        pass

    @property
    def wants_evaluation(self) -> bool:
        return False

    def evaluating(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    @property
    def is_cut(self) -> bool:
        return False

    def has_epoch(self, epoch: int) -> bool:
        return epoch <= self._epochs

    def ends_with(self, epoch: int) -> bool:
        return epoch == self._epochs

    def is_worth_a_row(self, epoch: int) -> bool:
        return epoch == self._epochs or epoch % -(-self._epochs // _MOST_ROWS) == 0

    @property
    def total(self) -> int:
        return self._steps

    def done(self, steps: int) -> int:
        return steps

    def fitted(self, make_schedule: ScheduleMaker) -> ScheduleMaker:
        return make_schedule

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


class TimeBudget(Length):
    """A time in seconds, from the first step to the end of the last evaluation.

    The steps of the whole training are fitted to the average speed so far: after a hundredth of the time, and whenever
    the share of them that is done differs by a hundredth from the share of the time. A schedule is a pure function of
    that number and the updates done, so that its end comes with the end of the time; until the first fit it stays at its
    beginning. The state has the time used and the fitted number: a run that is resumed uses up what is left, also on a
    machine of another speed. `clock` counts seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._budget = seconds
        self._clock = clock
        self._used_before = 0.0
        self._since: float | None = None
        self._steps = _NOT_FITTED
        self._steps_to_evaluation, self._evaluation_seconds = 0, 0.0
        self._rows = 0
        self._is_over = False

    @property
    def _used(self) -> float:
        return self._used_before + (0.0 if self._since is None else self._clock() - self._since)

    def begin(self, steps_to_evaluation: int) -> None:
        self._since = self._clock()
        self._steps_to_evaluation = steps_to_evaluation

    def after_step(self, steps: int) -> None:
        """Ends the training if that is nearer to the end of the time than one more step would be."""
        used = self._used
        step_seconds = used / steps
        left = self._left(used)
        if left < step_seconds / 2:
            self._is_over, self._steps = True, steps
            return
        if steps >= self._steps or abs(steps / self._steps - used / (used + left)) >= _MOST_OFF:
            self._steps = steps + max(1, round(left / step_seconds))

    def _left(self, used: float) -> float:
        """The seconds left for training before the last evaluation has to begin."""
        return self._budget - used - self._evaluation_seconds

    @property
    def wants_evaluation(self) -> bool:
        """Once the steps are fitted, if the first evaluation would come late or last of all."""
        is_late = self._steps < 2 * self._steps_to_evaluation
        return is_late and not self._evaluation_seconds and not self._is_over

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Ends the training if after this evaluation there is no time for another."""
        began = self._clock()
        yield
        self._evaluation_seconds = self._clock() - began
        self._is_over = self._is_over or self._left(self._used) <= 0

    @property
    def is_cut(self) -> bool:
        return self._is_over

    def has_epoch(self, epoch: int) -> bool:
        return not self._is_over

    def ends_with(self, epoch: int) -> bool:
        return self._is_over

    def is_worth_a_row(self, epoch: int) -> bool:
        rows = int(_MOST_ROWS * self._used / self._budget)
        is_new, self._rows = rows > self._rows, max(rows, self._rows)
        return is_new or self._is_over

    @property
    def total(self) -> int:
        return _ticks(self._budget)

    def done(self, steps: int) -> int:
        return min(_ticks(self._used), self.total)

    def fitted(self, make_schedule: ScheduleMaker) -> ScheduleMaker:
        def make(updates: Updates) -> Schedule:
            return lambda update: make_schedule(dataclasses.replace(updates, steps=self._steps))(update)

        return make

    def state_dict(self) -> State:
        return {
            "budget": self._budget,
            "used": self._used,
            "steps": self._steps,
            "evaluation_seconds": self._evaluation_seconds,
            "is_over": self._is_over,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from this state; one that is over continues if the budget is another."""
        self._used_before = float(state["used"])
        self._evaluation_seconds = float(state["evaluation_seconds"])
        self._steps = int(state["steps"])
        self._is_over = bool(state["is_over"]) and float(state["budget"]) == self._budget


def length_of(config: TrainerConfig, steps_per_epoch: int) -> Length:
    """The length that the options ask for: a time, if there is one, decides and not the epochs."""
    if config.time is not None:
        return TimeBudget(seconds_of(config.time))
    return Epochs(config.epochs, config.epochs * steps_per_epoch)


def _ticks(seconds: float) -> int:
    """Tenths of a second, in which the progress bar moves."""
    return round(10 * seconds)
