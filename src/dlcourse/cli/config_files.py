"""The YAML files a config is made of: which entries there are, and what a folder of a user's may hold.

No file of a user reaches Hydra before it was read here, because Hydra has no limits and no one-line messages of its own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlcourse.config.paths import conf_dir, path_to_read
from dlcourse.config.run_config import GROUPS
from dlcourse.config.yaml_file import read_text, read_yaml
from dlcourse.errors import ConfigError

_CHOICE = re.compile(rf"(?:optional )?(?:override )?/(?:{'|'.join(GROUPS)})(?:@(?!.*hydra)[\w.]+)?", re.ASCII)
_NAME = re.compile(r"[^./\\:${}@][^/\\:${}@]*")
_PACKAGE_LINE = re.compile(r"\s*#+\s*@\s*package\b(.*)")
_PACKAGE = re.compile(rf"(?:_global_|_group_|(?:_global_\.)?(?:{'|'.join(GROUPS)}))", re.ASCII)


def folders(config_dir: str | None) -> list[Path]:
    """Where entries are looked for: our own folder, then the user's, which is checked. Raises ConfigError."""
    if config_dir is None:
        return [conf_dir()]
    folder = path_to_read(config_dir, "--config-dir")
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise ConfigError(
            f"--config-dir '{config_dir}' {problem}; expected a folder with model/, data/, experiment/, ..."
        )
    _check_folder(folder)
    return [conf_dir(), folder]


def entries(group: str, places: Iterable[Path]) -> dict[str, Path]:
    """The files of a group by entry name, in alphabetical order; of two with one name the first place wins."""
    found: dict[str, Path] = {}
    for place in places:
        try:
            files = list((place / group).iterdir()) if (place / group).is_dir() else []
        except OSError as error:
            raise ConfigError(f"cannot read config folder '{place / group}': {error.strerror}") from None
        for path in files:
            if path.name.endswith(".yaml"):
                found.setdefault(path.name.removesuffix(".yaml"), path)
    return dict(sorted(found.items()))


def as_choice(name: str) -> str:
    """`model=cnn` for `cnn`, `data=csv data.file=...` for a table: how what stands alone is chosen; may be empty."""
    return next((f"{group}={name}" for group in GROUPS if name in entries(group, [conf_dir()])), "")


def _check_folder(folder: Path) -> None:
    """Every entry in a user's folder must be readable and have a name of its own: Hydra would silently take ours."""
    if (folder / "config.yaml").exists():
        raise ConfigError(
            f"{folder / 'config.yaml'} would be ignored, dlcourse has its own; write an experiment instead"
        )
    if (folder / "hydra").exists():
        raise ConfigError(f"{folder / 'hydra'} would change Hydra itself; only {', '.join(GROUPS)} may be there")
    for group in GROUPS:
        ours = entries(group, [conf_dir()])
        for name, path in entries(group, [folder]).items():
            if name in ours or not name:
                which = "has the name of an entry of dlcourse" if name else "has no name in front of '.yaml'"
                raise ConfigError(f"{path} {which}; rename it, such as my_{path.name}")
            _check_file(path)


def _check_file(path: Path) -> None:
    """No file may reach Hydra's own section, chosen or not: Hydra runs, imports and writes what stands there."""
    content = read_yaml(path)
    for key in content:
        if str(key).partition(".")[0].strip() == "hydra":
            raise ConfigError(f"{path}: section '{key}' would change Hydra itself; remove it")
    for line in read_text(path).splitlines():  # which knows more ends of lines than "\n", as Hydra does
        package = _PACKAGE_LINE.match(line)
        if package and not _PACKAGE.fullmatch(package[1].strip()):
            raise ConfigError(
                f"{path}: '@package {package[1].strip()}' cannot be used; expected _global_, or no such line at all"
            )
    _check_defaults(path, content.get("defaults"))


def _check_defaults(path: Path, defaults: Any) -> None:
    """A file may choose entries of our groups, which were all read here; anything else would be read by Hydra first."""
    if not isinstance(defaults, list | None):
        raise ConfigError(f"{path}: 'defaults' must be a list, such as [override /model: mlp]")
    for choice in defaults or ():
        group, names = next(iter(choice.items())) if isinstance(choice, dict) and len(choice) == 1 else ("", choice)
        known = not group or (isinstance(group, str) and _CHOICE.fullmatch(group))
        plain = all(name is None or (isinstance(name, str) and _NAME.fullmatch(name)) for name in _listed(names))
        if not (known and plain):
            raise ConfigError(
                f"{path}: {choice!r} cannot stand in 'defaults'; expected the name of an entry, as 'override /model: mlp'"
            )


def _listed(names: Any) -> list[Any]:
    return names if isinstance(names, list) else [names]
