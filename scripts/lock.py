"""Writes requirements.lock: each package that dlcourse and its extras need, with its version and the hash of its file.

pip resolves as for a fresh environment. Versions stay as they are in the lock as long as pyproject.toml allows them;
`--upgrade` takes the newest.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "requirements.lock"
HEAD = """\
# Every package that dlcourse and its extras (bench, bpe, dev, docs) need, with its version and the sha256 of its file, for
# Linux on x86-64 with Python 3.11. Written by scripts/lock.
#   pip install --require-hashes -r requirements.lock && pip install --no-deps --no-build-isolation .
"""


def main() -> None:
    """Write the lock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="the newest versions, not those of the lock")
    upgrade = parser.parse_args().upgrade
    pinned = [] if upgrade else re.findall(r"^[\w.-]+==\S+", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned))
        constraints.flush()
        packages = resolved(Path(constraints.name))
    LOCK.write_text(HEAD + "".join(sorted(packages, key=lambda line: line.partition("==")[0])), encoding="utf-8")


def resolved(constraints: Path) -> list[str]:
    """An entry of the lock for each package that pip would install."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ",".join(project["optional-dependencies"])
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-", "--constraint", str(constraints)]
    command = [sys.executable, "-m", "pip", "install", *options, f"{REPOSITORY}[{extras}]"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return [entry(package) for package in report["install"] if "archive_info" in package["download_info"]]


def entry(package: dict) -> str:
    """`name==version` and the hash of its file."""
    name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
    sha256 = package["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{name}=={package['metadata']['version']} \\\n    --hash=sha256:{sha256}\n"


if __name__ == "__main__":
    main()
