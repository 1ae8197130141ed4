"""The config files that Hydra reads: each is parsed once, however many configs of a process are composed of it."""

import copy
from pathlib import Path

from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult

_parsed: dict[tuple[object, ...], ConfigResult | None] = {}
"""By place, name and version."""


class ParsedOnce(ConfigRepository):
    """Hydra's reader of config files, which keeps what it has parsed until the file is changed.

    A config has some 25 of them. A run composes two, one to check the command line by, and a sweep one for each run.
    """

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What is in a file, such as `model/cnn`, with its defaults list; None if there is none."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None:
            return None
        key: tuple[object, ...] = (source.scheme(), source.path, config_path)
        if source.scheme() == "file":
            found = Path(source.path, source._normalize_file_name(config_path)).stat()
            key += (found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in _parsed:
            _parsed[key] = super().load_config(config_path)
        return copy.deepcopy(_parsed[key])  # which is changed in composing
