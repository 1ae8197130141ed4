"""Weights for networks of torchvision: own files, published ones from a server on this machine, and bad ones."""

import hashlib
import os
import pickle
import shutil
import types
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file
from torch import nn
from torchvision import models

from dlcourse.cli.main import main
from dlcourse.errors import UserError
from dlcourse.models.torchvision_model import Torchvision
from dlcourse.spec import DataSpec
from dlcourse.training import pretrained
from dlcourse.training.pretrained import start_pretrained
from lab import Lab

SMALL = "shufflenet_v2_x0_5"
SPEC = DataSpec("mnist", (1, 28, 28), 10, class_names=tuple("0123456789"), pixel_mean=(0.5,), pixel_std=(0.25,))


@pytest.fixture(scope="module")
def small() -> nn.Module:
    """A small network of torchvision with random weights, and batch norms that are in use."""
    torch.manual_seed(0)
    network = models.get_model(SMALL, weights=None)
    with torch.no_grad():
        network(torch.randn(4, 3, 64, 64))
    return network.eval()


@pytest.fixture
def file(small: nn.Module, tmp_path: Path) -> Path:
    torch.save(small.state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


def assert_starts_as(model: Torchvision, network: nn.Module) -> None:
    """The model's backbone is the network without its head, whose own weights are not those of the model's."""
    head = network.get_submodule(model.head_name)
    network.set_submodule(model.head_name, nn.Identity())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.eval().backbone(images), network.eval()(images))
    network.set_submodule(model.head_name, head)


def test_a_resnet18_that_torchvision_has_saved(tmp_path: Path) -> None:
    network = models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    model = Torchvision(SPEC, "resnet18", str(tmp_path / "mine.pth"))
    assert start_pretrained(model) == f"120 tensors from {tmp_path / 'mine.pth'}; the head (fc there) starts at random"
    assert_starts_as(model, network)
    assert model(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_safetensors(small: nn.Module, tmp_path: Path) -> None:
    safetensors.torch.save_file(small.state_dict(), tmp_path / "small.safetensors")
    model = Torchvision(SPEC, SMALL, str(tmp_path / "small.safetensors"))
    start_pretrained(model)
    assert_starts_as(model, small)


@pytest.mark.parametrize("arch", ["googlenet", "densenet121", "mnasnet0_5", "squeezenet1_1"])
def test_files_as_they_were_published(arch: str, tmp_path: Path) -> None:
    """With auxiliary classifiers, names of old, and batch norms that do not count their batches yet."""
    options = {"aux_logits": True, "init_weights": True, "transform_input": True} if arch == "googlenet" else {}
    network = models.get_model(arch, weights=None, **options)
    tensors = network.state_dict()
    if arch == "densenet121":
        for name in [name for name in tensors if "denselayer" in name]:
            tensors[name.replace("norm1", "norm.1").replace("conv2", "conv.2")] = tensors.pop(name)
        tensors._metadata = OrderedDict()
        tensors = OrderedDict((name, item) for name, item in tensors.items() if "num_batches" not in name)
    torch.save(tensors, tmp_path / "published.pth")
    model = Torchvision(SPEC, arch, str(tmp_path / "published.pth"))
    start_pretrained(model)
    assert_starts_as(model, network)


def test_inputs_are_normalized_twice_for_the_network_that_was_trained_so(tmp_path: Path) -> None:
    for weights, twice in (("none", False), ("default", True)):
        assert Torchvision(SPEC, "googlenet", weights).backbone.transform_input == twice


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def test_files_that_are_refused(file: Path, tmp_path: Path) -> None:
    def message(name: str = "bad.pth", arch: str = SMALL) -> str:
        with pytest.raises(UserError) as caught:
            start_pretrained(Torchvision(SPEC, arch, str(tmp_path / name)))
        assert "\n" not in str(caught.value) and caught.value.exit_code == 2
        return str(caught.value).replace(str(tmp_path), "TMP")

    assert message("gone.pth") == (
        "model.weights=TMP/gone.pth: no such file; give a .pth or .safetensors file, or write default or none"
    )
    torch.save({"fc.weight": Evil(tmp_path / "done")}, tmp_path / "bad.pth")
    assert message() == (
        "cannot read weights from TMP/bad.pth: it asks for posix.mkdir, and a file of weights may hold tensors only; save "
        "weights with torch.save(model.state_dict(), FILE)"
    )
    assert not (tmp_path / "done").exists()
    torch.save({"model": {"fc.weight": torch.zeros(1)}, "epoch": 3}, tmp_path / "bad.pth")
    assert message().startswith("TMP/bad.pth holds model, epoch, not tensors by name; save weights with torch.save(")
    torch.save([torch.zeros(1)], tmp_path / "bad.pth")
    assert message().startswith("TMP/bad.pth holds list, not tensors by name; ")
    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Evil(tmp_path / "done")))
    assert message().startswith("cannot read weights from TMP/bad.pth: it holds more than tensors; save ")
    assert not (tmp_path / "done").exists()
    for name, content in {"bad.pth": b"junk", "empty.pth": b"", "bad.safetensors": b"junk"}.items():
        (tmp_path / name).write_bytes(content)
        assert message(name).startswith(f"cannot read weights from TMP/{name}: ")
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:100_000])
    assert message("cut.pth").startswith("cannot read weights from TMP/cut.pth: ")
    os.mkfifo(tmp_path / "pipe.pth")
    assert message("pipe.pth") == (
        "TMP/pipe.pth is not a regular file; put the file there or write model.weights=FILE for another file"
    )
    misfit = message("small.pth", "squeezenet1_1")
    assert misfit.startswith("TMP/small.pth does not fit model.arch=squeezenet1_1: Missing key(s) in state_dict: ")
    assert misfit.endswith("choose the model.arch it was saved from, or init_from=RUN for the weights of a run")
    assert len(misfit) < 450
    assert "size mismatch for stage2.0.branch1.2.weight" in message("small.pth", "shufflenet_v2_x2_0")


