"""How many of N random defects the suite finds (mutation testing): one at a time, in a copy of the repository.

A defect is a changed operator, a changed constant or a removed statement, chosen by a seed. It is judged by the tests
that run its line, as a run of the suite under coverage tells, the quickest first and at most `--budget` seconds of them;
a defect in what runs at import is judged by the tests of its file. So the share is a lower bound. Some defects change
nothing that anyone could see; those count as not found.

    scripts/mutants --count 100 --seed 0        about a minute a defect that is not found, seconds for the others
"""

import argparse
import ast
import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

REPOSITORY = Path(__file__).resolve().parents[1]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}


@dataclass(frozen=True)
class Defect:
    """A change of bytes `start` to `end` of a source file into `new`."""

    kind: str
    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.file}:{self.line} {self.kind}: {old}  ->  {new}"


@dataclass(frozen=True)
class Tests:
    """What a run of the suite told: how long each test took, and which tests ran each line of a file."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, set[str]]]

    def of(self, defect: Defect, budget: float) -> list[str]:
        """The tests that ran the defect's line, or else any line of its file: the quickest, within the budget."""
        by_line = self.lines.get(defect.file, {})
        chosen = by_line.get(defect.line) or set().union(*by_line.values())
        total, within = 0.0, []
        for test in sorted(chosen & self.seconds.keys(), key=lambda test: (self.seconds[test], test)):
            total += self.seconds[test]
            if within and total > budget:
                break
            within.append(test)
        return within


def main() -> None:
    """Choose the defects, judge each, print the share that was found and those that were not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="how many defects (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default 0)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests a defect (default 60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time (default: cores)")
    parser.add_argument("--map", type=Path, help="folder that keeps the run under coverage, for a second call")
    parser.add_argument("--out", type=Path, help="JSON file for the verdicts")
    parser.add_argument(
        "--again", type=Path, help="such a file: judge what was not found then, as far as it still fits"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        tests = read_map(arguments.map or run_map(Path(scratch)))
        defects = not_found_in(arguments.again) if arguments.again else choose(arguments.count, arguments.seed)
        verdicts = judge_all(defects, tests, arguments.budget, arguments.jobs, Path(scratch))
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(d) | {"found": found} for d, found in verdicts], indent=1) + "\n")
    missed = [defect for defect, found in verdicts if not found]
    print(f"found {len(verdicts) - len(missed)} of {len(verdicts)}", *(f"  not found: {d}" for d in missed), sep="\n")


# --- Choosing defects ---


def choose(count: int, seed: int) -> list[Defect]:
    """So many different defects, each kind as likely as any other, each place of a kind as well."""
    chance = random.Random(seed)
    pools: dict[str, list[Defect]] = {}
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        for defect in defects_in(path.read_bytes(), path.relative_to(REPOSITORY).as_posix()):
            pools.setdefault(defect.kind, []).append(defect)
    for pool in pools.values():
        chance.shuffle(pool)
    kinds = sorted(pools)
    return [pools[chance.choice(kinds)].pop() for _ in range(count)]


def defects_in(source: bytes, file: str) -> Iterator[Defect]:
    """Every defect that this module can put into a source file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def defect(kind: str, node: ast.expr | ast.stmt, new: str) -> Defect:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        return Defect(kind, file, node.lineno, start, end, source[start:end].decode(), new)

    for node in _code(ast.parse(source)):
        for kind, new in changes(node):
            yield defect(kind, node, new)


