"""Run folders: how one is written, found and read again. `dlcourse.runs("outputs")` lists those below a folder."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcourse.config.paths import StrPath
    from dlcourse.runs.listing import RunList


class _CallablePackage(ModuleType):
    """The package as a function, too: importing a module of it puts it in the place of any other `dlcourse.runs`."""

    def __call__(self, folder: "StrPath | None" = None) -> "RunList":
        """See dlcourse.runs.listing.list_runs."""
        from dlcourse.runs.listing import list_runs

        return list_runs(folder)


sys.modules[__name__].__class__ = _CallablePackage
