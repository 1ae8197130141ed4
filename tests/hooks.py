"""Something else happens right after a step of a training."""

from collections.abc import Callable

import pytest

from dlcourse.runs.saver import Saver


def after_step(patch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Let `action` happen once that many steps are done, before it is asked whether to save."""
    is_due = Saver.is_due

    def after(self: Saver, done: int) -> bool:
        if done == step:
            action()
        return is_due(self, done)

    patch.setattr(Saver, "is_due", after)
