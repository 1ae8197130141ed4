"""Goal S1: command lines, config files, run folders and data files of a stranger, none of which may run or write anything.

Each attack plants a payload that would leave a mark. The controls run the same payloads through the plain mechanisms
(pickle, hydra.main, instantiate, ...), which must be seen, or the watch is blind.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import platform
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dlcourse.cli.main import main
from dlcourse.runs.weights import to_bytes
from dlcourse.sweeps.plan import Plan, PlannedRun, write_plan
from torture.outcome import Outcome
from torture.processes import in_copy
from torture.watching import Seen, watched

SECRET = "hunter2-do-not-copy"
_PRECIOUS = f"the victim's own file {SECRET}\n"
_MOST_LINES = 3


@dataclass(frozen=True)
class Scene:
    """Where an attack takes place: the working folder, a victim's folder beside it, the mark, and runs to forge."""

    work: Path
    victim: Path
    mark: Path
    trained: Path
    maker: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def pickled(self) -> bytes:
        """A pickle that touches the mark when it is read."""
        return pickle.dumps(_Evil(f"touch {self.mark}"))

    def run(self, *, without_checkpoints: bool = False) -> Path:
        """A stranger's copy of a trained run."""
        folder = self.work / "run"
        shutil.copytree(self.trained, folder)
        (folder / ".lock").unlink()
        if without_checkpoints:
            shutil.rmtree(folder / "checkpoints")
        return folder

    def made(self) -> Path:
        """A stranger's copy of a run that can be sampled."""
        return Path(shutil.copytree(self.maker, self.work / "run"))


class _Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


Prepare = Callable[[Scene], list[str]]


@dataclass(frozen=True)
class Attack:
    """`prepare` plants it and returns the command line; `codes` are the exit codes that are right."""

    name: str
    prepare: Prepare
    codes: tuple[int, ...] = (2,)
    as_process: bool = False
    """Through a new process: what counts is where Python looks for modules."""


ATTACKS: list[Attack] = []


def _attack(name: str, *codes: int) -> Callable[[Prepare], Prepare]:
    def add(prepare: Prepare) -> Prepare:
        ATTACKS.append(Attack(name, prepare, codes or (2,)))
        return prepare

    return add


def _line(name: str, *words: str, codes: tuple[int, ...] = (2,)) -> None:
    ATTACKS.append(
        Attack(name, lambda scene: ["train", *(word.replace("VICTIM", str(scene.victim)) for word in words)], codes)
    )


_line("callback", "+hydra.callbacks.x._target_=evil_module.Callback")
_line("callback as a dict", "++hydra.callbacks={x:{_target_:evil_module.Callback}}")
_line("callback in quotes", "+hydra.callbacks={x:{'_tar' 'get_':evil_module.Callback}}")
_line("callback group", "hydra/callbacks=evil")
_line("job_logging class", "+hydra.job_logging.handlers.x.class=evil_module.Handler")
_line("job_logging stream", "hydra.job_logging.handlers.console.stream=ext://evil_module.stream")
_line("hydra_logging formatter", "+hydra.hydra_logging.formatters.x.class=evil_module.Formatter")
_line("hydra_logging group", "hydra/hydra_logging=colorlog")
_line("searchpath pkg", "hydra.searchpath=[pkg://evil_module]")
_line("searchpath pkg appended", "+hydra.searchpath=[pkg://evil_module]")
_line("config-path pkg", "--config-path", "pkg://evil_module")
_line("config-path folder", "-cp", "VICTIM")
_line("config-name", "-cn", "../../evil")
_line("config-dir pkg", "--config-dir", "pkg://evil_module")
_line("launcher class", "hydra.launcher._target_=evil_module.run")
_line("sweeper class", "-m", "hydra.sweeper._target_=evil_module.run", "seed=1,2")
_line("launcher argument", "-m", "+hydra.launcher.x={_target_:evil_module.run}", "seed=1,2")
_line(
    "launcher argument made by a resolver",
    "-m",
    r"""+hydra.launcher.x=${oc.create:'{"\x5ftarget_": evil_module.run}'}""",
    "seed=1,2",
)
_line("launcher argument decoded", "-m", "+hydra.launcher.x=${oc.decode:'{_tar' 'get_:evil_module.run}'}", "seed=1,2")
_line("words by way of Hydra's sweeper", "-m", "hydra/sweeper=basic", "hydra/launcher=basic",
      "+hydra.sweeper.params.a=VICTIM/run", "seed=1,2")  # fmt: skip
_line("launcher group", "hydra/launcher=evil")
_line("LD_PRELOAD", "+hydra.job.env_set.LD_PRELOAD=/tmp/evil.so")
_line("hydra.run.dir", "hydra.run.dir=VICTIM/run")
_line("hydra.sweep.dir", "-m", "hydra.sweep.dir=VICTIM/run", "seed=1,2")
_line("hydra.output_subdir", "hydra.output_subdir=../../victim")
_line("hydra.job.chdir", "hydra.job.chdir=true")
_line("hydra.mode", "hydra.mode=MULTIRUN")
_line("env secret", "run.root=${oc.env:DLCOURSE_SECRET}")
_line("env secret in an added option", "+model.x=${oc.env:DLCOURSE_SECRET}")
_line("env secret in a sweep", "-m", "run.root=x${oc.env:DLCOURSE_SECRET}", "seed=1,2")
_line("env secret inside a resolver", "run.root=${oc.decode:${oc.env:DLCOURSE_SECRET}}")
_line("group traversal", "model=../../../victim/evil")
_line("group by absolute path", "model=VICTIM/evil")
_line("group by package", "model=pkg://evil_module/evil")
_line("group into hydra", "model@hydra.callbacks=mlp")
_line("group added into hydra", "+data@hydra.launcher=digits")
_line("group removed", "~hydra/job_logging")
_line("class in an option", "+model._target_=evil_module.run")
_line("class as the model", "model={_target_:evil_module.run,name:mlp}")
_line("class in a sweep", "-m", "+model._target_=evil_module.run,evil_module.other")
_line("class in brackets", "+trainer={checkpoint:{_target_:evil_module.run}}")
_line("model by dotted name", "model.name=evil_module.run")
_line("activation by dotted name", "model.activation=os.system")
_line("option named like a module", "+evil_module.run=1")


@_attack("rerun of a pickle")
def _rerun(scene: Scene) -> list[str]:
    scene.write("config.pickle", scene.pickled())
    return ["train", "--experimental-rerun", "config.pickle"]


@_attack("rerun of a pickle with =")
def _rerun_equals(scene: Scene) -> list[str]:
    scene.write("config.pickle", scene.pickled())
    return ["train", "--experimental-rerun=config.pickle"]


@_attack("launcher argument by reference to a model")
def _launcher_reference(scene: Scene) -> list[str]:
    scene.write("own/model/evil.yaml", "# A.\nname: mlp\nhidden: [4]\ninside: {_target_: evil_module.run}\n")
    return ["train", "--config-dir", "own", "-m", "model=evil", "+hydra.launcher.x=${model.inside}", "seed=1,2"]


@_attack("completion of a line with a search path", 0)
def _completion_path(scene: Scene) -> list[str]:
    os.environ["COMP_LINE"] = "dlcourse train hydra.searchpath=[pkg://evil_module] model="
    return ["-sc", "query=bash"]


@_attack("completion of a hostile line", 0)
def _completion(scene: Scene) -> list[str]:
    scene.write(
        "own/experiment/evil.yaml", "# @package _global_\nhydra:\n  callbacks:\n    x: {_target_: evil_module.C}\n"
    )
    os.environ["COMP_LINE"] = (
        "dlcourse train --config-dir own experiment=evil +hydra.callbacks.x._target_=evil_module.C m"
    )
    return ["-sc", "query=bash"]


