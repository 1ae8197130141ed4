import copy
import types

import pytest
import torch
from torch import nn

from dlcourse import device
from dlcourse.config.registry import Choice
from dlcourse.data.split import TensorSplit
from dlcourse.device import DEVICES, Device, cpu, environment, keep_freed_memory, return_freed_memory
from dlcourse.errors import ConfigError
from dlcourse.rng import seed_everything
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.training.evaluate import evaluate
from lab import Lab
from plain_sgd import plain_sgd

SPEC = DataSpec("toy", (8,), 2, "class", ("no", "yes"))


def test_auto_takes_the_cpu_where_there_is_nothing_better() -> None:
    best = DEVICES.build(Choice("auto")).torch_device.type
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert best == expected


def test_the_cpu_takes_as_many_threads_as_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        assert str(cpu(threads=1)) == "cpu, 1 thread"
        assert environment()["threads"] == 1
    finally:
        torch.set_num_threads(before)


def test_more_threads_than_processors_are_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    words = ["data=iris", "model.hidden=[4]", "trainer.epochs=1"]
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3}, raising=False)
    try:
        lab.train(*words, "device=cpu", "device.threads=1")
        assert "note" not in lab.out
        lab.train(*words, "device=cpu", "device.threads=2")
        assert "note   2 threads share 1 processor; device.threads=1 uses them all\n" in lab.out
    finally:
        torch.set_num_threads(before)


def test_deterministic_is_switched_on_and_off_again() -> None:
    cpu(deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    cpu()
    assert not torch.are_deterministic_algorithms_enabled()


def test_mixed_precision_computes_in_bfloat16_and_learns_in_float32() -> None:
    device = Device(torch.device("cpu"), "bfloat16")
    seen = []
    model = nn.Linear(8, 2)
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    seed_everything(0)
    inputs = torch.randn(64, 8)
    targets = (inputs.sum(1) > 0).long()
    task = Classification(model, SPEC, device, top_k=1)
    task.start(plain_sgd(1.0, device))
    losses = [task.train_step(Batch(inputs, targets))["loss"].item() for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    assert seen[-1] == torch.bfloat16
    assert model.weight.dtype == model.weight.grad.dtype == torch.float32
    assert evaluate(task, TensorSplit(inputs, targets), 64).scalars["accuracy"] > 0.9
    assert str(device).endswith("bfloat16")


def test_the_random_state_is_fixed_inside_and_restored_after() -> None:
    seed_everything(5)
    expected = torch.rand(1)
    seed_everything(5)
    with cpu().forked_random_state():
        inside = torch.rand(1)
    assert torch.equal(torch.rand(1), expected)
    with cpu().forked_random_state():
        assert torch.equal(torch.rand(1), inside)


@pytest.mark.parametrize(("libc", "calls"), [("glibc", 3), ("musl", 0), ("", 0)])
def test_only_glibc_is_told_to_keep_freed_memory(libc: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    library = types.SimpleNamespace(mallopt=lambda *arguments: told.append(arguments), malloc_trim=told.append)
    monkeypatch.setattr("dlcourse.device.platform.libc_ver", lambda: (libc, ""))
    monkeypatch.setattr("dlcourse.device.ctypes.CDLL", lambda name: library)
    keep_freed_memory()
    assert len(told) == calls
    return_freed_memory()
    assert len(told) == 2 * calls + bool(calls)  # the same settings, and what is free now
    assert {name for name, _ in told[:calls]} == {name for name, _ in told[calls : 2 * calls]}


def test_numbers_too_small_for_full_precision_are_zero_on_the_processor() -> None:
    """In every thread: those that compute a sum of a million numbers, too."""
    cpu()
    tiny = torch.full((1_000_000,), 1.2e-38)
    assert not (tiny * 0.5).any()
    assert environment()["denormal numbers"] == "zero"


def test_convolutions_have_their_channels_last_and_the_same_results() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 2))
    placed = cpu().place(copy.deepcopy(plain))
    images = torch.randn(5, 3, 4, 4)
    assert placed[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert placed[0](images).is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(placed(images), plain(images), atol=1e-6)


@pytest.mark.parametrize(("seconds", "ours"), [(0.5, "bfloat16"), (2.0, "float32")])
def test_bfloat16_is_for_processors_that_multiply_it_fast(
    seconds: float, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_seconds_of_product", lambda dtype: seconds if dtype == torch.bfloat16 else 1.0)
    monkeypatch.setattr(device, "_available", lambda: ["cpu"])
    device._multiplies_bfloat16.cache_clear()
    try:
        assert DEVICES.build(Choice("auto", {"precision": "bfloat16"})).precision == ours
        if ours == "float32":
            with pytest.raises(ConfigError, match=r"device\.precision=bfloat16: this processor multiplies"):
                DEVICES.build(Choice("cpu", {"precision": "bfloat16"}))
        else:
            assert DEVICES.build(Choice("cpu", {"precision": "bfloat16"})).precision == "bfloat16"
    finally:
        device._multiplies_bfloat16.cache_clear()
