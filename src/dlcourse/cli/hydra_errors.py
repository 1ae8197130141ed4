"""Errors of Hydra, OmegaConf and YAML told in one line of our own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError, OmegaConfBaseException

from dlcourse.config.options import suggestion
from dlcourse.config.yaml_file import describe_yaml_error
from dlcourse.errors import ConfigError


@contextmanager
def hydra_errors_as_one_line() -> Iterator[None]:
    """Raise ConfigError for whatever Hydra raises while it composes."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has gone: no mistake in a config
        raise
    except MissingConfigException as error:
        raise ConfigError(_missing(error)) from error
    except InterpolationResolutionError as error:
        raise ConfigError(_interpolation(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
        if isinstance(cause, InterpolationResolutionError):
            raise ConfigError(_interpolation(cause)) from error
        if unknown := re.match(r"Could not override '([^']+)'\.\s+To append", str(error)):
            raise ConfigError(f"unknown option '{unknown[1]}'") from error
        raise ConfigError(_first_words(f"{error} {cause or ''}")) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{mark.name if mark else 'config file'}{describe_yaml_error(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"a config file is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise ConfigError("the config files include each other without end") from error
    except (OSError, ValueError) as error:
        raise ConfigError(_first_words(str(error))) from error


def _missing(error: MissingConfigException) -> str:
    """`unknown model 'cnm' in experiment/x; ...`, from "In 'experiment/x': Could not find 'model/cnm'"."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    where = re.search(r"In '([^']+)'", str(error))
    inside = f" in {where[1]}" if where and where[1] not in ("config", "hydra/config") else ""
    return f"unknown {group or 'config'} '{name}'{inside}{suggestion(name, error.options or (), kind=group)}"


def _interpolation(error: InterpolationResolutionError) -> str:
    reason = _first_words(str(error.msg or error))
    if isinstance(error, InterpolationKeyError) and (missing := re.search(r"'([^']*)' not found", reason)):
        reason = f"'${{{missing[1]}}}' refers to nothing; write the name of another option, such as ${{seed}}"
    if unsupported := re.search(r"Unsupported interpolation type (\S+)", reason):
        reason = f"'${{{unsupported[1]}:...}}' cannot be used; write the value itself"
    return f"{error.full_key or 'config'}: {reason}"


def _first_words(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("See ", "full_key:", "object_type=", "reference_type="))]
    return " ".join(kept)[:400]
