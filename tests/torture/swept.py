"""Goal S4: config folders of a stranger, a file of which is chosen by a sweep: any group, any way of choosing.

Two fences stand between such a file and Hydra: the folder is read before all else, and each config is looked at once it is
composed. Every vector is tried against both, and those that reach for Hydra's own settings against the second alone too.
The controls have neither fence: there the worst of them must be seen to act.
"""

import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from dlcourse.cli import config_files
from dlcourse.cli.config_files import GROUPS
from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from torture.attacks import _BOMB, _EXPERIMENTS, _FILES, Attack, Scene, has_acted, try_attack, warm_up
from torture.outcome import Outcome

_GLOBAL = "# @package _global_\n"
_SOUND = {"model": "mlp", "data": "xor", "features": "none", "task": "classification", "optimizer": "adam",
          "scheduler": "cosine", "device": "cpu", "trainer": "default"}  # fmt: skip
"""Of each group the entry that the files of a stranger repeat, so that it is not for want of one that they are refused."""

_QUICK = (
    "data=xor",
    "data.size=40",
    "model=mlp",
    "model.hidden=[4]",
    "device=cpu",
    "trainer.epochs=1",
    "trainer.batch_size=8",
)
_FORMS: dict[str, tuple[str, ...]] = {
    "a,b": ("GROUP=evil,ok",),
    "choice": ("GROUP=choice(evil,ok)",),
    "glob": ("GROUP=glob(evil*)",),
    "beside a sweep": ("GROUP=evil", "seed=1,2"),
    "in this process": ("GROUP=evil,ok", "hydra/launcher=dlcourse"),
    "Hydra's own sweeper": ("GROUP=evil,ok", "hydra/sweeper=basic", "hydra/launcher=basic"),
}
"""How a sweep comes to the file."""

_HANDLER = {"root": {"level": "INFO", "handlers": ["x"]}, "handlers": {"x": {"class": "evil_module.Handler"}}}
_WORDS = ["+hydra.job_logging.handlers.x.class=evil_module.Handler", "hydra.job_logging.root={handlers:[x],level:INFO}"]
_SETTINGS: dict[str, dict[str, Any]] = {
    "program in a folder, by torch.hub": {
        "job_logging": {
            "root": {"level": "INFO"},
            "formatters": {"x": {"()": "torch.hub.load", "repo_or_dir": "own/hub", "model": "m", "source": "local"}},
        }
    },
    "log file that empties another": {
        "job_logging": {
            "root": {"level": "INFO", "handlers": ["x"]},
            "handlers": {"x": {"class": "logging.FileHandler", "filename": "../victim/precious.txt", "mode": "w"}},
        }
    },
    "logging class": {"job_logging": _HANDLER},
    "run folder": {"run": {"dir": "../victim/run"}},
    "output_subdir": {"output_subdir": "../victim/sub"},
    "other working folder": {"job": {"chdir": True}, "run": {"dir": "../victim"}},
    "LD_PRELOAD": {"job": {"env_set": {"LD_PRELOAD": "/tmp/evil.so"}}},
    "words for Hydra in each job": {"overrides": {"hydra": _WORDS}},
    "words for each job": {"overrides": {"task": _WORDS}},
    "sweep folder": {"sweep": {"dir": "../victim/sweep"}},
    "callback": {"callbacks": {"x": {"_target_": "evil_module.Callback"}}},
    "logging of Hydra": {"hydra_logging": _HANDLER},
    "search path": {"searchpath": ["pkg://evil_module"]},
    "launcher": {"launcher": {"_target_": "evil_module.run"}},
    "sweeper": {"sweeper": {"_target_": "evil_module.run"}},
    "launcher argument": {"launcher": {"x": {"_target_": "evil_module.run"}}},
    "copied environment": {"job": {"env_copy": ["DLCOURSE_SECRET"]}},
    "mode": {"mode": "MULTIRUN"},
}
"""What a section `hydra` may say."""

_SETTLED = {"run folder", "output_subdir", "other working folder", "sweep folder", "mode"}
"""Which of them come to nothing without any fence but in an experiment: what dlcourse itself says is composed later."""

