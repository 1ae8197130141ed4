"""Figures of networks on images: layers and parameters, probabilities of pictures, and what sharing weights does."""

import pytest
import torch
from torch import nn

from dlcourse.errors import ConfigError
from dlcourse.lectures.by_epoch import by_epoch
from dlcourse.lectures.cat_or_dog import cat_or_dog
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.weight_sharing import weight_sharing
from dlcourse.lectures.worked_cnn import lecture_cnn48
from short_runs import finished

_CNN = "data=digits model=cnn model.channels=[4,8] model.pool=[2,4] model.norm=none model.head=[] trainer.epochs=2"


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two convolutions on 8x8 pixels, pooled to one."""
    return finished(tmp_path_factory.mktemp("runs") / "cnn", f"{_CNN} trainer.log_every=5")


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("runs") / "mlp", "data=digits model=mlp model.hidden=[16] trainer.epochs=2")


def test_layers_are_named_with_their_parameters(cnn: Finished) -> None:
    report = lecture_cnn48([cnn])
    assert report.scalars["conv1"] == 4 * (9 + 1) and report.scalars["conv2"] == 8 * (4 * 9 + 1)
    assert report.scalars["fc1"] == 10 * (8 + 1)
    assert sum(report.scalars[name] for name in ("conv1", "conv2", "fc1")) == report.scalars["parameters"]
    (diagram,), *_ = report.pictures["network"].rows
    shapes = [(stage.kind, stage.shape) for stage in diagram.stages]
    assert shapes[0] == ("input", (1, 8, 8)) and ("pool", (4, 4, 4)) in shapes and shapes[-1] == ("fc1", (10,))
    assert "precision" in report.texts["classification_report"]


def test_a_number_of_each_epoch_is_the_mean_of_those_in_it(cnn: Finished) -> None:
    epochs, values = by_epoch(cnn, "train/loss")
    all_epochs, all_values = cnn.series("train/loss")
    first = [value for epoch, value in zip(all_epochs, all_values, strict=True) if epoch == 1]
    assert epochs == [1, 2] and len(first) > 1 and values[0] == pytest.approx(sum(first) / len(first))


def test_pictures_go_from_the_best_answer_to_the_worst(mlp: Finished) -> None:
    report = cat_or_dog([mlp], pictures=6)
    (answers,), *_ = report.pictures["answers"].rows
    of_truth = [row[true] for row, true in zip(answers.probabilities, answers.truth, strict=True)]
    assert of_truth == sorted(of_truth, reverse=True) and len(of_truth) == 6
    numbers = report.scalars
    assert numbers["accuracy"] == pytest.approx(numbers["test/accuracy"])
    half = (numbers["accuracy of the surer half"] + numbers["accuracy of the other half"]) / 2
    assert half == pytest.approx(numbers["accuracy"], abs=0.01)


def test_shared_weights_move_with_the_image_and_others_do_not(cnn: Finished, mlp: Finished) -> None:
    report = weight_sharing([cnn, mlp], shift=2, farthest=2, images=100)
    assert report.scalars["difference"] <= 1e-6 < 0.1 < report.scalars["difference without sharing"]
    assert report.scalars["times as many"] == 48 * 48
    assert report.scalars["shared parameters"] == 896 and report.scalars["parameters without sharing"] == 896 * 48 * 48
    assert report.scalars["fully connected parameters"] == (3 * 48 * 48 + 1) * 32 * 48 * 48
    with pytest.raises(ConfigError, match="needs a run of model=cnn, then one of another classifier"):
        weight_sharing([mlp, cnn])
    with pytest.raises(ConfigError, match="must be at most half of the images, which have 8 pixels across"):
        weight_sharing([cnn, mlp], shift=5)


def test_a_layer_that_is_no_convolution_would_be_seen(
    cnn: Finished, mlp: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nn.Conv2d.forward

    def with_places(layer: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        answer = real(layer, inputs)
        return answer + torch.arange(answer.shape[-1]) / 10

    monkeypatch.setattr(nn.Conv2d, "forward", with_places)
    assert weight_sharing([cnn, mlp], shift=2, farthest=1, images=20).scalars["difference"] > 0.1