_GLOBAL = "# @package _global_\n"
_EXPERIMENTS = {
    "callback": "hydra:\n  callbacks:\n    x: {_target_: evil_module.Callback}\n",
    "logging class": "hydra:\n  job_logging:\n    handlers:\n      x: {class: evil_module.Handler}\n",
    "logging factory": "hydra:\n  hydra_logging:\n    formatters:\n      x: {'()': evil_module.Formatter}\n",
    "searchpath": "hydra:\n  searchpath: ['pkg://evil_module']\n",
    "launcher class": "hydra:\n  launcher: {_target_: evil_module.run}\n",
    "sweeper class": "hydra:\n  sweeper: {_target_: evil_module.run}\n",
    "environment": "hydra:\n  job:\n    env_set: {LD_PRELOAD: /tmp/evil.so}\n",
    "run folder": "hydra:\n  run: {dir: ../victim/run}\n",
    "output_subdir": "hydra:\n  output_subdir: ../victim\n",
    "callback group": "defaults:\n  - override /hydra/callbacks: evil\n",
    "launcher group": "defaults:\n  - override /hydra/launcher: evil\n",
    "traversal in defaults": "defaults:\n  - ../../victim/evil\n",
    "traversal in an override": "defaults:\n  - override /model: ../../victim/evil\n",
    "absolute path in defaults": "defaults:\n  - /../../victim/evil@_global_: x\n",
    "package in defaults": "defaults:\n  - pkg://evil_module/evil\n",
    "package into hydra": "defaults:\n  - /model@hydra.callbacks: mlp\n",
    "package into hydra, appended": "defaults:\n  - /data@hydra.launcher: digits\n",
    "name from a variable": "defaults:\n  - override /model: ${oc.env:DLCOURSE_SECRET}\n",
    "bomb beside the groups": "defaults:\n  - /other/bomb\n",
    "bomb in a folder of a group": "defaults:\n  - override /model: sub/bomb\n",
    "includes itself": "defaults:\n  - evil\n",
    "secret": "run:\n  root: ${oc.env:DLCOURSE_SECRET}\n",
    "secret in a list": "freeze: ['${oc.env:DLCOURSE_SECRET}']\n",
    "class in the trainer": "trainer:\n  _target_: evil_module.run\n",
    "class at the top": "_target_: evil_module.run\n",
    "python tag": "seed: !!python/object/apply:os.system ['touch MARK']\n",
    "python name tag": "seed: !!python/name:evil_module.run\n",
    "python module tag": "seed: !!python/module:evil_module\n",
    "own tag": "seed: !evil {x: 1}\n",
}
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def _experiment(text: str) -> Prepare:
    def prepare(scene: Scene) -> list[str]:
        scene.write("own/experiment/evil.yaml", _GLOBAL + text.replace("MARK", str(scene.mark)))
        scene.write("own/hydra/callbacks/evil.yaml", "x: {_target_: evil_module.Callback}\n")
        scene.write("own/hydra/launcher/evil.yaml", "_target_: evil_module.run\n")
        scene.write("own/other/bomb.yaml", _BOMB)
        scene.write("own/model/sub/bomb.yaml", _BOMB)
        return ["train", "--config-dir", "own", "experiment=evil"]

    return prepare


ATTACKS += [Attack(f"experiment: {name}", _experiment(text)) for name, text in _EXPERIMENTS.items()]

_FILES = {
    "package hydra.callbacks": ("model/evil.yaml", "# @package hydra.callbacks\nx: {_target_: evil_module.Callback}\n"),
    "package hydra.launcher": ("model/evil.yaml", "# @package hydra.launcher\n_target_: evil_module.run\n"),
    "class in a model": ("model/evil.yaml", "# A.\nname: mlp\n_target_: evil_module.run\n"),
    "class below a model": ("model/evil.yaml", "# A.\nname: mlp\nhidden: {_target_: evil_module.run}\n"),
    "module for a name": ("model/evil.yaml", "# A.\nname: evil_module.run\n"),
    "shadowed callbacks": ("hydra/callbacks/default.yaml", "x: {_target_: evil_module.Callback}\n"),
    "shadowed job_logging": ("hydra/job_logging/none.yaml", "root: null\nhandlers: {x: {class: evil_module.H}}\n"),
    "shadowed launcher": ("hydra/launcher/dlcourse.yaml", "_target_: evil_module.run\n"),
    "shadowed sweeper": ("hydra/sweeper/dlcourse.yaml", "_target_: evil_module.run\n"),
    "shadowed env": ("hydra/env/default.yaml", "# @package hydra.job\nenv_set: {LD_PRELOAD: /tmp/evil.so}\n"),
    "shadowed output": ("hydra/output/default.yaml", "# @package hydra\nrun: {dir: ../victim}\n"),
    "shadowed hydra config": ("hydra/config.yaml", "hydra: {callbacks: {x: {_target_: evil_module.C}}}\n"),
    "shadowed config": ("config.yaml", "hydra: {callbacks: {x: {_target_: evil_module.C}}}\n"),
    "shadowed trainer": ("trainer/default.yaml", "epochs: 1\n"),
    "bomb": ("data/evil.yaml", _BOMB),
    "nested brackets": ("data/evil.yaml", "a: " + "[" * 3000 + "]" * 3000 + "\n"),
    "nested by indentation": ("data/evil.yaml", "".join(" " * i + "a:\n" for i in range(300))),
    "a megabyte": ("data/evil.yaml", "a: 1\n" * 200_000),
    "merge keys": ("data/evil.yaml", "a: &x {b: 1}\nc:\n  <<: *x\n"),
    "a number of 5000 digits": ("data/evil.yaml", f"name: digits\nsize: {'9' * 5000}\n"),
    "two documents": ("data/evil.yaml", "name: digits\n---\n!!python/object/apply:os.system [x]\n"),
}


def _config_file(name: str, text: str) -> Prepare:
    def prepare(scene: Scene) -> list[str]:
        scene.write(f"own/{name}", text)
        group = name.partition("/")[0]
        chosen = [f"{group}=evil"] if name.endswith("/evil.yaml") else ["-m", "seed=1"]
        return ["train", "--config-dir", "own", *chosen, *_NOT_TRAINED]

    return prepare


_NOT_TRAINED = ["trainer.epochs=1", "data=xor", "optimizer.lr=-1"]
"""A command line that is refused only after it was composed, so that exit code 2 without acts is the right answer."""

ATTACKS += [
    Attack(f"config file: {name}", _config_file(*file)) if not file[0].startswith("data/")
    else Attack(f"config file: {name}", lambda scene, file=file: [*_config_file(*file)(scene)[:3], "data=evil"])
    for name, file in _FILES.items()
]  # fmt: skip


@_attack("config file: shadowed shared options")
def _shared_config(scene: Scene) -> list[str]:
    scene.write("own/data/shared/split.yaml", "# @package hydra.callbacks\nx: {_target_: evil_module.Callback}\n")
    return ["train", "--config-dir", "own", *_NOT_TRAINED]


@_attack("config file: a pipe")
def _fifo_config(scene: Scene) -> list[str]:
    (scene.work / "own/model").mkdir(parents=True)
    os.mkfifo(scene.work / "own/model/evil.yaml")
    return ["train", "--config-dir", "own", "model=evil"]


@_attack("config file: an endless device")
def _device_config(scene: Scene) -> list[str]:
    (scene.work / "own/model").mkdir(parents=True)
    (scene.work / "own/model/evil.yaml").symlink_to("/dev/zero")
    return ["train", "--config-dir", "own", "model=evil"]