_CONTROLS = {
    "program in a folder, by torch.hub": ("experiment", "a,b"),
    "log file that empties another": ("experiment", "choice"),
    "logging class": ("experiment", "glob"),
    "run folder": ("experiment", "glob"),
    "output_subdir": ("experiment", "glob"),
    "other working folder": ("experiment", "glob"),
    "LD_PRELOAD": ("experiment", "glob"),
    "words for Hydra in each job": ("optimizer", "beside a sweep"),
    "words for each job": ("optimizer", "beside a sweep"),
    "sweep folder": ("experiment", "Hydra's own sweeper"),
}
"""Which of them act where nothing stops them, in a group and a form in which they do."""

_JSON = json.dumps({"job_logging": _HANDLER})
_SPELLINGS = {
    "a quoted key": f'"hydra": {_JSON}\n',
    "an escaped key": f'"\\x68ydra": {_JSON}\n',
    "an explicit key": f"? hydra\n: {_JSON}\n",
    "a tagged key": f"!!str hydra: {_JSON}\n",
    "a merge key": f"<<: {{hydra: {_JSON}}}\n",
    "a dotted key": f'"hydra.job_logging": {json.dumps(_HANDLER)}\n',
}
"""The same in other words."""

_SECTION = _GLOBAL + f"hydra: {_JSON}\n"
_ONLY_EXPERIMENTS: dict[str, dict[str, str]] = {
    "package hydra.job_logging": {"evil.yaml": f"# @package hydra.job_logging\n{json.dumps(_HANDLER)}\n"},
    "package hydra": {"evil.yaml": f"# @package hydra\n{_JSON}\n"},
    "package _global_.hydra": {"evil.yaml": f"# @package _global_.hydra\n{_JSON}\n"},
    "package x._global_.hydra": {"evil.yaml": f"#@package x._global_.hydra\n{_JSON}\n"},
    "package [hydra]": {"evil.yaml": f"# @package [hydra]\n{_JSON}\n"},
    "own line end in the head": {"evil.yaml": f"# @x y\u2028# @package hydra\n{_JSON}\n"},
    "second line of the head": {"evil.yaml": f"# @x y\n\n# @package hydra\n{_JSON}\n"},
    "another file": {"evil.yaml": "defaults: [other]\nseed: 1\n", "other.yaml": _SECTION},
    "another group": {"evil.yaml": _GLOBAL + "defaults: [/task@_global_: other]\n", "../task/other.yaml": _SECTION},
    "folder in a group": {"evil.yaml": _GLOBAL + "defaults: [model: other]\n", "model/other.yaml": _SECTION},
    "file without a name": {"evil.yaml": _GLOBAL + "defaults: [.yaml]\n", ".yaml": _SECTION},
    "other ending": {"evil.yaml": _GLOBAL + "defaults: [other.yml]\n", "other.yml": _SECTION},
    "package in the choices": {
        "evil.yaml": "defaults: [/task@_global_.hydra: other]\n",
        "../task/other.yaml": f"{_JSON}\n",
    },
    "package of a choice by its group": {
        "evil.yaml": "defaults: [/task@_group_: other]\n",
        "../task/other.yaml": _SECTION,
    },
}
"""Files of the group `experiment`, in which alone a file need not hold an entry."""


@dataclass(frozen=True)
class Vector:
    """Files of a stranger; `reaches_hydra` says whether the second fence alone has to stop them."""

    name: str
    group: str
    files: dict[str, str] = field(hash=False)
    reaches_hydra: bool


def _in_group(group: str, text: str) -> str:
    """The text in a file that holds a sound entry of the group too."""
    if group == "experiment":
        return _GLOBAL + text
    entry = config_files.all_options(conf_dir() / group / f"{_SOUND[group]}.yaml")
    return f"{_GLOBAL}{group}: {json.dumps(entry)}\n{text}"


def _vectors() -> list[Vector]:
    found = []
    texts = {name: f"hydra: {json.dumps(settings)}\n" for name, settings in _SETTINGS.items()} | _SPELLINGS
    for name, text in texts.items():
        for group in GROUPS:
            acts = name != "mode" and (group == "experiment" or name not in _SETTLED)
            found.append(Vector(name, group, {f"{group}/evil.yaml": _in_group(group, text)}, acts))
    for name, files in _ONLY_EXPERIMENTS.items():
        found.append(Vector(name, "experiment", {f"experiment/{file}": text for file, text in files.items()}, True))
    for name, text in _EXPERIMENTS.items():
        found.append(Vector(f"experiment: {name}", "experiment", {"experiment/evil.yaml": _GLOBAL + text}, False))
    for name, (file, text) in _FILES.items():
        group = file.partition("/")[0]
        found.append(Vector(f"config file: {name}", group if group in GROUPS else "seed", {file: text}, False))
    return found


