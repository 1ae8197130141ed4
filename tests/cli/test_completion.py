"""Tab completion: what is proposed for a line, and that real shells complete by it without running what a stranger named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from dlcourse.cli.completion import main
from dlcourse.cli.config_files import entries
from dlcourse.config.paths import conf_dir
from dlcourse.models.layers import Activation
from own_entries import bottleneck
from stand_in import CommandLine, command_line

VERBS = ["train", "resume", "sample", "summary", "list"]


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    return command_line(tmp_path, monkeypatch, capsys)


def proposals_for(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a shell is given for this line."""
    monkeypatch.setenv("COMP_LINE", line)
    assert main(["query=bash"], VERBS) == 0
    return capsys.readouterr().out.split()


def test_what_is_proposed(train, monkeypatch, capsys):
    expected = {
        "dlcourse tr": ["train"],
        "dlcourse train mod": ["model.", "model="],
        "dlcourse train model=c": ["model=cnn"],
        "dlcourse train -m optimizer=adam": ["optimizer=adam", "optimizer=adamw"],
        "dlcourse train -m optimizer=sgd,ada": [
            f"optimizer=sgd,{name}" for name in ("adadelta", "adagrad", "adam", "adamw")
        ],
        f"dlcourse train --config-dir {train.folder} optimizer.lr": ["optimizer.lr="],
        f"dlcourse train --config-dir {train.folder} data=f": ["data=fashion_mnist", "data=folder"],
        f"dlcourse train --config-dir={train.folder} data=folder data.": ["data.root="],
        "dlcourse train model=cnn model.ch": ["model.channels="],
        "dlcourse train model=cnn model.channels=": ["model.channels=[32,64,128]"],
        "dlcourse train model=linreg model": ["model="],
        "dlcourse train trainer.ch": ["trainer.checkpoint."],
        "dlcourse train trainer.checkpoint.k": ["trainer.checkpoint.keep="],
        "dlcourse train model.norm=": ["model.norm=none", "model.norm=batch", "model.norm=layer"],
        "dlcourse train model.activation=s": ["model.activation=silu", "model.activation=sigmoid"],
        "dlcourse train experiment=reverse model.norm=": ["model.norm=pre", "model.norm=post"],
        "dlcourse train trainer.log_graph=": ["trainer.log_graph=true", "trainer.log_graph=false"],
        "dlcourse train trainer=default trainer.batch_size=": ["trainer.batch_size=full", "trainer.batch_size=64"],
        "dlcourse train resume=": ["resume=auto"],
        "dlcourse train run.n": ["run.name="],
        "dlcourse train hydra": [],
        "dlcourse su": ["summary"],
        "dlcourse summary model=c": ["model=cnn"],
        "dlcourse summary model=cnn model.ch": ["model.channels="],
        "dlcourse lr_find model=c": ["model=cnn"],
        "dlcourse list optim": ["optimizer"],
        "dlcourse train data=( optimi": [],
    }
    assert {line: proposals_for(line, monkeypatch, capsys) for line in expected} == expected


# In real shells


@pytest.fixture(scope="module")
def shell_environment(tmp_path_factory):
    """PATH with a `dlcourse` that runs this checkout."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "dlcourse"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dlcourse "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


_BASH = """
eval "$(dlcourse train -sc install=bash)"
for line in "$@"; do
    COMP_LINE=$line; COMP_POINT=${#line}; COMP_WORDS=($line); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    hydra_bash_completion
    echo "${COMPREPLY[@]}"
done
"""


@pytest.fixture
def proposed(train, shell_environment):
    """What bash proposes for each line."""

    def ask(lines):
        command = ["bash", "-c", _BASH, "bash", *lines]
        done = subprocess.run(command, capture_output=True, text=True, env=shell_environment, timeout=60)
        assert done.stderr == ""
        return dict(zip(lines, [line.split() for line in done.stdout.splitlines()], strict=True))

    return ask


def test_bash_completes(proposed):
    expected = {
        "dlcourse tr": ["train"],
        "dlcourse train -m optimizer=sgd,ada": [
            f"optimizer=sgd,{name}" for name in ("adadelta", "adagrad", "adam", "adamw")
        ],
        "dlcourse train model=cnn model.channels=": ["model.channels=[32,64,128]"],
        "dlcourse train data=( optimi": [],
    }
    assert proposed(expected) == expected


def test_completion_runs_nothing_that_a_stranger_named(train, proposed):
    for name in ("plain.csv", "$(touch run-1).csv", "`touch run-2`.csv", "a;touch run-3.csv"):
        Path("data").mkdir(exist_ok=True)
        (Path("data") / name).touch()
    train.write("model/$(touch run-4).yaml", "name: mlp\n")
    train.write("model/own.yaml", "name: mlp\nactivation: $(touch run-5)\n$(touch run-6): 1\n")
    start = f"dlcourse train --config-dir {train.folder} model=own"
    expected = {
        "dlcourse train data=csv data.file=data/": ["data.file=data/plain.csv"],
        "dlcourse train data=csv data.file=./d": ["data.file=./data/"],
        "dlcourse train data=csv data.file=./data/": ["data.file=./data/plain.csv"],
        start.removesuffix("own"): [f"model={name}" for name in sorted(["own", *entries("model", [conf_dir()])])],
        f"{start} model.activation=": [f"model.activation={name}" for name in get_args(Activation)],
        f"{start} model.": ["model.activation="],
    }
    assert proposed(expected) == expected
    assert [path.name for path in Path.cwd().iterdir()] == ["data"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(shell_environment):
    script = 'dlcourse train -sc install=fish | source; complete -C "dlcourse train model=c"'
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, env=shell_environment, timeout=60)
    assert done.stdout.split() == ["model=cnn"]


_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; eval "$(dlcourse train -sc install=zsh)"; print READY$((1+1))'
while zpty -r shell line; do [[ $line == *READY2* ]] && break; done
zpty -w -n shell $'dlcourse train model=c\t'
zpty -r shell line '*model=cnn*' && print -r -- $line
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes(shell_environment, tmp_path):
    environment = {**shell_environment, "HOME": str(tmp_path), "TERM": "xterm"}
    done = subprocess.run(["zsh", "-c", _ZSH], capture_output=True, text=True, env=environment, timeout=60)
    assert "model=cnn" in done.stdout


def test_entries_of_a_plugin_folder_are_proposed_behind_its_name_and_its_code_is_not_run(tmp_path, monkeypatch, capsys):
    folder = bottleneck(tmp_path / "mine", code="raise SystemExit('it runs')\n")
    expected = {
        f"dlcourse train --plugins {folder} model=b": ["model=bag", "model=bottleneck"],
        f"dlcourse train model=bottleneck --plugins={folder} model.un": ["model.units="],
        f"dlcourse train model=bottleneck --plugins={folder} model.units=": ["model.units=2"],
        f"dlcourse list --plugins {folder} bot": ["bottleneck"],
        "dlcourse train model=bot": [],
        "dlcourse train --plugins nowhere model=": [],
        "dlcourse new d": ["data"],
        "dlcourse new data m": [],
    }
    assert {line: proposals_for(line, monkeypatch, capsys) for line in expected} == expected