@_attack("config dir: a pipe")
def _fifo_folder(scene: Scene) -> list[str]:
    os.mkfifo(scene.work / "own")
    return ["train", "--config-dir", "own"]


@_attack("pickle as a run to resume")
def _resume_pickle(scene: Scene) -> list[str]:
    scene.write("model.pt", scene.pickled())
    return ["resume", "model.pt"]


@_attack("pickle as a run to sample")
def _sample_pickle(scene: Scene) -> list[str]:
    scene.write("model.pt", scene.pickled())
    return ["sample", "model.pt"]


@_attack("pickle as init_from")
def _init_pickle(scene: Scene) -> list[str]:
    scene.write("model.pt", scene.pickled())
    return ["train", "data=xor", "init_from=model.pt"]


@_attack("pickle as the weights of init_from")
def _init_folder(scene: Scene) -> list[str]:
    scene.write("other/weights.safetensors", scene.pickled())
    scene.write("other/config.yaml", "!!python/object/apply:os.system [x]\n")
    return ["train", "data=xor", "init_from=other"]


@_attack("pickle as the weights of a network of torchvision")
def _torchvision_pickle(scene: Scene) -> list[str]:
    scene.write("resnet18.pth", scene.pickled())
    return ["train", "data=digits", "model=torchvision", "model.weights=resnet18.pth"]


@_attack("torch file with more than tensors as the weights of a network of torchvision")
def _torchvision_torch_file(scene: Scene) -> list[str]:
    torch.save({"fc.weight": torch.zeros(2), "other": _Evil(f"touch {scene.mark}")}, scene.work / "resnet18.pth")
    return ["train", "data=digits", "model=torchvision", "model.weights=resnet18.pth"]


@_attack("torch file as the weights of a run to sample")
def _torch_weights(scene: Scene) -> list[str]:
    run = scene.made()
    content = io.BytesIO()
    torch.save(_Evil(f"touch {scene.mark}"), content)
    (run / "weights.safetensors").write_bytes(content.getvalue())
    return ["sample", "run"]


@_attack("weights with paths for names")
def _tensor_names(scene: Scene) -> list[str]:
    run = scene.made()
    (run / "weights.safetensors").write_bytes(
        to_bytes({"../../victim/precious.txt": torch.zeros(3), "/etc/x": torch.zeros(1)})
    )
    return ["sample", "run"]


@_attack("weights with a header of 2^60 bytes")
def _huge_header(scene: Scene) -> list[str]:
    run = scene.made()
    (run / "weights.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}" * 100)
    return ["sample", "run"]


@_attack("weights are a pipe")
def _fifo_weights(scene: Scene) -> list[str]:
    run = scene.made()
    (run / "weights.safetensors").unlink()
    os.mkfifo(run / "weights.safetensors")
    return ["sample", "run"]


def _spec_attack(name: str, change: dict[str, object] | str) -> None:
    def prepare(scene: Scene) -> list[str]:
        spec = scene.made() / "spec.json"
        text = change if isinstance(change, str) else json.dumps(json.loads(spec.read_text()) | change)
        spec.write_text(text)
        return ["sample", "run"]

    ATTACKS.append(Attack(f"spec.json: {name}", prepare))


_spec_attack("class", {"_target_": "evil_module.run"})
_spec_attack("huge shape", {"input_shape": [10**7, 10**7]})
_spec_attack("negative shape", {"input_shape": [-1]})
_spec_attack("no shape", {"input_shape": []})
_spec_attack("numbers for names", {"class_names": 5})
_spec_attack("nested", "[" * 100_000)
_spec_attack("number of 5000 digits", '{"num_outputs": ' + "9" * 5000 + "}")
_spec_attack("hostile tokenizer", {"vocabulary": ["a"], "tokenizer": '{"model": {"type": "evil_module"}}'})
_spec_attack("centers", {"centers": [{"_target_": "x"}]})
_spec_attack("not an object", "[1, 2]")

_RUN_CONFIGS = {
    "class": lambda text: text.replace("  hidden:", "  _target_: evil_module.run\n  hidden:"),
    "module for a name": lambda text: text.replace("name: mlp", "name: evil_module.run"),
    "python tag": lambda text: text.replace("seed: 0", "seed: !!python/object/apply:os.system ['touch MARK']"),
    "module tag": lambda text: text + "evil: !!python/module:evil_module\n",
    "secret": lambda text: text.replace("name: mlp", "name: ${oc.env:DLCOURSE_SECRET}"),
    "secret in init_from": lambda text: text.replace("init_from: null", "init_from: ${oc.env:DLCOURSE_SECRET}"),
    "hydra": lambda text: text + "hydra:\n  callbacks: {x: {_target_: evil_module.C}}\n",
    "anchors": lambda text: _BOMB + text,
    "nested": lambda text: text + "x: " + "[" * 2000 + "]" * 2000,
    "a list": lambda text: "- a\n- b\n",
    "empty sections": lambda text: "data:\nmodel:\n",
    "threads": lambda text: text.replace("threads: null", "threads: 1000000000"),
    "huge layer": lambda text: text.replace("  - 256\n", "  - 1000000000000000\n"),
    "huge data": lambda text: text.replace("size: 1000", "size: 1000000000000000"),
}


def _run_config(verb: str, change: Callable[[str], str]) -> Prepare:
    def prepare(scene: Scene) -> list[str]:
        run = scene.run(without_checkpoints=True) if verb == "resume" else scene.made()
        config = (scene.trained / "config.yaml").read_text()
        (run / "config.yaml").write_text(change(config).replace("MARK", str(scene.mark)))
        return [verb, "run"]

    return prepare


ATTACKS += [
    Attack(f"config.yaml of a run to {verb}: {name}", _run_config(verb, change), (3 if "huge" in name else 2, 2))
    for verb in ("resume", "sample")
    for name, change in _RUN_CONFIGS.items()
]


@_attack("config.yaml of a run to resume names other folders", 0)
def _run_elsewhere(scene: Scene) -> list[str]:
    run = scene.run(without_checkpoints=True)
    _name_victims_folders(scene, run)
    return ["resume", "run"]


def _name_victims_folders(scene: Scene, run: Path) -> None:
    text = (run / "config.yaml").read_text()
    folders = f"run:\n  root: {scene.victim}\n  dir: {scene.victim}/run\n"
    (run / "config.yaml").write_text(text[: text.index("run:\n")] + folders + text[text.index("init_from:") :])


@_attack("config.yaml of a run to resume asks for a download", 2)
def _run_download(scene: Scene) -> list[str]:
    """The owner would download the same data by the same words; here there is no file of that name, and no network."""
    run = scene.run(without_checkpoints=True)
    text = (run / "config.yaml").read_text()
    data = f"data:\n  name: mnist\n  root: {scene.work}\n  download: false\n"
    (run / "config.yaml").write_text(data + text[text.index("features:") :])
    return ["resume", "run"]


