"""Policies of torchvision on image folders: functions of seed, epoch and example, for training alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import v2

from dlcourse.cli.main import main
from dlcourse.data.augment_policy import PolicyAugment, drawn
from dlcourse.data.image_folder import FileSplit, ImageFolder
from dlcourse.data.split import seeded_generator
from dlcourse.spec import Data
from lab import Lab

POLICIES = {"autoaugment": v2.AutoAugment, "randaugment": v2.RandAugment, "trivial": v2.TrivialAugmentWide}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of ten pictures of noise."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("pictures")
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for number in range(10):
            Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / label / f"{number}.png")
    return folder


def build(folder: Path, policy: str | None = "randaugment", seed: int = 0, **options: object) -> Data:
    source = ImageFolder(folder=str(folder), size=16, augment=PolicyAugment(policy=policy), **options)
    return source.build(name="images", seed=seed)


def epoch_of(split: FileSplit, epoch: int | None = 1, batch_size: int = 5, start: int = 0) -> torch.Tensor:
    return torch.cat([batch.inputs for batch in split.batches(batch_size, epoch=epoch, start=start)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_torchvisions_under_a_seed_of_its_own(policy: str, channels: int) -> None:
    images = torch.randint(0, 256, (30, channels, 16, 16), dtype=torch.uint8)
    change, before = drawn(policy, 3, 4), torch.get_rng_state()
    changed = [change(image, number) for number, image in enumerate(images)]
    assert torch.equal(torch.get_rng_state(), before)
    transform = POLICIES[policy]()
    for number, image in enumerate(images):
        torch.set_rng_state(seeded_generator("policy", 3, 4, number).get_state())
        assert torch.equal(transform(image), changed[number])
    torch.set_rng_state(before)
    kept = sum(torch.equal(image, other) for image, other in zip(images, changed, strict=True))
    assert kept < 20 and all(image.dtype == torch.uint8 for image in changed)


def test_seed_epoch_and_example_decide_and_nothing_else(folder: Path) -> None:
    train = build(folder).train
    whole = epoch_of(train)
    assert torch.equal(epoch_of(train), whole)
    assert torch.equal(epoch_of(train, batch_size=4), whole)
    assert torch.equal(epoch_of(train, start=1), whole[5:])
    assert torch.equal(epoch_of(build(folder, workers=2).train), whole)
    plain = epoch_of(build(folder, None).train)
    assert not torch.equal(plain, whole)
    by_example = {number: [] for number in train.files.tolist()}
    for epoch in (1, 2):
        order = torch.randperm(len(train), generator=seeded_generator("order", 0, epoch))
        for number, image in zip(train.files[order].tolist(), epoch_of(train, epoch), strict=True):
            by_example[number].append(image)
    assert sum(torch.equal(first, second) for first, second in by_example.values()) < 5
    noise = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    assert len({drawn("trivial", seed, 1)(noise, 0).sum().item() for seed in range(8)}) > 3


def test_validation_test_and_measured_images_are_plain(folder: Path) -> None:
    with_policy, without = build(folder), build(folder, None)
    assert with_policy.spec == without.spec
    for split in ("val", "test", "train"):
        ours, theirs = getattr(with_policy, split), getattr(without, split)
        assert torch.equal(epoch_of(ours, None), epoch_of(theirs, None))
        assert torch.equal(ours.pictures(torch.arange(len(ours))), theirs.pictures(torch.arange(len(theirs))))


def test_a_policy_goes_before_the_other_changes(folder: Path) -> None:
    source = ImageFolder(folder=str(folder), size=16, augment=PolicyAugment(policy="trivial", flip=True))
    mirrored, train = source.build(name="images", seed=0).train, build(folder, "trivial").train
    assert not train.transform.augments and mirrored.transform.augments
    images, plain = epoch_of(mirrored), epoch_of(train)
    flips = [torch.equal(image.flip(2), other) for image, other in zip(images, plain, strict=True)]
    assert any(flips) and not all(flips)
    assert all(flip or torch.equal(*pair) for flip, *pair in zip(flips, images, plain, strict=True))


def test_a_resumed_run_ends_with_the_same_bits(lab: Lab, folder: Path) -> None:
    words = ["data=images", f"data.folder={folder}", "data.size=8", "data.augment.policy=randaugment", "model=softmax"]
    words += ["trainer.batch_size=4", "scheduler=constant", "trainer.weights=last"]
    whole, half = (lab.train(*words, f"trainer.epochs={epochs}", f"run.name=of{epochs}") for epochs in (2, 1))
    assert main(["resume", str(half), "trainer.epochs=2"]) == 0
    first, second = (load_file(run / "weights.safetensors") for run in (whole, half))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_unknown_policy_is_refused_with_those_there_are(lab: Lab) -> None:
    assert lab.attempt("data=images", "data.folder=x", "data.augment.policy=augmix") == 2
    assert "data.augment.policy must be autoaugment, randaugment or trivial, or null, got 'augmix'" in lab.err
    assert lab.attempt("data=mnist", "data.augment.policy=trivial") == 2
    assert lab.err.count("\n") == 1 and "data.augment.policy" in lab.err
