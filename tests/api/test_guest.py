"""In somebody else's process nothing is left changed: random states, threads, precision, Hydra's settings."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hydra import version
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer

from dlcourse.api.guest import as_in_a_command, composing
from dlcourse.config.registry import Choice


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(True)


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def seed() -> None:
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)


def test_random_states_go_on_as_if_nothing_had_been_drawn() -> None:
    seed()
    expected = draws()
    seed()
    with pytest.raises(KeyError), as_in_a_command(Choice("cpu")) as device:
        assert device.torch_device.type == "cpu"
        torch.manual_seed(0)
        draws()
        raise KeyError
    assert draws() == expected


def test_threads_and_precision_are_those_of_the_run_inside_and_as_before_outside() -> None:
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(False)
    with as_in_a_command(Choice("cpu", {"threads": 2})):
        assert torch.get_num_threads() == 2
        assert (torch.tensor(1e-39) * 1).item() == 0
        torch.set_float32_matmul_precision("highest")
    assert torch.get_num_threads() == 3
    assert torch.get_float32_matmul_precision() == "medium"
    assert (torch.tensor(1e-39) * 1).item() > 0


@pytest.mark.parametrize("ours", [False, True])
def test_determinism_is_as_it_was(ours: bool) -> None:
    torch.use_deterministic_algorithms(ours, warn_only=ours)
    try:
        with as_in_a_command(Choice("cpu", {"deterministic": not ours})):
            assert torch.are_deterministic_algorithms_enabled() != ours
        assert torch.are_deterministic_algorithms_enabled() == ours
        assert torch.is_deterministic_algorithms_warn_only_enabled() == ours
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_device_that_is_not_here_is_the_best_there_is() -> None:
    with as_in_a_command(Choice("cuda", {"index": 63})) as device:
        assert device.torch_device.index != 63


def test_resolvers_and_the_version_base_of_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "yes")
    monkeypatch.setattr(BaseContainer, "_resolvers", {})
    OmegaConf.clear_resolvers()  # those that OmegaConf has of itself
    OmegaConf.register_new_resolver("mine", lambda: "mine")
    version.setbase("1.2")
    with pytest.raises(KeyError), composing():
        assert not OmegaConf.has_resolver("oc.env")
        version.setbase("1.3")
        raise KeyError
    config = OmegaConf.create({"a": "${oc.env:MINE}", "b": "${mine:}"})
    assert (config.a, config.b) == ("yes", "mine")
    assert not OmegaConf.has_resolver("now")
    assert str(version.getbase()) == "1.2"
    version.setbase("1.3")
