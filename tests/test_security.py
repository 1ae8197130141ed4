"""No foreign code runs: not from a command line, a config file, a run folder or a data file, nor over the network."""

import ast
import pickle
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dlcourse
from dlcourse.data import cifar
from lab import Lab
from torture import attacks, fuzz, swept, watching
from torture.processes import IS_POSSIBLE

PACKAGE = Path(dlcourse.__file__).parent
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "hydra_plugins").rglob("*.py")])
REPOSITORY = Path(__file__).resolve().parents[1]
needs_copies = pytest.mark.skipif(not IS_POSSIBLE, reason="needs fork and /proc, which Linux has")
ASKS_THE_SYSTEM = {"eval", "exec", "compile", "__import__", "breakpoint"}
FORBIDDEN_MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "subprocess", "pty", "code",
    "runpy", "imp", "xmlrpc", "multiprocessing.connection", "requests", "ftplib", "telnetlib",
}  # fmt: skip
FORBIDDEN_METHODS = {
    "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl", "os.spawnv", "os.posix_spawn", "os.fork",
    "importlib.util.spec_from_file_location", "importlib.util.module_from_spec", "importlib.reload",
    "torch.load",
    "torch.save", "torch.jit.load", "torch.hub.load", "torch.export.load", "torch.package", "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load", "yaml.load_all", "numpy.load", "np.load", "np.fromstring", "pandas.read_pickle",
    "hydra.utils.instantiate",
    "instantiate", "hydra.utils.call", "hydra.utils.get_class", "hydra.utils.get_method", "tar.extractall",
    "tar.extract",
    "archive.extractall", "archive.extract", "shutil.unpack_archive", "Image.show",
}  # fmt: skip


