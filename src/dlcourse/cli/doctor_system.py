"""The checks of `dlcourse doctor` that need neither torch nor Hydra: packages, files, threads, memory, disk, folders."""

import importlib.util
import os
import pkgutil
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from dlcourse import __version__
from dlcourse.cli.doctor_finding import Finding
from dlcourse.config.machine import cores, installed_version
from dlcourse.config.paths import conf_dir, default_root
from dlcourse.config.run_config import GROUPS, FolderConfig
from dlcourse.errors import ConfigError
from dlcourse.text_table import counted

_OWN_PLUGIN = "dlcourse_sweep"
_OWN_FOLDERS = ("dlcourse", "hydra_plugins")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_NAMED = ("torch", "torchvision", "numpy", "hydra-core")
REINSTALL = (
    "reinstall dlcourse: scripts/setup in a clone, or pip install --force-reinstall --no-deps FOLDER_OF_THE_CLONE"
)
_GIB, _MIB = 2**30, 2**20
_LITTLE_MEMORY, _LITTLE_SPACE = _GIB, _GIB
_TRIED_BYTES = _MIB


def check_python() -> Iterator[Finding]:
    """Which Python, of which dlcourse."""
    yield Finding("python", "ok", f"{platform.python_version()} in {sys.prefix}, dlcourse {__version__}")


def check_packages() -> Iterator[Finding]:
    """Whether every package that dlcourse needs is there, in a version that it can use."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in metadata.requires("dlcourse") or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", "warn", "dlcourse is not installed; it runs from its source", "pip install .")
        return
    needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    problems = 0
    for each in needed:
        version = installed_version(each.name)
        if version is None or not each.specifier.contains(version, prereleases=True):
            problems += 1
            found = "is not installed" if version is None else f"is {version}, and dlcourse needs {each.specifier}"
            fix = f"pip install {shlex.quote(f'{each.name}{each.specifier}')}"
            yield Finding("packages", "fail", f"{each.name} {found}{_place(each.name)}", fix)
    if not problems:
        named = ", ".join(f"{name} {installed_version(name)}" for name in _NAMED)
        yield Finding("packages", "ok", f"{len(needed)} packages in supported versions: {named}")


def _place(name: str) -> str:
    """Where a package is, if it is installed: it may be in another environment, or on PYTHONPATH."""
    try:
        return f" (in {metadata.distribution(name).locate_file('')})"
    except metadata.PackageNotFoundError:
        return ""


def check_files() -> Iterator[Finding]:
    """Whether the config files and, as far as the installation lists them, all others are there and can be read."""
    from dlcourse.cli.config_files import all_options, entries

    conf = conf_dir()
    files = [conf / "config.yaml", *(path for group in GROUPS for path in entries(group, [conf]).values())]
    problems = [f"{path} is missing" for path in _listed_and_missing(conf)]
    problems += [f"{conf / group} has no entries" for group in GROUPS if not entries(group, [conf])]
    for path in files:
        try:
            all_options(path)  # of all files it consists of
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        more = f"; {len(problems) - 1:,} more like this" if len(problems) > 1 else ""
        yield Finding("files", "fail", f"{problems[0]}{more}", REINSTALL)
    else:
        yield Finding("files", "ok", f"{len(files)} config files in {conf}")


def _listed_and_missing(conf: Path) -> list[Path]:
    """Files that pip has installed and that are gone; none if these are a clone's, of which there is no list."""
    try:
        package = metadata.distribution("dlcourse")
    except metadata.PackageNotFoundError:
        return []
    if not conf.is_relative_to(Path(str(package.locate_file(""))).resolve()):
        return []
    files = (file for file in package.files or () if file.parts[0] in _OWN_FOLDERS and file.suffix != ".pyc")
    return [path for file in files if not (path := Path(str(file.locate()))).exists()]


def check_plugins() -> Iterator[Finding]:
    """Which plugins Hydra would import with each command; none of them is imported here."""
    spec = importlib.util.find_spec("hydra_plugins")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = {
        module.name: str(Path(getattr(module.module_finder, "path", "")) / module.name)
        for module in pkgutil.iter_modules(places)
    }
    if spec is not None and spec.origin is not None:
        yield Finding(
            "plugins",
            "fail",
            f"{spec.origin} hides dlcourse's own Hydra plugin: -m does not work",
            f"rm {shlex.quote(spec.origin)}",
        )
    elif _OWN_PLUGIN not in found:
        yield Finding("plugins", "fail", f"hydra_plugins.{_OWN_PLUGIN} is missing: -m does not work", REINSTALL)
    foreign = {name: path for name, path in found.items() if name != _OWN_PLUGIN}
    for name, path in foreign.items():
        text = f"hydra_plugins.{name} is not part of dlcourse; Hydra runs its code in every dlcourse train: {path}"
        yield Finding("plugins", "warn", text, f"if you do not need it: {_removal(name, path)}")
    if _OWN_PLUGIN in found and not foreign:
        yield Finding("plugins", "ok", f"Hydra finds {_OWN_PLUGIN} and no other")


def _removal(name: str, path: str) -> str:
    """The command that removes a plugin: of the package that has installed it, if one has."""
    for package in metadata.distributions():
        if any(
            file.parts[:1] == ("hydra_plugins",) and Path(file.parts[1]).stem == name for file in package.files or ()
        ):
            return f"pip uninstall {shlex.quote(package.metadata['Name'])}"
    return f"take {Path(path).parents[1]} off PYTHONPATH, or remove {path}"


