"""What a unit sees and prefers, against gradients and patterns that are known; the figure of a run of a moment."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.preferred import center_unit, layers_of, liked_best, make_up, outputs_of, patch
from dlcourse.lectures.units import units
from dlcourse.models.cnn import CNN
from dlcourse.spec import DataSpec
from short_runs import finished

SPEC = DataSpec("images", (1, 16, 16), 3, class_names=("a", "b", "c"), pixel_mean=(0.1,), pixel_std=(0.5,))


@pytest.mark.parametrize(("kernel", "pool", "norm"), [(3, (2,), "batch"), (5, (2, 1), "none"), (3, (1, 2), "none")])
def test_a_unit_sees_the_pixels_that_have_a_gradient(kernel: int, pool: tuple[int, ...], norm: str) -> None:
    torch.manual_seed(0)
    model = CNN(SPEC, channels=(3, 3), kernel=kernel, pool=pool, pooling="average", norm=norm, activation="tanh").eval()
    for layer in layers_of(model.blocks):
        with outputs_of(layer.module) as kept:
            images = torch.rand(1, 1, 16, 16, requires_grad=True)
            model(images)
            row, column = 3, 4
            (gradient,) = torch.autograd.grad(kept[0][0, 0, row, column], images)
        seen = gradient[0, 0].abs() > 0
        top, left = (max(0, layer.start + place * layer.stride) for place in (row, column))
        bottom, right = (layer.start + place * layer.stride + layer.side for place in (row, column))
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[top:bottom, left:right] = True
        assert torch.equal(seen, expected)


def test_the_patch_that_a_unit_likes_best_is_the_one_that_its_filter_shows() -> None:
    layer_of_a_cross = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    cross = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
    layer_of_a_cross[0].weight.data[0, 0] = cross - 0.5
    images = torch.zeros(4, 1, 10, 10)
    images[2, 0, 5:8, 1:4] = cross
    images[1, 0, 0, 0] = 1.0
    (layer,) = layers_of(layer_of_a_cross)
    patches, best = liked_best(layer, layer_of_a_cross, images, images, units=1, count=2)
    assert torch.equal(patches[0, 0, 0], cross)
    assert best.tolist() == [2.5]
    assert torch.equal(patch(images[1], layer, 0, 0)[0, 1, 1], torch.tensor(1.0)), "black beyond the edge"


def test_made_up_images_excite_their_units_more_with_each_step() -> None:
    torch.manual_seed(0)
    model = CNN(SPEC, channels=(4,), norm="none", head=()).eval().requires_grad_(False)
    (layer,) = layers_of(model.blocks)
    reached = []
    for steps in (1, 10, 60):
        torch.manual_seed(3)
        with outputs_of(layer.module) as kept:
            score = center_unit(layer, model, kept)
            images = make_up(SPEC, score, 4, steps=steps)
            reached.append(score(SPEC.from_pixels(images)))
        assert images.min() >= 0 and images.max() <= 1
    assert (reached[1] > reached[0]).all() and (reached[2] > reached[1]).all()
    weights = model.blocks[0].weight[:, 0]
    most = (weights.clamp(min=0).sum((1, 2)) * 1.8 + weights.clamp(max=0).sum((1, 2)) * -0.2) + model.blocks[0].bias
    assert (reached[2] <= most + 1e-4).all(), "no unit passes what black and white pixels can give"
    assert torch.allclose(reached[2], most, rtol=0.05, atol=0.05)


def test_the_figure_of_a_run(tmp_path: Path) -> None:
    words = (
        "data=digits model=cnn model.channels=[8,8] model.head=[] model.dropout=0 optimizer.lr=0.01 trainer.epochs=5"
    )
    run = finished(tmp_path / "cnn", words)
    report = units([run], units=3, steps=40, examples=60)
    numbers = report.scalars
    assert numbers["units"] == 6 and numbers["classes"] == 10
    assert numbers["pixels in layer 1"] == 3 and numbers["pixels in layer 2"] == 8
    assert numbers["least probability of a made-up class"] > 0.3, "chance is 0.1"
    assert numbers["points that the hottest tenth costs more"] > 0
    assert 0 <= numbers["without the hottest tenth"] <= 1
    titles = [row.title for row in report.pictures["units"].rows]
    assert len(titles) == 1 + 2 * 2 + 2 and titles[-1].startswith("Grad-CAM")


def test_other_models_are_refused(tmp_path: Path) -> None:
    run: Finished = finished(tmp_path / "mlp", "data=digits data.subset=60 model=mlp trainer.epochs=1")
    with pytest.raises(ConfigError, match=r"needs a run of model=cnn on images with classes, got .*mlp"):
        units([run])
