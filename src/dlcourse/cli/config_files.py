"""The YAML files a config is made of: which entries there are, what each consists of, and what a user's folder may hold.

No file of a user reaches Hydra before it was read here, because Hydra has no limits and no one-line messages of its own.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dlcourse.config.options import suggestion
from dlcourse.config.paths import conf_dir, path_to_read
from dlcourse.config.run_config import GROUPS
from dlcourse.config.yaml_file import read_text, read_yaml
from dlcourse.errors import ConfigError
from dlcourse.plugins.named import config_folders

SHARED = "shared"
"""The folder in a group with options that many of its entries have: `conf/data/shared/split.yaml`."""
_TAKES_SHARED = f"{SHARED}@_here_"
_CHOICE = re.compile(rf"(?:optional )?(?:override )?/(?:{'|'.join(GROUPS)})(?:@(?!.*hydra)[\w.]+)?", re.ASCII)
_NAME = re.compile(r"[^./\\:${}@][^/\\:${}@]*")
_PACKAGE_LINE = re.compile(r"\s*#+\s*@\s*package\b(.*)")
_PACKAGE = re.compile(rf"(?:_global_|_group_|(?:_global_\.)?(?:{'|'.join(GROUPS)}))", re.ASCII)


def folders(config_dir: str | None) -> list[Path]:
    """Where entries are looked for: our own folder, then those of plug-ins, then the user's, which are checked.

    Raises ConfigError.
    """
    found = [conf_dir()]
    for folder in [*config_folders(), *([] if config_dir is None else [_own_folder(config_dir)])]:
        _check_folder(folder, found)
        found.append(folder)
    return found


def _own_folder(config_dir: str) -> Path:
    """The folder that --config-dir names; raises ConfigError."""
    folder = path_to_read(config_dir, "--config-dir")
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise ConfigError(
            f"--config-dir '{config_dir}' {problem}; expected a folder with model/, data/, experiment/, ..."
        )
    return folder


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


def parts(path: Path) -> list[Path]:
    """The files an entry consists of, in the order in which Hydra reads them: of two with the same option the later wins.

    Its defaults list names them: itself (`_self_`), other entries of ours in its group (`default`), and options that
    entries share (`shared@_here_: [split, classes]`). What it names elsewhere is no part, and what is missing Hydra refuses.
    """
    ours = entries(path.parent.name, [conf_dir()])
    choices = read_yaml(path).get("defaults") or []
    found: list[Path] = []
    for choice in choices if "_self_" in choices else [*choices, "_self_"]:
        if choice == "_self_":
            found.append(path)
        elif isinstance(choice, dict):
            folder = conf_dir() / path.parent.name / SHARED
            found += [folder / f"{name}.yaml" for name in _listed(choice.get(_TAKES_SHARED, []))]
        elif str(choice) in ours:
            found += parts(ours[str(choice)])
    return found


def all_options(path: Path) -> dict[str, Any]:
    """All options of an entry and their values, `name` among them, from all of its parts; raises ConfigError."""
    merged: dict[str, Any] = {}
    for part in parts(path):
        merged = _merged(merged, read_yaml(part))
    return {option: value for option, value in merged.items() if option != "defaults"}


def _merged(value: Any, later: Any) -> Any:
    if not (isinstance(value, dict) and isinstance(later, dict)):
        return later
    return value | {name: _merged(value.get(name), item) for name, item in later.items()}


def leaves(section: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of all options of a config."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def as_choice(name: str) -> str:
    """`model=cnn` for `cnn`, `data=csv data.file=...` for a table: how what stands alone is chosen; may be empty."""
    return next((f"{group}={name}" for group in GROUPS if name in entries(group, [conf_dir()])), "")


def _check_folder(folder: Path, before: list[Path]) -> None:
    """Every entry in a user's folder must be readable and have a name of its own: Hydra would silently take another.

    `before` are the folders in which none may have it: ours, and others of the user.
    """
    if (folder / "config.yaml").exists():
        raise ConfigError(
            f"{folder / 'config.yaml'} would be ignored, dlcourse has its own; write an experiment instead"
        )
    if (folder / "hydra").exists():
        raise ConfigError(f"{folder / 'hydra'} would change Hydra itself; only {', '.join(GROUPS)} may be there")
    for group in GROUPS:
        if _shared(group) and (folder / group / SHARED).exists():
            raise ConfigError(f"{folder / group / SHARED} would replace options of dlcourse; rename it")
        taken = entries(group, before)
        for name, path in entries(group, [folder]).items():
            if name in taken or not name:
                whose = "an entry of dlcourse" if name in entries(group, [conf_dir()]) else str(taken.get(name))
                which = f"has the name of {whose}" if name else "has no name in front of '.yaml'"
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
    _check_order(path, content)


def _check_defaults(path: Path, defaults: Any) -> None:
    """A file may choose entries of our groups, which were all read here; anything else would be read by Hydra first."""
    if not isinstance(defaults, list | None):
        raise ConfigError(f"{path}: 'defaults' must be a list, such as [override /model: mlp]")
    shared = _shared(path.parent.name)
    for choice in defaults or ():
        group, names = next(iter(choice.items())) if isinstance(choice, dict) and len(choice) == 1 else ("", choice)
        if group == _TAKES_SHARED and shared:
            unknown = [str(name) for name in _listed(names) if str(name) not in shared]
            if unknown:
                raise ConfigError(f"{path}: unknown shared options '{unknown[0]}'{suggestion(unknown[0], shared)}")
            continue
        known = not group or (isinstance(group, str) and _CHOICE.fullmatch(group))
        plain = all(name is None or (isinstance(name, str) and _NAME.fullmatch(name)) for name in _listed(names))
        if not (known and plain):
            raise ConfigError(
                f"{path}: {choice!r} cannot stand in 'defaults'; expected the name of an entry, as 'override /model: mlp'"
            )


def _check_order(path: Path, content: dict[str, Any]) -> None:
    """What a file of a user says itself must hold, or the user would wonder why it has no effect."""
    read = parts(path)
    for part in read[read.index(path) + 1 :]:
        replaced = set(leaves(content)) & set(leaves(read_yaml(part))) - {"defaults"}
        if replaced:
            raise ConfigError(
                f"{path}: '{min(replaced)}' has no effect, '{part.stem}' follows _self_ in 'defaults'; put _self_ behind it"
            )


def _shared(group: str) -> dict[str, Path]:
    return entries(f"{group}/{SHARED}", [conf_dir()])


def _listed(names: Any) -> list[Any]:
    return names if isinstance(names, list) else [names]