def reseal(place: Path) -> None:
    """Make the manifest of a checkpoint true again, as a stranger can."""
    manifest = json.loads((place / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        content = (place / name).read_bytes()
        entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    log = (place.parents[1] / "metrics.jsonl").read_bytes()
    manifest["log"].update(size=len(log), sha256=hashlib.sha256(log).hexdigest())
    (place / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _newest(run: Path) -> Path:
    """The only checkpoint left in a stranger's run."""
    *older, newest = sorted((run / "checkpoints").iterdir())
    for place in older:
        shutil.rmtree(place)
    return newest


def _checkpoint(name: str, change: Callable[[Scene, Path], object], *codes: int, sealed: bool = True) -> None:
    def prepare(scene: Scene) -> list[str]:
        place = _newest(scene.run())
        change(scene, place)
        if sealed:
            reseal(place)
        return ["resume", "run", "trainer.epochs=3"]

    ATTACKS.append(Attack(f"checkpoint: {name}", prepare, codes or (2,)))


def _edit_state(change: Callable[[dict], object]) -> Callable[[Scene, Path], None]:
    def edit(scene: Scene, place: Path) -> None:
        state = json.loads((place / "state.json").read_text())
        change(state)
        (place / "state.json").write_text(json.dumps(state))

    return edit


def _edit_manifest(change: Callable[[Scene, dict], object]) -> Callable[[Scene, Path], None]:
    def edit(scene: Scene, place: Path) -> None:
        manifest = json.loads((place / "manifest.json").read_text())
        change(scene, manifest)
        (place / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")

    return edit


def _add_file(scene: Scene, manifest: dict, name: str) -> None:
    content = _PRECIOUS.encode()
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


for _name in ("model.safetensors", "training.safetensors"):
    _checkpoint(f"pickle as {_name}", lambda scene, place, name=_name: (place / name).write_bytes(scene.pickled()))
_checkpoint(
    "pickle as the kept weights", lambda scene, place: (place / "kept.safetensors").write_bytes(scene.pickled()), 0, 2
)
_checkpoint("manifest names a file above", _edit_manifest(
    lambda scene, manifest: _add_file(scene, manifest, "../../../../victim/precious.txt")), sealed=False)  # fmt: skip
_checkpoint("manifest names an absolute file", _edit_manifest(
    lambda scene, manifest: _add_file(scene, manifest, str(scene.victim / "precious.txt"))), sealed=False)  # fmt: skip
_checkpoint("manifest names its own folder", _edit_manifest(lambda scene, manifest: _add_file(scene, manifest, "..")),
            sealed=False)  # fmt: skip
_checkpoint("manifest with huge sizes", _edit_manifest(
    lambda scene, manifest: manifest["files"]["state.json"].update(size=2**70)), sealed=False)  # fmt: skip
_checkpoint("manifest with a log of huge size", _edit_manifest(
    lambda scene, manifest: manifest["log"].update(size=2**70)), 0, sealed=False)  # fmt: skip
_checkpoint("manifest with negative sizes", _edit_manifest(
    lambda scene, manifest: manifest["log"].update(size=-1)), sealed=False)  # fmt: skip
_checkpoint("manifest nested", lambda scene, place: (place / "manifest.json").write_text("[" * 200_000), sealed=False)
_checkpoint("manifest is a link", lambda scene, place: _replace_by_link(
    place / "manifest.json", scene.victim / "precious.txt"), sealed=False)  # fmt: skip
_checkpoint("state nested", lambda scene, place: (place / "state.json").write_text('{"about":' + "[" * 100_000))
_checkpoint("state is a list", lambda scene, place: (place / "state.json").write_text("[]"))
_checkpoint("state without config", _edit_state(lambda state: state["about"].pop("config")))
_checkpoint(
    "state with a class",
    _edit_state(lambda state: state["about"]["config"]["model"].update(_target_="evil_module.run")),
)
_checkpoint(
    "state with a module", _edit_state(lambda state: state["about"]["config"]["model"].update(name="evil_module.run"))
)
_checkpoint("config is a text", _edit_state(lambda state: state["about"].update(config="evil_module.run")))
_checkpoint("config of numbers", _edit_state(lambda state: state["about"]["config"].update(trainer=5)))
_checkpoint(
    "trainer without epochs", _edit_state(lambda state: state["about"]["config"]["trainer"].pop("epochs")), 0, 2
)
_checkpoint("no overrides", _edit_state(lambda state: state["about"].update(overrides=7)))
_checkpoint("no data signature", _edit_state(lambda state: state["about"].update(data={"a": 1})))
_checkpoint("no environment", _edit_state(lambda state: state["about"].pop("environment")))
_checkpoint("a billion threads", _edit_state(lambda state: state["about"]["environment"].update(threads=10**9)))
_checkpoint("minus one thread", _edit_state(lambda state: state["about"]["environment"].update(threads=-1)))
_checkpoint("threads in words", _edit_state(lambda state: state["about"]["environment"].update(threads="many")))
_checkpoint(
    "tensor by path", _edit_state(lambda state: state["state"]["task"].update(x="tensor:../../../victim")), 0, 2
)
_checkpoint("no state", _edit_state(lambda state: state.pop("state")))
_checkpoint("history of words", _edit_state(lambda state: state["state"]["history"].update(steps="x")))
_checkpoint(
    "history with a class", _edit_state(lambda state: state["state"]["history"].update(_target_="evil_module.run"))
)
_checkpoint(
    "epoch of 5000 digits",
    lambda scene, place: (place / "state.json").write_text('{"state":{"epoch":' + "9" * 5000 + "}}"),
)
_checkpoint("random state of words", _edit_state(lambda state: state["state"].update(random={"torch": "x"})))


def _replace_by_link(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


def _link(name: str, file: str, target: str, *, without_checkpoints: bool) -> None:
    def prepare(scene: Scene) -> list[str]:
        run = scene.run(without_checkpoints=without_checkpoints)
        _replace_by_link(run / file, scene.victim / target)
        return ["resume", "run", "trainer.epochs=3"]

    ATTACKS.append(Attack(f"link: {name}", prepare))


_link("lock file", ".lock", "precious.txt", without_checkpoints=False)
_link("log without a checkpoint", "metrics.jsonl", "precious.txt", without_checkpoints=True)
_link("log", "metrics.jsonl", "precious.txt", without_checkpoints=False)
_link("folder of checkpoints", "checkpoints", "", without_checkpoints=False)
_link("folder of progress", "progress", "", without_checkpoints=False)


@_attack("link: folder of samples")
def _samples_link(scene: Scene) -> list[str]:
    run = scene.made()
    _replace_by_link(run / "samples", scene.victim)
    return ["sample", "run"]


@_attack("link: files with the names of unfinished ones", 0, 2)
def _unfinished_links(scene: Scene) -> list[str]:
    run = scene.made()
    (run / "samples").mkdir(exist_ok=True)
    probe = in_copy(lambda: 0)  # its number tells what those to come will be
    os.waitpid(probe, 0)
    for pid in range(probe, probe + 3000):
        (run / "samples" / f".samples_0001.png.{pid}.part").symlink_to(scene.victim / "precious.txt")
    return ["sample", "run"]


def _trained_again(name: str, change: Callable[[Scene, Path], object], **codes: int) -> None:
    """An attack by a run for each verb that trains it again, with its exit code."""
    for verb, code in codes.items():

        def prepare(scene: Scene, verb: str = verb) -> list[str]:
            change(scene, scene.run())
            return [verb, "run"]

        ATTACKS.append(Attack(f"run to {verb}: {name}", prepare, (code,)))


_trained_again("words", lambda scene, run: (run / "overrides.yaml").write_text(
    '- "--plugins=evil"\n- "hydra.run.dir=x"\n- "+x=${oc.env:DLCOURSE_SECRET}"\n- "run.root=../victim"\n'),
    rerun=0, verify=0)  # fmt: skip
_trained_again("other folders", _name_victims_folders, rerun=0, verify=0)
_trained_again("a billion threads", lambda scene, run: (run / "environment.json").write_text(
    f'{{"threads": {10**9}}}'), rerun=2, verify=2)  # fmt: skip
_trained_again("facts of the victim", lambda scene, run: _replace_by_link(
    run / "environment.json", scene.victim / "precious.txt"), verify=2)  # fmt: skip
_trained_again("predictions of the victim", lambda scene, run: _replace_by_link(
    run / "predictions.csv", scene.victim / "precious.txt"), verify=2)  # fmt: skip


def _log_attack(name: str, record: dict | str, *codes: int) -> None:
    def prepare(scene: Scene) -> list[str]:
        run = scene.run()
        line = record if isinstance(record, str) else json.dumps(record)
        with (run / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        reseal(_newest(run))
        return ["resume", "run", "trainer.epochs=3"]

    ATTACKS.append(Attack(f"metrics.jsonl: {name}", prepare, codes or (0, 2)))


_BASE = {"step": 46, "epoch": 2, "time": 1.0}
_log_attack("text of the victim", {**_BASE, "text": "val/x", "file": "../../victim/precious.txt"})
_log_attack("picture of the victim", {**_BASE, "picture": "val/x", "file": "../../victim/precious.txt"})
_log_attack("picture of a device", {**_BASE, "picture": "val/x", "file": "/dev/zero"})
_log_attack("text of a folder", {**_BASE, "text": "val/x", "file": "checkpoints"})
_log_attack("no step", {"x": 1})
_log_attack("words for numbers", {**_BASE, "val/loss": {"_target_": "evil_module.run"}})
_log_attack("nested", "[" * 100_000)
_log_attack("digits", '{"step": ' + "9" * 5000 + "}")


@_attack("data: pickle as a CIFAR-10 batch")
def _cifar_pickle(scene: Scene) -> list[str]:
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        scene.write(f"data/cifar-10-batches-py/{name}", scene.pickled())
    return ["train", "data=cifar10", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


@_attack("data: pickle as a CIFAR-100 batch")
def _cifar100_pickle(scene: Scene) -> list[str]:
    for name in ("train", "test"):
        scene.write(f"data/cifar-100-python/{name}", scene.pickled())
    return ["train", "data=cifar100", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


@_attack("data: pickle as a MATLAB file")
def _svhn_pickle(scene: Scene) -> list[str]:
    for name in ("train", "test"):
        scene.write(f"data/{name}_32x32.mat", scene.pickled())
    return ["train", "data=svhn", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


@_attack("data: zip with paths outside")
def _emnist_zip(scene: Scene) -> list[str]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../victim/planted.txt", "evil")
        archive.writestr(f"{scene.victim}/planted.txt", "evil")
        archive.writestr("gzip/emnist-balanced-train-images-idx3-ubyte.gz", scene.pickled())
    scene.write("data/gzip.zip", content.getvalue())
    return ["train", "data=emnist", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


@_attack("data: pickle of admitted names with a method of their results")
def _cifar_getattr(scene: Scene) -> list[str]:
    """Names with a dot reach into what is admitted: `_reconstruct.__globals__`."""
    content = b"\x80\x04\x8c\x16numpy.core.multiarray\x8c\x18_reconstruct.__globals__\x93."
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        scene.write(f"data/cifar-10-batches-py/{name}", content)
    return ["train", "data=cifar10", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


def _evil_tar(scene: Scene) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in (
            "../victim/planted.txt",
            f"{scene.victim}/planted.txt",
            "cifar-10-batches-bin/../../victim/planted.txt",
        ):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(scene.victim / "precious.txt")
        tar.addfile(link)
        fifo = tarfile.TarInfo("cifar-10-batches-bin/data_batch_2.bin")
        fifo.type = tarfile.FIFOTYPE
        tar.addfile(fifo)
    return content.getvalue()


@_attack("data: tar with paths and links outside")
def _cifar_tar(scene: Scene) -> list[str]:
    scene.write("data/cifar-10-binary.tar.gz", _evil_tar(scene))
    return ["train", "data=cifar10", "data.root=data", "data.verify=false", "data.download=false", "model=cnn"]


@_attack("data: npz of pickled objects")
def _npz_objects(scene: Scene) -> list[str]:
    content = io.BytesIO()
    np.savez(content, x=np.array([_Evil(f"touch {scene.mark}")] * 4, dtype=object), y=np.arange(4))
    scene.write("x.npz", content.getvalue())
    return ["train", "data=npz", "data.file=x.npz"]


@_attack("data: npz with code in its header")
def _npz_header(scene: Scene) -> list[str]:
    header = (
        b"{'descr': __import__('os').system('touch "
        + str(scene.mark).encode()
        + b"'), 'fortran_order': False, 'shape': (1,)}"
    )
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    with zipfile.ZipFile(scene.work / "x.npz", "w") as archive:
        archive.writestr("x.npy", array)
        archive.writestr("y.npy", array)
    return ["train", "data=npz", "data.file=x.npz"]


@_attack("data: npz with paths outside")
def _npz_paths(scene: Scene) -> list[str]:
    with zipfile.ZipFile(scene.work / "x.npz", "w") as archive:
        archive.writestr("../victim/planted.txt", b"evil")
        archive.writestr("x.npy", b"evil")
    return ["train", "data=npz", "data.file=x.npz"]


@_attack("data: npz bomb")
def _npz_bomb(scene: Scene) -> list[str]:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000, 1)}\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(2**22)
    with zipfile.ZipFile(scene.work / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", content)
    return ["train", "data=npz", "data.file=x.npz"]


@_attack("data: IDX header of 2 * 10^9 pictures")
def _idx_bomb(scene: Scene) -> list[str]:
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        scene.write(f"data/MNIST/raw/{name}", bytes([0, 0, 8, 3]) + struct.pack(">III", 2 * 10**9, 28, 28))
        scene.write(f"data/MNIST/{name}", bytes([0, 0, 8, 3]) + struct.pack(">III", 2 * 10**9, 28, 28))
    return ["train", "data=mnist", "data.root=data", "data.verify=false", "data.download=false"]


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(4096))) + chunk(b"IEND", b"")
    )


_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\n%%EOF\n"


def _images(name: str, plant: Callable[[Scene, Path], object]) -> None:
    def prepare(scene: Scene) -> list[str]:
        for label in ("cat", "dog"):
            (scene.work / "images" / label).mkdir(parents=True)
            plant(scene, scene.work / "images" / label / "1.png")
        return ["train", "data=images", "data.folder=images", "model=cnn"]

    ATTACKS.append(Attack(f"data: image that is {name}", prepare))


_images("a pipe", lambda scene, path: os.mkfifo(path))
_images("an endless device", lambda scene, path: path.symlink_to("/dev/zero"))
_images("a bomb of 50000 x 50000 pixels", lambda scene, path: path.write_bytes(_png(50_000, 50_000)))
_images("a pickle", lambda scene, path: path.write_bytes(scene.pickled()))
_images("a PostScript program", lambda scene, path: _plant_postscript(scene, path))


def _plant_postscript(scene: Scene, path: Path) -> None:
    """Pillow hands such a file to the program `gs`, whatever its name; here one lies on the path."""
    program = scene.write("bin/gs", f"#!/bin/sh\ntouch {scene.mark}\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    path.write_bytes(_EPS)


def _pipe(name: str, *words: str) -> None:
    def prepare(scene: Scene) -> list[str]:
        os.mkfifo(scene.work / "pipe")
        (scene.work / "device").symlink_to("/dev/zero")
        return ["train", *words]

    ATTACKS.append(Attack(f"data: {name}", prepare))


for _kind in ("csv", "text", "npz"):
    _pipe(f"{_kind} is a pipe", f"data={_kind}", "data.file=pipe", *(["data.target=y"] if _kind == "csv" else []))
    _pipe(
        f"{_kind} is an endless device",
        f"data={_kind}",
        "data.file=device",
        *(["data.target=y"] if _kind == "csv" else []),
    )
_pipe("root is a pipe", "data=mnist", "data.root=pipe", "data.download=false")


def _in_working_folder(name: str, file: str, *words: str, programs: tuple[str, ...] = ("script", "module")) -> None:
    for program in programs:

        def prepare(scene: Scene, program: str = program) -> list[str]:
            scene.write(file, f"open({str(scene.mark)!r}, 'w').close()\n")
            executable = (
                [str(Path(sys.executable).parent / "dlcourse")]
                if program == "script"
                else [sys.executable, "-m", "dlcourse"]
            )
            return [*executable, *words]

        ATTACKS.append(Attack(f"{name} in the working folder, as {program}", prepare, (0,), as_process=True))


_in_working_folder("yaml.py", "yaml.py", "train", "--cfg", "job")
_in_working_folder("hydra_plugins", "hydra_plugins/evil.py", "train", "--cfg", "job")
_in_working_folder("hydra_plugins package", "hydra_plugins/__init__.py", "train", "--cfg", "job")
_in_working_folder("torch.py", "torch.py", "count", "gpt")
_in_working_folder("sitecustomize.py", "sitecustomize.py", "list")
# `python -m dlcourse` itself looks for dlcourse in the working folder first: only `python -P -m dlcourse` does not.
_in_working_folder("dlcourse.py", "dlcourse.py", "list", "models", programs=("script",))

_EVIL_MODULE = """\
import os, logging
open(os.environ["DLCOURSE_MARK"], "w").close()
def run(*_, **__): open(os.environ["DLCOURSE_MARK"], "w").close()
other = stream = run
class Callback:
    pass
C = Callback
class Handler(logging.StreamHandler):
    pass
H = Handler
class Formatter(logging.Formatter):
    pass
"""


_EVIL_MODEL = """\
open(MARK, "w").close()
from torch import nn
class Evil(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(spec.num_features, spec.num_outputs)
    def forward(self, inputs):
        return self.layer(inputs.flatten(1))
"""


def _plant_plugins(scene: Scene, place: str = "evil") -> None:
    """A plug-in folder, which is sound but for what its code does: nobody has named it."""
    scene.write(f"{place}/plugins.toml", 'model.evil = "models/evil.py:Evil"\n')
    scene.write(f"{place}/conf/model/evil.yaml", "# Evil.\nname: evil\n")
    scene.write(f"{place}/models/evil.py", _EVIL_MODEL.replace("MARK", repr(str(scene.mark))))


def _unnamed(name: str, words: list[str], *codes: int, place: str = "evil", **files: str) -> None:
    """An attack by words and files, such as `own/model/x.yaml`, beside a plug-in folder."""

    def prepare(scene: Scene) -> list[str]:
        _plant_plugins(scene, place)
        for file, text in files.items():
            scene.write(file, text.replace("WORK", str(scene.work)))
        return words

    ATTACKS.append(Attack(f"plug-ins: {name}", prepare, codes or (2,)))


_unnamed("option", ["train", "model=evil", "+plugins=evil"])
_unnamed("option of the run", ["train", "+run.plugins=evil"])
_unnamed("environment of jobs", ["train", "+hydra.job.env_set.DLCOURSE_PLUGINS=evil", "model=evil"])
_unnamed("the working folder is one", ["train", "model=evil"], place=".")
_unnamed("config folder of one", ["train", "--config-dir", "evil/conf", "model=evil"])
_unnamed("class by file", ["train", "model.name=evil/models/evil.py:Evil"])
_unnamed("flag in a sweep's words", ["train", "-m", "seed=1,2", "+x=[--plugins,evil]"])
_unnamed("listing one", ["list", "all", "--plugins", "evil"], 0)
_unnamed("adding to one", ["new", "model", "other", "--plugins", "evil"], 0)
for _name, _text in {
    "section": "plugins: evil\n",
    "list": "plugins: [evil]\n",
    "from the environment": "plugins: ${oc.env:DLCOURSE_PLUGINS}\n",
    "environment of jobs": "hydra:\n  job:\n    env_set: {DLCOURSE_PLUGINS: WORK/evil}\n",
    "model by file": "model:\n  name: evil/models/evil.py:Evil\n",
    "choice": "defaults:\n  - override /model: ../../evil/conf/model/evil\n",
}.items():
    _unnamed(
        f"experiment: {_name}",
        ["train", "--config-dir", "own", "experiment=x"],
        **{"own/experiment/x.yaml": _GLOBAL + _text},
    )


@_attack("plug-ins: a folder by way of a link")
def _linked_plugins(scene: Scene) -> list[str]:
    _plant_plugins(scene)
    (scene.work / "mine").symlink_to(scene.work / "evil")
    return ["train", "model=evil", "--plugins", "mine"]


def _reaching(name: str, change: Callable[[Scene], object]) -> None:
    """The user's own folder, in which a stranger has one file, reaches for code elsewhere."""

    def prepare(scene: Scene) -> list[str]:
        _plant_plugins(scene)
        _plant_plugins(scene, "mine")
        (scene.work / "mine/models/evil.py").write_text("class Evil:\n    pass\n")
        change(scene)
        return ["train", "model=evil", "--plugins", "mine"]

    ATTACKS.append(Attack(f"plug-ins: {name}", prepare))


_reaching("a module that is a link", lambda scene: _replace_by_link(
    scene.work / "mine/models/evil.py", scene.work / "evil/models/evil.py"))  # fmt: skip
_reaching("a table that is a link", lambda scene: _replace_by_link(
    scene.work / "mine/plugins.toml", scene.work / "evil/plugins.toml"))  # fmt: skip
for _target in ("../evil/models/evil.py", "models/../../evil/models/evil.py", "/evil.py", "evil_module"):
    _reaching(f"a table names {_target}", lambda scene, target=_target: scene.write(
        "mine/plugins.toml", f'model.evil = "{target}:Evil"\n'))  # fmt: skip
_reaching("a module that everyone may write", lambda scene: (scene.work / "mine/models/evil.py").chmod(0o666))


def _planted_in_run(name: str, verb: str, change: Callable[[Scene, Path], object], *codes: int) -> None:
    def prepare(scene: Scene) -> list[str]:
        run = scene.run() if verb == "resume" else scene.made()
        _plant_plugins(scene)
        _plant_plugins(scene, "run")
        change(scene, run)
        return [verb, "run"]

    ATTACKS.append(Attack(f"plug-ins of a run to {verb}: {name}", prepare, codes or (2,)))


def _edit_json(file: str, **entries: object) -> Callable[[Scene, Path], None]:
    def edit(scene: Scene, run: Path) -> None:
        (run / file).write_text(json.dumps(json.loads((run / file).read_text()) | entries))

    return edit


_RECORD = {"model": {"file": "../evil/models/evil.py", "sha256": "0" * 64, "folder": "evil"}}
for _verb, _fine in (("resume", 0), ("sample", 0)):
    _planted_in_run("they are there", _verb, lambda scene, run: None, _fine)
    _planted_in_run("a record of a file", _verb, _edit_json("run.json", plugins=_RECORD), _fine)
    _planted_in_run("a record of a folder", _verb, _edit_json("run.json", plugins="evil"), _fine)
    _planted_in_run("command", _verb, _edit_json("environment.json", command="dlcourse train --plugins evil"), _fine)
    _planted_in_run(
        "words", _verb, lambda scene, run: (run / "overrides.yaml").write_text('- "--plugins=evil"\n'), _fine
    )


@_attack("plug-ins of a run to sample: the model, a record and a section")
def _model_of_plugins(scene: Scene) -> list[str]:
    run = scene.made()
    _plant_plugins(scene)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text("model:\n  name: evil\n" + text[text.index("data:\n") :] + "plugins: evil\n")
    _edit_json("run.json", plugins=_RECORD)(scene, run)
    return ["sample", "run"]


@_attack("plug-ins of a run to sample: the model and a record")
def _model_and_record(scene: Scene) -> list[str]:
    run = scene.made()
    _plant_plugins(scene)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text("model:\n  name: evil\n" + text[text.index("data:\n") :])
    _edit_json("run.json", plugins=_RECORD)(scene, run)
    return ["sample", "run"]


_checkpoint("names plug-ins", _edit_state(lambda state: state["about"].update(plugins=_RECORD)), 0)
_checkpoint("model of plug-ins", _edit_state(lambda state: (
    state["about"].update(plugins=_RECORD), state["about"]["config"].update(model={"name": "evil"}))))  # fmt: skip


def _sweep_naming(name: str, words: list[str], config_dir: str | None = None, **launcher: object) -> None:
    """A stranger's sweep, to be resumed."""

    def prepare(scene: Scene) -> list[str]:
        _plant_plugins(scene)
        (scene.work / "sweep").mkdir()
        plan = Plan((PlannedRun(tuple(words), (), "1"),), config_dir, {"name": "local", **launcher})
        write_plan(scene.work / "sweep", plan)
        scene.write("sweep/commands.txt", "dlcourse train --plugins evil model=evil\n")
        return ["resume", "sweep"]

    ATTACKS.append(Attack(f"plug-ins: sweep with {name}", prepare))


_sweep_naming("a flag", ["--plugins", "evil", "model=evil"])
_sweep_naming("a flag with =", ["--plugins=evil", "model=evil"])
_sweep_naming("an option", ["+plugins=evil", "model=evil"])
_sweep_naming("config files of one", ["model=evil", *_NOT_TRAINED], "evil/conf")
_sweep_naming("commands that name one", _NOT_TRAINED)
_sweep_naming("a launcher with plug-ins", _NOT_TRAINED, plugins="evil")


@_attack("plug-ins: completion of a line that names one", 0)
def _completion_of_plugins(scene: Scene) -> list[str]:
    _plant_plugins(scene)
    os.environ["COMP_LINE"] = "dlcourse train --plugins evil model=evil model."
    return ["-sc", "query=bash"]


def _scene(folder: Path, templates: Path) -> Scene:
    scene = Scene(
        folder / "work", folder / "victim", folder / "mark", templates / "work/trained", templates / "work/maker"
    )
    scene.work.mkdir(parents=True)
    scene.victim.mkdir()
    (scene.victim / "precious.txt").write_text(_PRECIOUS)
    (scene.victim / "evil.yaml").write_text("# Evil.\nname: mlp\nhidden: [3]\n")
    (folder / "modules").mkdir()
    (folder / "modules/evil_module.py").write_text(_EVIL_MODULE)
    return scene


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@contextlib.contextmanager
def _hostile_environment(scene: Scene):
    """Modules of the attacker can be imported, so that a name of one that is acted on runs it; a secret lies ready."""
    before, temporary = dict(os.environ), tempfile.tempdir
    tempfile.tempdir = str(scene.work)
    os.environ.update(DLCOURSE_SECRET=SECRET, DLCOURSE_MARK=str(scene.mark), DLCOURSE_TRACEBACK="0", COLUMNS="200")
    sys.path.insert(0, str(scene.work.parent / "modules"))
    try:
        yield
    finally:
        del sys.path[0]
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = temporary


def _leaked(scene: Scene, seen: Seen) -> bool:
    """Whether the secret, or the victim's file, stands in what was printed or written."""
    texts = [seen.out.encode(), seen.err.encode()]
    texts += [path.read_bytes() for path in scene.work.rglob("*") if path.is_file() and not path.is_symlink()]
    return any(SECRET.encode() in text for text in texts)


def _reseal_run(run: Path) -> None:
    """Make the sums in run.json true again, as a stranger can."""
    with contextlib.suppress(OSError, ValueError):
        status = json.loads((run / "run.json").read_text())
        for name in filter(lambda name: (run / name).is_file(), status["files"]):
            status["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
        (run / "run.json").write_text(json.dumps(status))


def try_attack(attack: Attack, folder: Path, templates: Path, main: Callable[[list[str]], int] = main) -> str:
    """What went wrong when the program is `main`, or nothing."""
    scene = _scene(folder, templates)
    before = _snapshot(scene.victim)
    with _hostile_environment(scene):
        words = attack.prepare(scene)
        _reseal_run(scene.work / "run")
        seen = _process(words, scene) if attack.as_process else watched(lambda: main(words), scene.work)
    problems = [f"act: {act}" for act in seen.acts]  # the words that `has_acted` looks for
    lines = [line for line in seen.err.splitlines() if line.strip()]
    if scene.mark.exists():
        problems.append("EXECUTED")
    if _snapshot(scene.victim) != before:
        problems.append("wrote into the victim's folder")
    if _leaked(scene, seen):
        problems.append("leaked a secret")
    if seen.code not in attack.codes:
        problems.append(f"exit code {seen.code}")
    if len(lines) > _MOST_LINES or "Traceback" in seen.err or "internal error" in seen.err:
        problems.append(f"{len(lines)} lines on stderr")
    if seen.code == 2 and not seen.err.startswith("dlcourse: "):
        problems.append("no line of ours")
    return f"{attack.name}: {'; '.join(problems)} [{seen.err.strip()[-300:]}]" if problems else ""


def has_acted(problem: str) -> bool:
    """Whether what went wrong is that an attack ran or wrote something, and not just how it was refused."""
    return any(word in problem for word in ("act: ", "EXECUTED", "wrote into"))


def _process(words: list[str], scene: Scene) -> Seen:
    # The module beside the working folder is the owner's business there, as PYTHONPATH is.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=scene.work, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return Seen(done.returncode, done.stdout, done.stderr, ())


def make_templates(folder: Path) -> None:
    """Two finished runs to forge: a classifier with checkpoints, and a model that can be sampled."""
    words = ["trainer.epochs=1", "device=cpu", "trainer.batch_size=100"]

    def make() -> int:
        return (
            main(["train", "data=blobs", "model=mlp", "run.dir=trained", *words])
            or main(["train", "data=moons", "model=gan", "run.dir=maker", *words])
            or main(["sample", "maker"])
        )

    seen = watched(make, folder / "work", seconds=60)
    if seen.code != 0 or seen.acts:
        raise RuntimeError(f"the templates cannot be made: {seen}")


def warm_up() -> None:
    """Import here what children would import each: they are then forked in milliseconds."""
    import matplotlib.backends.backend_agg  # noqa: F401
    import scipy.io  # noqa: F401
    import torch._dynamo
    import torch.utils.tensorboard
    import torchvision  # noqa: F401

    import dlcourse.training.sampling
    import dlcourse.training.session  # noqa: F401
    import hydra_plugins.dlcourse_sweep  # noqa: F401

    platform.processor()  # asks the program `uname`, once
    torch.set_num_threads(1)


def run(count: int, seed: int, folder: Path) -> Outcome:
    """Try `count` of the attacks in a random order, all of them where there are no more, and every control."""
    started = time.monotonic()
    outcome = Outcome("S1", "attacks: nothing runs, nothing is written outside")
    warm_up()
    make_templates(folder / "templates")
    chosen = random.Random(seed).sample(ATTACKS, min(count, len(ATTACKS)))
    for number, attack in enumerate(chosen):
        problem = try_attack(attack, folder / f"{number:03d}", folder / "templates")
        outcome.count(not problem, problem)
        shutil.rmtree(folder / f"{number:03d}", ignore_errors=True)
    unseen = [name for name, is_seen in controls(folder / "controls", folder / "templates") if not is_seen]
    outcome.controls.append(("plain mechanisms that went unseen", len(unseen), len(CONTROLS)))
    outcome.seconds = time.monotonic() - started
    return outcome


def run_pickles(count: int, seed: int, folder: Path) -> Outcome:
    """Read `count` mutated pickles as CIFAR-10 batches, each in turn a damaged batch and one that calls other names."""
    from dlcourse.data.cifar import _unpickled

    started = time.monotonic()
    outcome = Outcome("S3", "mutated pickles as CIFAR-10 batches")
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(seed)
    mark = folder / "mark"
    batch = pickle.dumps({b"data": b"", "data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, protocol=2)
    evil = pickle.dumps({"data": _Evil(f"touch {mark}"), "labels": [0]}, protocol=2)

    def read_all(read: Callable[[Path], object], number: int) -> Callable[[], int]:
        def act() -> int:
            for _ in range(number):
                content = bytearray(generator.choice((batch, evil)))
                for _ in range(generator.randint(0, 4)):
                    content[generator.randrange(len(content))] = generator.choice(
                        b"cRio\x8c\x93.()tb\x81\x80ospytem\n\x00\xff"
                    )
                path = folder / "work/batch"
                path.write_bytes(content)
                with contextlib.suppress(Exception):  # the caller turns all of them into one line
                    read(path)
            return 0

        return act

    for start in range(0, count, 50):
        number = min(50, count - start)
        seen = watched(read_all(_unpickled, number), folder / "work")
        is_good = seen.code == 0 and not seen.acts and not mark.exists()
        for _ in range(number):
            outcome.count(is_good, f"pickles {start} to {start + number}: {seen.code} {seen.acts[:3]}")
        generator.seed(f"{seed} {start}")
    seen = watched(read_all(lambda path: pickle.loads(path.read_bytes()), 20), folder / "work")
    outcome.controls.append(("plain pickle.load", int(not (mark.exists() and seen.acts)), 1))
    outcome.seconds = time.monotonic() - started
    return outcome


def _plain_hydra(scene: Scene, *words: str, experiment: str = "") -> int:
    """What an application of plain `hydra.main` does with the same words."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    scene.write("conf/config.yaml", f"a: 1\n{experiment}")
    GlobalHydra.instance().clear()
    sys.argv = ["app", "hydra.run.dir=.", "hydra.output_subdir=null", *words]
    hydra.main(version_base="1.3", config_path=str(scene.work / "conf"), config_name="config")(lambda config: None)()
    return 0


def _load_pickle(scene: Scene) -> int:
    pickle.loads(scene.pickled())
    return 0


def _load_torch(scene: Scene) -> int:
    content = io.BytesIO()
    torch.save(_Evil(f"touch {scene.mark}"), content)
    content.seek(0)
    torch.load(content, weights_only=False)
    return 0


def _load_numpy(scene: Scene) -> int:
    content = io.BytesIO()
    np.save(content, np.array([_Evil(f"touch {scene.mark}")], dtype=object))
    content.seek(0)
    np.load(content, allow_pickle=True)
    return 0


def _load_yaml(scene: Scene) -> int:
    import yaml

    yaml.unsafe_load(f"!!python/object/apply:os.system ['touch {scene.mark}']")
    return 0


def _instantiate(scene: Scene) -> int:
    from hydra.utils import instantiate

    instantiate({"_target_": "evil_module.run"})
    return 0


def _rerun_plainly(scene: Scene) -> int:
    return _plain_hydra(scene, f"--experimental-rerun={scene.write('config.pickle', scene.pickled())}")


def _unpack_plainly(scene: Scene) -> int:
    with tarfile.open(fileobj=io.BytesIO(_evil_tar(scene))) as tar:
        tar.extractall(scene.work)
    return 0


def _open_plainly(scene: Scene) -> int:
    from PIL import Image

    _plant_postscript(scene, scene.work / "1.png")
    Image.open(scene.work / "1.png").load()
    return 0


def _lock_plainly(scene: Scene) -> int:
    (scene.work / ".lock").symlink_to(scene.victim / "precious.txt")
    with (scene.work / ".lock").open("a+") as file:
        file.truncate(0)
    return 0


def _replace_plainly(scene: Scene) -> int:
    scene.write("new", "new").replace(scene.victim / "precious.txt")
    return 0


def _link_plainly(scene: Scene) -> int:
    (scene.victim / "link").hardlink_to(scene.write("new", "new"))
    return 0


def _remove_by_descriptor(scene: Scene) -> int:
    os.remove("precious.txt", dir_fd=os.open(scene.victim, os.O_RDONLY))
    return 0


def _listen(scene: Scene) -> int:
    import socket

    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
    return 0


def _name_plugins(scene: Scene) -> int:
    _plant_plugins(scene)
    return main(["train", "--plugins", "evil", "model=evil", *_NOT_TRAINED])


CONTROLS: dict[str, Callable[[Scene], int]] = {
    "pickle.load": _load_pickle,
    "torch.load": _load_torch,
    "numpy.load": _load_numpy,
    "yaml.unsafe_load": _load_yaml,
    "instantiate": _instantiate,
    "hydra.main, rerun": _rerun_plainly,
    "hydra.main, callback": lambda scene: _plain_hydra(scene, "+hydra.callbacks.x._target_=evil_module.Callback"),
    "hydra.main, logging": lambda scene: _plain_hydra(scene, "+hydra.job_logging.handlers.x.class=evil_module.Handler"),
    "hydra.main, searchpath": lambda scene: _plain_hydra(scene, "hydra.searchpath=[pkg://evil_module]"),
    "hydra.main, config": lambda scene: _plain_hydra(
        scene, experiment="hydra:\n  callbacks:\n    x: {_target_: evil_module.Callback}\n"
    ),
    "tarfile.extractall": _unpack_plainly,
    "Image.open": _open_plainly,
    "a lock file that is a link": _lock_plainly,
    "os.replace outside": _replace_plainly,
    "link outside": _link_plainly,
    "os.remove by descriptor": _remove_by_descriptor,
    "a socket": _listen,
    "a plug-in folder that is named": _name_plugins,
}
"""The plain mechanisms, which must leave the mark, change the victim's folder or be seen to try."""

_CHANGES_THE_VICTIM = {
    "tarfile.extractall",
    "a lock file that is a link",
    "os.replace outside",
    "link outside",
    "os.remove by descriptor",
}
_LEAVES_A_MARK = set(CONTROLS) - _CHANGES_THE_VICTIM - {"a socket"}


def controls(folder: Path, templates: Path) -> list[tuple[str, bool]]:
    """Each control and whether it was seen: by the watch, and by its mark or in the victim's folder too."""
    found = []
    for number, (name, act) in enumerate(CONTROLS.items()):
        scene = _scene(folder / str(number), templates)
        before = _snapshot(scene.victim)
        with _hostile_environment(scene):
            seen = watched(lambda act=act, scene=scene: act(scene), scene.work)
        happened = (
            scene.mark.exists() if name in _LEAVES_A_MARK else _snapshot(scene.victim) != before or name == "a socket"
        )
        watched_it = any(not problem.startswith("raises ") for problem in seen.acts)
        found.append((name, happened and watched_it))
    return found
