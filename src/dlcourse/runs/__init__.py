"""Run folders: how one is written, found and read again. `dlcourse.runs("outputs")` lists those below a folder."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcourse.config.paths import StrPath
    from dlcourse.runs.listing import RunList


class _CallablePackage(ModuleType):
    """This package, which importing any of its modules puts in the place of whatever else is called `dlcourse.runs`."""

    def __call__(self, folder: "StrPath | None" = None) -> "RunList":
        """See dlcourse.runs.listing.list_runs."""
        from dlcourse.runs.listing import list_runs

        return list_runs(folder)


sys.modules[__name__].__class__ = _CallablePackage