# Published weights


@pytest.fixture
def hosted(file: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of the file of the small network's default weights, at a server on this machine."""
    folder, address = served
    name = f"small-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth"
    shutil.copy(file, folder / name)
    monkeypatch.setattr(pretrained, "published", lambda *_: types.SimpleNamespace(url=f"{address}{name}"))
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return name


def test_default_weights_are_downloaded_once(hosted, small, served, tmp_path, capsys) -> None:
    model = Torchvision(SPEC, SMALL, "default")
    path = tmp_path / "data" / "weights" / hosted
    assert start_pretrained(model).endswith(f" tensors from {path}; the head (fc there) starts at random")
    assert_starts_as(model, small)
    assert capsys.readouterr().err.startswith(f"downloading {hosted} from 127.0.0.1")
    (served[0] / hosted).unlink()
    start_pretrained(Torchvision(SPEC, SMALL, "default"))
    assert list(path.parent.iterdir()) == [path]


def test_default_weights_that_torchvision_has_downloaded_are_used(hosted, file, served, tmp_path) -> None:
    (served[0] / hosted).unlink()
    theirs = tmp_path / "torch" / "hub" / "checkpoints" / hosted
    theirs.parent.mkdir(parents=True)
    shutil.copy(file, theirs)
    assert f"from {theirs}; " in start_pretrained(Torchvision(SPEC, SMALL, "default"))


def test_default_weights_are_checked_before_they_are_read(hosted, tmp_path, monkeypatch) -> None:
    path = tmp_path / "data" / "weights" / hosted
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read unchecked"))
    with pytest.raises(UserError) as caught:
        start_pretrained(Torchvision(SPEC, SMALL, "default"))
    assert str(caught.value) == (
        f"{path}: sha256 differs from the published one; delete it to download it again, or write model.weights=FILE for "
        "another file"
    )


def test_a_download_of_something_else_leaves_nothing(hosted, served, tmp_path) -> None:
    (served[0] / hosted).write_bytes(b"<html>Please log in")
    with pytest.raises(
        UserError, match=r": wrong sha256\); put the file at \S*weights/small-\S*\.pth, or write model.weights="
    ):
        start_pretrained(Torchvision(SPEC, SMALL, "default"))
    assert list((tmp_path / "data" / "weights").iterdir()) == []


def test_without_a_network_it_says_where_to_put_the_file(hosted, served, tmp_path) -> None:
    (served[0] / hosted).unlink()
    with pytest.raises(UserError) as caught:
        start_pretrained(Torchvision(SPEC, SMALL, "default"))
    assert str(caught.value).startswith(f"cannot download {hosted} (127.0.0.1:")
    assert str(caught.value).endswith(
        f": HTTP 404); put the file at {tmp_path}/data/weights/{hosted}, or write model.weights=FILE or model.weights=none"
    )


def test_each_default_file_has_the_beginning_of_its_sha256_in_its_name() -> None:
    for arch in models.list_models(module=models):
        digits = pretrained.published(arch, "default").url.removesuffix(".pth").rpartition("-")[2]
        assert len(digits) >= 8 and set(digits) <= set("0123456789abcdef"), arch


# Whole runs


@pytest.mark.slow
def test_with_the_backbone_frozen_the_head_alone_learns_and_a_resumed_run_needs_no_file(lab: Lab, file: Path) -> None:
    words = ["data=digits", "data.subset=40", "model=torchvision", f"model.arch={SMALL}", f"model.weights={file}"]
    run = lab.train(
        *words, "freeze=[backbone.*]", "trainer.epochs=1", "trainer.weights=last", "trainer.log_graph=false"
    )
    assert f"tensors from {file}; the head (fc there)" in lab.out
    assert "freeze 341,792 parameters frozen" in lab.out
    saved, tensors = load_file(run / "weights.safetensors"), torch.load(file, weights_only=True)
    backbone = {name.removeprefix("backbone."): item for name, item in saved.items() if name.startswith("backbone.")}
    assert backbone and all(torch.equal(item, tensors[name]) for name, item in backbone.items())
    file.unlink()
    assert main(["resume", str(run), "trainer.epochs=2"]) == 0
    assert lab.attempt(*words) == 2 and "no such file" in lab.err


def test_a_damaged_file_ends_in_one_line(lab: Lab) -> None:
    (lab.folder / "bad.pth").write_bytes(b"junk")
    words = ["data=digits", "model=torchvision", f"model.arch={SMALL}"]
    assert lab.attempt(*words, "model.weights=bad.pth") == 2
    assert lab.err.startswith("dlcourse: error: cannot read weights from bad.pth: ") and lab.err.count("\n") == 1