def _code(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The statements and expressions that run: no annotations, decorators, docstrings, or parts of f-strings."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
        return
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, str]]:
    """The kind and the new text of each defect that can take the place of this node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        ops = [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        yield "operator", _text(ast.Compare(node.left, ops, node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _is_text(node):
        yield "operator", _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "operator", _text(ast.BoolOp(other, node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "operator", _text(node.operand)
    elif isinstance(node, ast.IfExp):
        yield "operator", _text(ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "constant", str(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield "constant", str(node.value * 2 or 1.0)
    elif _is_removable(node):
        yield "statement", "pass"


def _is_removable(node: ast.AST) -> bool:
    """Whether the statement can go without a name being undefined after it."""
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    return isinstance(node, ast.Raise | ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    )


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _is_text(node: ast.BinOp) -> bool:
    """Whether it joins or formats strings, for which the other operators only raise TypeError."""
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in (node.left, node.right)
    )


def not_found_in(verdicts: Path) -> list[Defect]:
    """The defects that were not found in an earlier run, put where their text stands now; others are named and left out."""
    defects = []
    for entry in json.loads(verdicts.read_text()):
        if entry.pop("found"):
            continue
        defect = Defect(**entry)
        now = [d for d in _now_in(defect.file) if (d.kind, d.old, d.new) == (defect.kind, defect.old, defect.new)]
        if now:
            defects.append(min(now, key=lambda d: abs(d.line - defect.line)))
        else:
            print(f"  no longer there: {defect}", flush=True)
    return defects


@functools.cache
def _now_in(file: str) -> list[Defect]:
    path = REPOSITORY / file
    return list(defects_in(path.read_bytes(), file)) if path.exists() else []


# --- Which tests run which lines ---


def run_map(folder: Path) -> Path:
    """Run the suite once under coverage, on one core: each test's time, and the lines that it runs."""
    (folder / "coveragerc").write_text(f"[run]\ndata_file = {folder / 'coverage'}\n")
    words = ["--cov=src", "--cov-context=test", f"--cov-config={folder / 'coveragerc'}", "--cov-report="]
    _pytest(REPOSITORY, [*words, f"--junitxml={folder / 'junit.xml'}", "tests"], timeout=None)
    return folder


def read_map(folder: Path) -> Tests:
    """What `run_map` left in a folder."""
    from coverage import CoverageData

    data = CoverageData(str(folder / "coverage"))
    data.read()
    lines: dict[str, dict[int, set[str]]] = {}
    for path in data.measured_files():
        contexts = data.contexts_by_lineno(path)
        tests = {line: {name.rpartition("|")[0] for name in names} - {""} for line, names in contexts.items()}
        lines["src/" + path.rpartition("/src/")[2]] = tests
    return Tests(_seconds(folder / "junit.xml"), lines)


def _seconds(junit: Path) -> dict[str, float]:
    """How long each test took that passed."""
    seconds = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        if not list(case):
            file = case.get("classname", "").replace(".", "/") + ".py"
            seconds[f"{file}::{case.get('name')}"] = float(case.get("time", 0))
    return seconds


# --- Judging ---


def judge_all(
    defects: list[Defect], tests: Tests, budget: float, jobs: int, scratch: Path
) -> list[tuple[Defect, bool]]:
    """Whether the tests find each defect, several at a time, each in a copy of the repository of its own."""
    copies: Queue[Path] = Queue()
    for job in range(jobs):
        copies.put(copy_repository(scratch / f"copy-{job}"))

    def judge_one(defect: Defect) -> tuple[Defect, bool]:
        copy = copies.get()
        try:
            found = judge(defect, tests.of(defect, budget), copy, budget)
        finally:
            copies.put(copy)
        print(f"{'found    ' if found else 'NOT FOUND'}  {defect}", flush=True)
        return defect, found

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(judge_one, defects))


def judge(defect: Defect, tests: list[str], copy: Path, budget: float) -> bool:
    """Whether one of the tests fails, or does not end, with the defect in the copy."""
    if not tests:
        return False
    path = copy / defect.file
    good = path.read_bytes()
    assert good[defect.start : defect.end].decode() == defect.old
    listed = copy.parent / f"{copy.name}.txt"
    listed.write_text("\n".join(tests) + "\n")
    try:
        path.write_bytes(good[: defect.start] + defect.new.encode() + good[defect.end :])
        return _pytest(copy, ["-x", f"@{listed}"], timeout=60 + 10 * budget) != 0
    finally:
        path.write_bytes(good)


def copy_repository(place: Path) -> Path:
    """A copy of all files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target)
    return place


def _pytest(root: Path, words: list[str], timeout: float | None) -> int:
    """The exit code of pytest in a copy of the repository; 1 where it does not end in time."""
    paths = os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses=0", "-p", "no:cacheprovider", *words]
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a defect may send a signal to more than one process, or leave some behind
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(0)
        told = output.read().decode(errors="replace")
        if code in (4, 5) and "ERROR collecting" not in told:  # pytest was not called well, or found no test
            raise SystemExit(f"pytest ended with {code}:\n{told[-3000:]}")
        return code


if __name__ == "__main__":
    main()
