"""`dlcourse doctor`: what is wrong with this installation, this machine and the data, and how to fix it."""

import importlib
import json
from collections import Counter
from collections.abc import Iterator

from dlcourse.cli.doctor_finding import Finding, NotCheckedError
from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError, first_line
from dlcourse.terminal import Style, escaped, fitted, print_help, styled

HELP = """\
dlcourse doctor  check this installation, this machine and the data
  --json         print JSON

The last check trains a small network. Each line is ok, warn (it works, but
take a look) or fail; below a warn or fail is how to fix it. Nothing is
downloaded, and no files remain.

Exit code: 0 nothing failed, 1 something failed
"""

CHECKS: dict[str, tuple[str, ...]] = {
    "doctor_system": ("python", "packages", "files", "plugins", "text", "threads", "memory", "disk", "folder_of_data"),
    "doctor_torch": ("torch", "torchvision", "entries", "device", "data", "training"),
}
"""The checks, in their order, by the module in this package that has them."""

_STYLES: dict[str, Style] = {"ok": "green", "warn": "bold", "fail": "red"}
_WIDTHS = (6, 13)
_FLAGS = ("--json", "--help")


def main(words: list[str]) -> int:
    """Check everything; returns 1 if anything fails. Raises ConfigError for unknown words."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    for word in words:
        if word.startswith("-") and word not in _FLAGS:
            raise ConfigError(f"unknown flag '{word}'{suggestion(word, _FLAGS)}")
        if not word.startswith("-"):
            raise ConfigError(f"'{word}': doctor takes no arguments; it checks everything")
    found = []
    for finding in findings():
        found.append(finding)
        if "--json" not in words:
            _show(finding)
    counts = Counter(finding.state for finding in found)
    if "--json" in words:
        print(json.dumps([finding.to_mapping() for finding in found], indent=2, ensure_ascii=False))
    else:
        print(f"\n{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail")
    return int(counts["fail"] > 0)


def findings() -> Iterator[Finding]:
    """What each check finds, as soon as it is known: the next check may kill the process."""
    for module, names in CHECKS.items():
        for name in names:
            yield from _checked(module, name)


def _checked(module: str, name: str) -> Iterator[Finding]:
    """What one check finds; one that raises has failed."""
    label = name.replace("_", " ")
    try:
        yield from getattr(importlib.import_module(f"dlcourse.cli.{module}"), f"check_{name}")()
    except NotCheckedError as error:
        yield Finding(label, "fail", f"not checked: {error}")
    except Exception as error:  # the other checks should still run
        yield Finding(label, "fail", f"cannot be checked: {type(error).__name__}: {first_line(error)}")


def _show(finding: Finding) -> None:
    """Print a finding, folded to the terminal, and below it the fix."""
    before = sum(_WIDTHS)
    state = styled(finding.state.ljust(_WIDTHS[0]), _STYLES[finding.state])
    pieces = fitted(escaped(finding.text, one_line=True), before, indent=0)
    fixes = fitted(escaped(finding.fix, one_line=True), before, indent=2) if finding.fix else []
    first, *rest = [*pieces, *fixes]
    print(f"{state}{finding.check:<{_WIDTHS[1]}}{first}", flush=True)
    for piece in rest:
        print(f"{' ' * before}{piece}", flush=True)
