"""Config files are parsed once a process, and again when they have changed; a run composes no more configs than it needs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigSource

from dlcourse.cli.hydra_guard import compose
from dlcourse.cli.hydra_node import CheckedLoader
from dlcourse.cli.hydra_overrides import parse
from dlcourse.config.paths import conf_dir
from dlcourse.errors import ConfigError
from lab import Lab


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are parsed, as it happens."""
    names: list[str] = []
    Plugins.instance()  # which registers the sources
    files = SourcesRegistry.instance().resolve("file")
    load: Callable = files.load_config

    def record(source: ConfigSource, config_path: str) -> object:
        names.append(config_path)
        return load(source, config_path)

    monkeypatch.setattr(files, "load_config", record)
    return names


def test_a_file_is_parsed_again_only_when_it_has_changed(tmp_path: Path, parsed: list[str]) -> None:
    own = tmp_path / "model" / "own.yaml"
    own.parent.mkdir()
    places = [conf_dir(), tmp_path]

    def hidden() -> int:
        return compose(parse(["model=own", "data=digits"]), places).model.hidden

    own.write_text("hidden: 4\n")
    assert [hidden(), hidden()] == [4, 4] and parsed.count("model/own") == 1
    own.write_text("hidden: 8\n")  # as long as before
    assert hidden() == 8 and parsed.count("model/own") == 2
    own.unlink()
    with pytest.raises(ConfigError, match="own"):
        hidden()


def test_what_becomes_of_a_composed_config_changes_no_other(parsed: list[str]) -> None:
    choices = parse(["experiment=cifar10_fast"])  # whose values Hydra puts into the config as they were parsed
    config = compose(choices, [conf_dir()])
    config.trainer.epochs = 4321
    parsed.clear()
    assert compose(choices, [conf_dir()]).trainer.epochs != 4321 and parsed == []


def test_a_run_composes_two_configs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[object] = []
    load: Callable = CheckedLoader.load_configuration
    monkeypatch.setattr(
        CheckedLoader, "load_configuration", lambda *words, **named: composed.append(words) or load(*words, **named)
    )
    lab.train("data=iris", "model=softmax", "trainer.epochs=1")
    assert len(composed) == 2, "one of the choices alone, to check the other words by, and the one that runs"
