import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn

from dlcourse.errors import DataError
from dlcourse.runs.weights import from_bytes, load_weights, read_tensors, save_weights, to_bytes


def network(width: int = 5, seed: int = 0) -> nn.Module:
    """Layers with float parameters, float buffers and a whole number that counts batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 4, 2))
        model(torch.randn(8, 1, 4, 4))  # moves the buffers away from their defaults
    return model


def bits(model: nn.Module) -> dict[str, tuple[torch.dtype, tuple[int, ...], bytes]]:
    return {
        name: (tensor.dtype, tuple(tensor.shape), tensor.numpy().tobytes())
        for name, tensor in model.state_dict().items()
    }


def assert_refused(path: Path, model: nn.Module, reason: str) -> None:
    """Loading raises a DataError of one line that names the file and the reason."""
    with pytest.raises(DataError) as caught:
        load_weights(model, path)
    message = str(caught.value)
    assert message.startswith(f"cannot read weights from {path}: ")
    assert reason in message
    assert "\n" not in message


def test_weights_come_back_bit_equal(tmp_path: Path) -> None:
    model, other = network(seed=1), network(seed=2)
    with torch.no_grad():
        model[3].bias.copy_(torch.tensor([float("nan"), -0.0]))
    assert bits(model) != bits(other)
    save_weights(model.state_dict(), tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    assert bits(other) == bits(model)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_tensors_that_are_views_of_others_are_kept(tmp_path: Path) -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    model.weight = nn.Parameter(torch.arange(6.0).reshape(3, 2).T)
    save_weights(model.state_dict(), tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    assert torch.equal(other.weight, torch.tensor([[0.0, 2, 4], [1, 3, 5]]))


def test_saving_replaces_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(network(seed=1).state_dict(), path)
    save_weights(network(seed=2).state_dict(), path)
    model = network(seed=3)
    load_weights(model, path)
    assert bits(model) == bits(network(seed=2))


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"old")

    def fill_up(descriptor: int, content: memoryview) -> int:
        if len(content) > 100:
            return write(descriptor, content[:100])
        raise OSError(28, "No space left on device")

    write = os.write
    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OSError, match="No space left"):
        save_weights(network().state_dict(), path)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(network(seed=1).state_dict(), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert_refused(path, network(), "damaged: Error while deserializing")


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    assert_refused(tmp_path / "weights.safetensors", network(), "No such file")


@pytest.mark.parametrize(
    ("other", "reason"),
    [(network(width=6), "size mismatch"), (nn.Linear(20, 2), "Missing key")],
    ids=["other width", "other layers"],
)
def test_weights_of_another_architecture_are_refused_in_one_line(tmp_path: Path, other: nn.Module, reason: str) -> None:
    save_weights(network().state_dict(), tmp_path / "weights.safetensors")
    assert_refused(tmp_path / "weights.safetensors", other, reason)


def test_weights_with_another_checksum_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(network().state_dict(), path)
    with safe_open(path, "numpy") as file:
        stated = file.metadata()["sha256"]
    assert read_tensors(path, stated).keys() == network().state_dict().keys()
    with pytest.raises(DataError, match="of another run: its checksum is not that in run"):
        read_tensors(path, stated[::-1])


def test_every_bit_counts() -> None:
    """Each bit of a small file, flipped alone, is noticed."""
    content = to_bytes({"a": torch.tensor([1.0, -2.0]), "b": torch.tensor(3)})
    whole = from_bytes(content)
    assert whole["a"].tolist() == [1.0, -2.0] and whole["b"].item() == 3
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"^(damaged|no checksum)"):
            from_bytes(bytes(damaged))


def test_tensors_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(DataError, match="no checksum in it, so dlcourse has not written it"):
        read_tensors(path)


@pytest.mark.parametrize("value", [torch.tensor(True), torch.zeros(0, 3), torch.tensor(1.5, dtype=torch.bfloat16)])
def test_all_kinds_of_tensors_come_back(value: torch.Tensor) -> None:
    found = from_bytes(to_bytes({"a": value}))["a"]
    assert found.dtype == value.dtype and torch.equal(found, value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.safetensors")
    assert_refused(tmp_path / "weights.safetensors", network(), "not a regular file")