VECTORS = _vectors()


def _prepare(vector: Vector, form: str) -> Callable[[Scene], list[str]]:
    def prepare(scene: Scene) -> list[str]:
        for file, text in vector.files.items():
            scene.write(f"own/{file}", text.replace("MARK", str(scene.mark)))
        if vector.group in GROUPS:
            scene.write(f"own/{vector.group}/ok.yaml", _in_group(vector.group, "seed: 1\n"))
        scene.write("own/hub/hubconf.py", 'import os\nopen(os.environ["DLCOURSE_MARK"], "w").close()\nm = dict\n')
        scene.write("own/other/bomb.yaml", _BOMB)
        scene.write("own/model/sub/bomb.yaml", _BOMB)
        words = (
            [word.replace("GROUP", vector.group) for word in _FORMS[form]] if vector.group in GROUPS else ["seed=1,2"]
        )
        taken = (vector.group, f"{vector.group}.size", f"{vector.group}.hidden")
        quick = [word for word in _QUICK if word.partition("=")[0] not in taken]
        return ["train", "--config-dir", "own", "-m", *quick, *words]

    return prepare


def _with_second_fence(words: list[str]) -> int:
    """`dlcourse`, which does not read the folder first."""
    with mock.patch.object(config_files, "_check_folder"):
        return main(words)


def _without_fences(words: list[str]) -> int:
    """`dlcourse`, which neither reads the folder nor looks at what was composed; Hydra acts before a run would begin."""
    from dlcourse.cli import hydra_node
    from dlcourse.training import session

    if not any(word.startswith("hydra/launcher=") for word in words):
        words = [*words, "hydra/launcher=dlcourse"]  # with the usual one Hydra composes no run, so that less can happen
    not_trained = mock.patch.object(session, "run", side_effect=ConfigError("not trained"))
    with mock.patch.object(hydra_node, "check_hydra_node"), not_trained:
        return _with_second_fence(words)


_MAINS = {"": main, ", composed": _with_second_fence}
Case = tuple[Vector, str, str]


def cases() -> list[Case]:
    """All of them: vector, form, and what follows its name (which says what fences there are)."""
    return [
        (vector, form, fences)
        for vector in VECTORS
        for form in (_FORMS if vector.group in GROUPS else ("a,b",))
        for fences in (_MAINS if vector.reaches_hydra else ("",))
    ]


def choose(count: int, seed: int) -> list[Case]:
    """So many in a random order in which each name comes once, with each of its fences, before any comes again."""
    found = cases()
    random.Random(seed).shuffle(found)
    seen: dict[tuple[str, str], int] = {}
    turns = []
    for vector, _, fences in found:
        turns.append(seen.get((vector.name, fences), 0))
        seen[vector.name, fences] = turns[-1] + 1
    order = sorted(range(len(found)), key=turns.__getitem__)
    return [found[index] for index in order[:count]]


def try_case(case: Case, folder: Path) -> str:
    """What went wrong, or nothing."""
    vector, form, fences = case
    attack = Attack(f"{vector.name}, group {vector.group}, {form}{fences}", _prepare(vector, form))
    problem = try_attack(attack, folder, folder, _MAINS[fences])
    shutil.rmtree(folder, ignore_errors=True)
    return problem


def controls(folder: Path) -> list[tuple[str, bool]]:
    """Those that act where nothing stops them, and whether they were seen to."""
    found = []
    for name, (group, form) in _CONTROLS.items():
        vector = next(vector for vector in VECTORS if (vector.name, vector.group) == (name, group))
        problem = try_attack(Attack(name, _prepare(vector, form)), folder / name, folder, _without_fences)
        found.append((name, has_acted(problem)))
    return found


def run(count: int, seed: int, folder: Path) -> Outcome:
    """Try `count` of the cases, and every control."""
    started = time.monotonic()
    outcome = Outcome("S4", "swept files of a stranger: nothing runs, nothing is written outside")
    warm_up()
    for number, case in enumerate(choose(count, seed)):
        problem = try_case(case, folder / f"{number:04d}")
        outcome.count(not problem, problem)
    found = controls(folder / "controls")
    outcome.controls.append(("without both fences, unseen", sum(not is_seen for _, is_seen in found), len(found)))
    outcome.seconds = time.monotonic() - started
    return outcome