def check_text() -> Iterator[Finding]:
    """Whether names and texts beyond ASCII can be written."""
    used = {"file names": sys.getfilesystemencoding(), "output": getattr(sys.stdout, "encoding", None) or "utf-8"}
    other = {what: name for what, name in used.items() if name.lower().replace("-", "") != "utf8"}
    for what, name in other.items():
        text = f"{what} in {name}, not UTF-8: other characters are escaped or refused"
        yield Finding("text", "warn", text, "export PYTHONUTF8=1, or another locale: export LC_ALL=C.UTF-8")
    if not other:
        yield Finding("text", "ok", "UTF-8")


def check_threads() -> Iterator[Finding]:
    """Whether no more threads are asked for than there are processors."""
    there, problems = cores(), 0
    for variable in _THREADS:
        given = os.environ.get(variable, "").split(",")[0].strip()
        if given and not (given.isascii() and given.isdigit() and int(given)):
            problems += 1
            yield Finding("threads", "warn", f"{variable}={given} is not a number of threads", f"unset {variable}")
        elif given and int(given) > there:
            problems += 1
            text = f"{variable}={given} is more than the {counted(there, 'CPU core')} available"
            yield Finding("threads", "warn", text, f"unset {variable}, or export {variable}={there}")
    if not problems:
        given = ", ".join(f"{name}={os.environ[name]}" for name in _THREADS if os.environ.get(name))
        yield Finding("threads", "ok", f"{counted(there, 'CPU core')}{f', {given}' if given else ''}")


def check_memory() -> Iterator[Finding]:
    """Whether there is memory left to train in."""
    limits = _memory_limits()
    if not limits:
        yield Finding("memory", "ok", "unknown: this system does not report it")
        return
    what, free = min(limits.items(), key=lambda item: item[1])
    text = f"{free / _GIB:.1f} GiB {what}"
    if free < _LITTLE_MEMORY:
        fix = (
            "raise the limit: ulimit -v unlimited"
            if "ulimit" in what
            else "close other programs, or train with a smaller batch"
        )
        yield Finding("memory", "warn", f"only {text}", fix)
    else:
        yield Finding("memory", "ok", text)


def _memory_limits() -> dict[str, int]:
    """Bytes of memory that this process can still get, by what sets the limit; as far as the system says."""
    found = {}
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            found["available"] = 1024 * int(line.split()[1])
    group = Path("/sys/fs/cgroup")
    most, used = _lines(group / "memory.max"), _lines(group / "memory.current")
    if most and used and most[0].isdigit():
        # Pages of files that nobody uses count as used, and are given up when memory is needed.
        idle = next(
            (line.split()[1] for line in _lines(group / "memory.stat") if line.startswith("inactive_file ")), "0"
        )
        found["available in this container"] = int(most[0]) - int(used[0]) + int(idle)
    try:
        import resource
    except ImportError:  # Windows
        return found
    most_addresses = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most_addresses != resource.RLIM_INFINITY:
        found["allowed by ulimit -v"] = most_addresses
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []


def check_disk() -> Iterator[Finding]:
    """Whether results can be written where they go, and temporary files."""
    outputs = Path(FolderConfig.root)
    yield _written(
        outputs if outputs.is_dir() else Path(), "for results", "cd to another folder, or write run.root=FOLDER"
    )
    given = os.environ.get("TMPDIR")
    if given and not Path(given).is_dir():
        yield Finding(
            "disk", "warn", f"TMPDIR={given} is not a folder", f"mkdir -p {shlex.quote(given)}, or unset TMPDIR"
        )
    try:
        yield _written(Path(tempfile.gettempdir()), "for temporary files", "export TMPDIR=FOLDER")
    except FileNotFoundError as error:
        yield Finding("disk", "fail", f"no temporary folder can be written: {error.strerror}", "export TMPDIR=FOLDER")


def _written(folder: Path, use: str, elsewhere: str) -> Finding:
    """Whether a megabyte can be written in a folder, and how much is free; the file is removed."""
    place = folder.absolute()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding("disk", "fail", f"{place} ({use}): a file of 1 MiB cannot be written: {reason}", elsewhere)
    if free < _LITTLE_SPACE:
        text = f"{place} ({use}): only {free / _MIB:,.0f} MiB are free"
        return Finding("disk", "warn", text, f"free space, or {elsewhere}")
    return Finding("disk", "ok", f"{place} ({use}): {free / _GIB:,.0f} GiB free")


def check_folder_of_data() -> Iterator[Finding]:
    """Whether the folder of data files is one."""
    given = os.environ.get("DLCOURSE_DATA")
    folder = default_root()
    name = f"DLCOURSE_DATA={given}" if given else str(folder)
    if folder.is_dir():
        yield Finding("data folder", "ok", name)
    elif os.path.lexists(folder):
        yield Finding("data folder", "fail", f"{name} is not a folder", "export DLCOURSE_DATA=FOLDER")
    elif given:
        text = f"{name} does not exist: no data files are found, and downloads would create it"
        yield Finding("data folder", "warn", text, f"export DLCOURSE_DATA=FOLDER, or mkdir -p {shlex.quote(given)}")
    else:
        yield Finding("data folder", "ok", f"{name}, created by the first download; DLCOURSE_DATA=FOLDER changes it")
