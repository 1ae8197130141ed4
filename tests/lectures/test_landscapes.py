"""Planes through weight space against surfaces that are known, and the figures that stand on them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcourse.errors import ConfigError
from dlcourse.lectures.finished import Finished
from dlcourse.lectures.landscapes import landscape, resnet_depth
from dlcourse.lectures.planes import Plane, filter_direction, growth, normal_direction, plane
from dlcourse.spec import Batch
from short_runs import finished

PLACES = torch.linspace(-2, 2, 21)
X, Y = torch.meshgrid(PLACES, PLACES, indexing="ij")


def network(layers: int) -> nn.Sequential:
    torch.manual_seed(1)
    parts: list[nn.Module] = [nn.Linear(4, 12)]
    for _ in range(layers - 2):
        parts += [nn.ReLU(), nn.Linear(12, 12)]
    return nn.Sequential(*parts, nn.ReLU(), nn.Linear(12, 3)) if layers > 1 else nn.Sequential(nn.Linear(4, 3))


def batch() -> Batch:
    generator = torch.Generator().manual_seed(2)
    return Batch(torch.randn(60, 4, generator=generator), torch.arange(60) % 3)


def test_a_bowl_bends_down_nowhere_and_has_its_minimum() -> None:
    bowl = Plane(PLACES, (X - 0.4) ** 2 + 3 * Y**2)
    assert bowl.bends_down == 0
    assert bowl.minima.tolist() == [pytest.approx([0.4, 0.0], abs=1e-6)]
    assert bowl.cut(0.5) == pytest.approx(float(bowl.losses.median()))


def test_two_valleys_are_two_minima_and_bend_down_between() -> None:
    valleys = Plane(PLACES, (X**2 - 1) ** 2 + Y**2)
    assert sorted(x for x, _ in valleys.minima.tolist()) == pytest.approx([-1, 1])
    bent = (3 * PLACES[1:-1] ** 2 < 1).float().mean() / 2  # where the second derivative by x, 12 x^2 - 4, is below zero
    assert valleys.bends_down == pytest.approx(float(bent), abs=0.03)


def test_a_filter_direction_is_as_long_as_each_row_and_leaves_vectors() -> None:
    model, generator = network(3), torch.Generator().manual_seed(0)
    found = filter_direction(model, generator)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            assert torch.allclose(found[name].norm(dim=1), weight.detach().norm(dim=1))
        else:
            assert not found[name].any()
    wide = nn.Linear(400, 300)
    assert float(normal_direction(wide, generator)["weight"].var() * 400) == pytest.approx(1, abs=0.05)


def test_the_middle_of_a_plane_is_the_loss_of_the_model_which_is_left_as_it_was() -> None:
    model = network(3)
    before = [weight.clone() for weight in model.parameters()]
    found = plane(model, batch(), filter_direction, 0.5, 5)
    inputs, targets = batch()
    assert found.losses[2, 2].item() == pytest.approx(nn.functional.cross_entropy(model(inputs), targets).item())
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert found.places.tolist() == pytest.approx([-0.5, -0.25, 0, 0.25, 0.5])


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_far_away_the_loss_grows_with_as_many_powers_as_there_are_layers(layers: int) -> None:
    assert growth(network(layers), batch(), filter_direction, 100, 1000) == pytest.approx(layers, abs=0.1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Finished]:
    root = tmp_path_factory.mktemp("runs")
    common = "data=digits data.subset=200 trainer.epochs=3"
    return [
        finished(root / "linear", f"{common} model=softmax"),
        finished(root / "deep", f"{common} model=mlp model.hidden=[40,40,40,40]"),
    ]


def test_a_linear_classifier_has_a_bowl_and_a_deep_one_has_none(runs: list[Finished]) -> None:
    numbers = landscape(runs, side=15, examples=50).scalars
    assert numbers["linear start bends down"] == numbers["linear trained bends down"] == 0
    assert numbers["linear start minima"] == 1
    assert numbers["deep start bends down"] > 0.05
    assert numbers["deep power"] == pytest.approx(5, abs=0.1)
    assert numbers["deep parameters"] == 64 * 40 + 40 + 3 * (40 * 40 + 40) + 40 * 10 + 10
    swapped = landscape(runs[::-1], side=15, examples=50).scalars
    assert swapped["linear start bends down"] > 0.05, "with the wrong network the check says OUT"


def test_runs_that_do_not_fit_are_refused(runs: list[Finished], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the figure needs 2 runs, got 1"):
        landscape(runs[:1])
    with pytest.raises(ConfigError, match=r"needs model.depth=A,B with model.skip=true,false, got 2 runs"):
        resnet_depth(runs)


@pytest.mark.slow
def test_residual_networks_by_depth_and_shortcuts(tmp_path: Path) -> None:
    words = "data=digits data.resize=12 data.subset=60 model=resnet model.width=4 trainer.epochs=1"
    runs = [
        finished(tmp_path / f"{depth}{skip}", f"{words} model.depth={depth} model.skip={skip}")
        for depth in (20, 32)
        for skip in ("true", "false")
    ]
    report = resnet_depth(runs, side=5, examples=20)
    assert report.scalars["32 without shortcuts"] == runs[3].numbers()["train/loss"]
    ((chart,), (surfaces,)) = report.pictures["resnet_depth"].rows
    assert list(chart.lines) == [f"{d} {k} shortcuts" for d in (20, 32) for k in ("with", "without")]
    assert len(surfaces.surfaces) == 4