def forbidden(source: str) -> list[str]:
    """The uses of what could run foreign code in a module, `line 3: eval`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            names = [called] if called in ASKS_THE_SYSTEM | FORBIDDEN_METHODS and not _is_plain_load(node) else []
            names += (
                [called.rpartition(".")[2]]
                if called.endswith((".extractall", ".unsafe_load", ".full_load", ".exec_module"))
                else []
            )
            names += [ast.unparse(word) for word in node.keywords if _is_dangerous(word)]
            found += [f"line {node.lineno}: {name}" for name in names]
            continue
        else:
            continue
        found += [f"line {node.lineno}: {name}" for name in names if name in FORBIDDEN_MODULES | FORBIDDEN_METHODS]
    return found


def _is_plain_load(call: ast.Call) -> bool:
    """Whether it is a numpy.load that says that it takes no pickles."""
    return ast.unparse(call.func) == "np.load" and any(word.arg == "allow_pickle" for word in call.keywords)


def _is_dangerous(word: ast.keyword) -> bool:
    value = word.value.value if isinstance(word.value, ast.Constant) else "not constant"
    return (word.arg in ("allow_pickle", "shell") and value is not False) or (word.arg == "weights_only")


def test_no_module_can_run_foreign_code() -> None:
    uses = {str(path.relative_to(PACKAGE.parent)): forbidden(path.read_text()) for path in SOURCES}
    assert len(SOURCES) > 90
    without_lines = {name: [use.partition(": ")[2] for use in found] for name, found in uses.items() if found}
    assert without_lines == {
        "dlcourse/cli/folds.py": ["os.fork"],  # dlcourse itself
        "dlcourse/data/cifar.py": ["pickle"],
        # The code of a folder that the user has named on the command line, in DLCOURSE_PLUGINS or in a call.
        "dlcourse/plugins/load.py": [
            "importlib.util.spec_from_file_location",
            "importlib.util.module_from_spec",
            "exec_module",
        ],
        "dlcourse/export/torch_export.py": ["torch.export.load"],  # of the file that it has just written
        "dlcourse/sweeps/slurm.py": ["subprocess"],  # sbatch, squeue and scontrol
        "dlcourse/sweeps/workers.py": ["subprocess", "os.fork"],  # dlcourse itself
        "dlcourse/training/pretrained.py": ["torch.load", "weights_only=True"],
    }


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "eval('1')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x')",
        "import yaml\nyaml.load('x')",
        "from hydra.utils import instantiate",
        "import subprocess",
        "f(shell=True)",
        "x.extractall()",
        "import os\nos.system('x')",
        "import importlib.util\nimportlib.util.spec_from_file_location('x', 'x.py')",
        "spec.loader.exec_module(module)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert forbidden(source)


def test_the_one_unpickler_admits_what_an_array_of_bytes_needs_and_no_more() -> None:
    admitted = {f"{module}.{name}" for module, name in cifar._BatchReader.ADMITTED}
    assert admitted == {
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.ndarray",
        "numpy.dtype",
        "_codecs.encode",
    }
    assert set(cifar._BatchReader.ADMITTED.values()) == {cifar._Array, cifar._Dtype, cifar._encode}
    calls = [
        node for node in ast.walk(ast.parse((PACKAGE / "data/cifar.py").read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("pickle.")
    ]  # fmt: skip
    assert {ast.unparse(node) for node in calls} == {"pickle.Unpickler", "pickle.UnpicklingError"}
    assert issubclass(cifar._BatchReader, pickle.Unpickler)


@needs_copies
def test_mutated_cifar_pickles_run_nothing(tmp_path: Path) -> None:
    outcome = attacks.run_pickles(40, 3, tmp_path)
    assert outcome.is_good, outcome.failures


def test_packages_that_an_environment_links_are_no_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, home, stranger = tmp_path / "elsewhere/torch", tmp_path / "site-packages", tmp_path / "work"
    for folder in (elsewhere, home, stranger):
        folder.mkdir(parents=True)
        (folder / "code.py").write_text("")
    (home / "torch").symlink_to(elsewhere)
    monkeypatch.setattr(watching, "_HOMES", (f"{home}/",))
    assert watching._is_at_home(str(home / "torch/code.py"))
    assert not watching._is_at_home(str(stranger / "code.py"))
    assert not watching._is_at_home(str(elsewhere / "code.py")), "it is trusted by the name it was imported by alone"


@pytest.mark.slow
@needs_copies
def test_attacks_run_nothing_and_write_nothing_outside(tmp_path: Path) -> None:
    outcome = attacks.run(45, 1, tmp_path)
    assert outcome.total == 45
    assert outcome.failures == []
    assert outcome.controls == [("plain mechanisms that went unseen", 0, len(attacks.CONTROLS))]


@pytest.mark.slow
@needs_copies
def test_swept_files_of_a_stranger_run_nothing_and_write_nothing_outside(tmp_path: Path) -> None:
    outcome = swept.run(30, 1, tmp_path)
    assert outcome.total == 30
    assert outcome.failures == []
    assert outcome.is_good, outcome.row()


@needs_copies
def test_no_word_of_the_command_line_gives_a_launcher_a_class_or_words_of_its_own(tmp_path: Path) -> None:
    attacks.warm_up()
    names = ["words by way of Hydra's sweeper"]
    tried = [
        attack for attack in attacks.ATTACKS if attack.name in names or attack.name.startswith("launcher argument")
    ]
    problems = [attacks.try_attack(attack, tmp_path / str(number), tmp_path) for number, attack in enumerate(tried)]
    assert problems == [""] * 5


def all_tried(chosen: list[attacks.Attack], folder: Path) -> list[str]:
    """What each of these attacks did, empty if it did nothing."""
    attacks.warm_up()
    attacks.make_templates(folder / "templates")
    return [
        attacks.try_attack(attack, folder / str(number), folder / "templates") for number, attack in enumerate(chosen)
    ]


_PLUGINS = [attack for attack in attacks.ATTACKS if "plug-in" in attack.name]
_FEW = ("plug-ins: the working folder is one", "plug-ins: experiment: section", "plug-ins: sweep with a flag")


@needs_copies
@pytest.mark.parametrize(
    "attack", [attack for attack in _PLUGINS if attack.name in _FEW], ids=lambda attack: attack.name
)
def test_no_file_names_a_plugin_folder(attack: attacks.Attack, tmp_path: Path) -> None:
    attacks.warm_up()
    assert attacks.try_attack(attack, tmp_path / "0", tmp_path) == ""


@pytest.mark.slow
@needs_copies
def test_nothing_but_its_name_makes_code_of_a_plugin_folder_run(tmp_path: Path) -> None:
    tried = all_tried(_PLUGINS, tmp_path)
    assert len(tried) >= 40 and [problem for problem in tried if problem] == []


@pytest.mark.slow
@needs_copies
def test_a_strangers_run_that_is_trained_again_reads_and_writes_nothing_else(tmp_path: Path) -> None:
    chosen = [each for each in attacks.ATTACKS if each.name.startswith(("run to rerun: ", "run to verify: "))]
    tried = all_tried(chosen, tmp_path)
    assert len(tried) == 8 and [problem for problem in tried if problem] == []


def test_there_are_as_many_attacks_as_promised() -> None:
    assert len(attacks.ATTACKS) >= 40
    assert len({attack.name for attack in attacks.ATTACKS}) == len(attacks.ATTACKS)


@pytest.mark.slow
def test_random_command_lines_and_files_are_answered(tmp_path: Path) -> None:
    outcome = fuzz.run(250, 5, tmp_path)
    assert outcome.failures == []
    assert outcome.is_good, outcome.row()


def test_a_sound_command_line_reaches_the_stand_in_of_training(tmp_path: Path) -> None:
    with fuzz.prepared(tmp_path):
        for words in (["train"], ["train", "model=cnn", "data=mnist"], ["train", "--cfg", "job"]):
            assert fuzz.try_words(words) == ("", 0)


def _connect() -> None:
    with socket.socket() as connection:
        connection.connect(("192.0.2.1", 80))


def _send() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        connection.sendto(b"x", ("192.0.2.1", 80))


def _send_message() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        connection.sendmsg([b"x"], [], 0, ("192.0.2.1", 80))


@pytest.mark.parametrize(
    ("reach", "seen"),
    [
        (_connect, "('192.0.2.1', 80)"),
        (_send, "('192.0.2.1', 80)"),
        (_send_message, "('192.0.2.1', 80)"),
        (lambda: socket.getaddrinfo("example.invalid", 80), "'example.invalid'"),
        (lambda: socket.gethostbyname("example.invalid"), "'example.invalid'"),
    ],
)
def test_the_network_is_out_of_reach_of_tests(reach: Callable[[], object], seen: str, connections: list[str]) -> None:
    with pytest.raises(AssertionError, match="connects"):
        reach()
    assert connections == [seen]
    connections.clear()


def test_training_opens_no_socket(lab: Lab, opened_sockets: list[str]) -> None:
    lab.train("data=xor", "model=mlp", "trainer.epochs=1")
    assert opened_sockets == []
    socket.socket().close()
    assert len(opened_sockets) == 1


def locked() -> dict[str, str]:
    """The version of each package in requirements.lock; a line of any other form than name, version and sums fails."""
    text = (REPOSITORY / "requirements.lock").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    packages = [re.fullmatch(r"([\w.-]+)==([\w.+!-]+)((?: --hash=sha256:[0-9a-f]{64})+)", line) for line in lines]
    assert all(packages), [line for line, package in zip(lines, packages, strict=True) if not package]
    return {canonicalize_name(package[1]): package[2] for package in packages if package}


def test_the_lock_has_a_version_and_sums_for_all_that_is_needed() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    versions = locked()
    for requirement in map(Requirement, project["dependencies"]):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in requirements.lock"
        assert requirement.specifier.contains(version), f"{requirement}, locked is {version}"
    assert len(project["dependencies"]) >= 10


@pytest.mark.parametrize(
    "value", ["[!!python/name:os.system,true]", "[1,[2,[3]]]", "${oc.create:{a:1}}", "a,b", "null"]
)
def test_a_launcher_is_chosen_by_a_plain_name(lab: Lab, value: str) -> None:
    assert lab.attempt(f"hydra/launcher={value}") == 2
    assert "hydra/launcher must be the name of one" in lab.err


def test_a_reference_on_the_command_line_is_kept_as_it_was_typed(lab: Lab) -> None:
    run = lab.train("data=iris", "trainer.epochs=1", "seed=1", "optimizer.lr=${..seed}")
    assert run is not None
    assert "optimizer.lr=${..seed}" in (run / "overrides.yaml").read_text()
