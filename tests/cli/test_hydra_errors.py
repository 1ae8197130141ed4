"""Whatever Hydra, OmegaConf and YAML raise is told in one line of our own."""

from collections.abc import Callable

import pytest
import yaml
from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import OmegaConf

from dlcourse.cli.hydra_errors import hydra_errors_as_one_line
from dlcourse.errors import ConfigError


def throw(error: BaseException) -> None:
    raise error


def missing(message: str, file: str) -> MissingConfigException:
    return MissingConfigException(message, file, ["cnn", "mlp"])


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (
            lambda: throw(missing("In 'config': Could not find 'model/cnm'", "model/cnm")),
            "unknown model 'cnm'; did you mean 'cnn'?",
        ),
        (
            lambda: throw(missing("In 'experiment/mine': Could not find 'model/cnm'", "model/cnm")),
            "unknown model 'cnm' in experiment/mine; did you mean 'cnn'?",
        ),
        (
            lambda: throw(ConfigCompositionException("Could not override 'trainer.foo'.\nTo append to your config")),
            "unknown option 'trainer.foo'",
        ),
        (
            lambda: OmegaConf.create({"data": {"root": "${nope}"}}).data.root,
            "data.root: '${nope}' refers to nothing; write the name of another option, such as ${seed}",
        ),
        (
            lambda: OmegaConf.create({"a": "${unheard:x}"}).a,
            "a: '${unheard:...}' cannot be used; write the value itself",
        ),
        (lambda: yaml.safe_load("a: [1\n"), "<unicode string> line 2"),
        (lambda: b"ab\xff".decode(), "a config file is not UTF-8 (byte 2)"),
        (lambda: throw(RecursionError()), "the config files include each other without end"),
        (lambda: throw(ValueError("two\n  lines\nSee https://hydra.cc")), "two lines"),
    ],
)
def test_an_error_is_told_in_one_line(act: Callable[[], object], line: str) -> None:
    with pytest.raises(ConfigError) as caught, hydra_errors_as_one_line():
        act()
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [BrokenPipeError(), ConfigError("our own"), KeyError("a defect")])
def test_what_is_no_mistake_in_a_config_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, hydra_errors_as_one_line():
        throw(error)
    assert caught.value is error
