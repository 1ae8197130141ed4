"""What a forward pass computes: closed forms, torch's own count of real passes, and the sums of every model."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlcourse.cli.compatibility import announced, trains_on
from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.models import MODELS
from dlcourse.models.attention import CrossAttention, SelfAttention
from dlcourse.models.layer_costs import LayerCost, layer_costs
from dlcourse.models.summary import count_parameters
from dlcourse.spec import DataSpec

B1 = 1  # one example
T, F, H, D = 7, 5, 6, 8
TEXT = DataSpec("text", (T,), 11, "next", vocabulary=tuple("abcdefghijk"))
IMAGES = DataSpec("mnist", (1, 28, 28), 10, "class", tuple("0123456789"), pixel_mean=(0.1,), pixel_std=(0.3,))


def costs_of(make, *shape: int) -> dict[str, LayerCost]:
    """Those of a module that is made on the meta device, by name, for inputs `(1, *shape)`."""
    with torch.device("meta"):
        return {cost.name: cost for cost in layer_costs(make(), torch.zeros(B1, *shape))}


def model_costs(name: str, spec: DataSpec, **options: object) -> list[LayerCost]:
    with torch.device("meta"):
        return layer_costs(MODELS.build(Choice(name, options), spec=spec), spec.zeros(1, "meta"))


def one_for_each_target(model: str) -> list[DataSpec]:
    """Of each kind of target the first data set in the table that the model trains on."""
    found: dict[str, DataSpec] = {}
    for spec in (spec for data in DATASETS for spec in announced(data)):
        if spec.target not in found and trains_on(model, spec):
            found[spec.target] = dataclasses.replace(spec, name="any")
    return list(found.values())


def value(formula: str) -> int:
    """The number that a formula of sums, products and brackets gives."""
    return eval(formula.replace(",", "").replace(" x ", " * ")) if formula else 0


@pytest.mark.parametrize(
    ("make", "shape", "flops"),
    [
        (lambda: nn.Linear(F, H), (F,), 2 * F * H),
        (lambda: nn.Linear(F, H), (T, F), 2 * T * F * H),
        (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 6, 8), 2 * (4 * 6 * 8) * (3 * 3 * 3)),
        (lambda: nn.Conv2d(4, 8, 5, stride=2, padding=2, groups=2), (4, 8, 8), 2 * (8 * 4 * 4) * (2 * 5 * 5)),
        (lambda: nn.ConvTranspose2d(4, 3, 4, 2, 1), (4, 5, 5), 2 * (4 * 5 * 5) * (3 * 4 * 4)),
        (lambda: nn.RNN(F, H, batch_first=True), (T, F), 2 * T * H * (F + H)),
        (lambda: nn.GRU(F, H, batch_first=True), (T, F), 2 * T * 3 * H * (F + H)),
        (lambda: nn.LSTM(F, H, batch_first=True), (T, F), 2 * T * 4 * H * (F + H)),
        (
            lambda: nn.LSTM(F, H, 2, batch_first=True, bidirectional=True),
            (T, F),
            2 * T * 2 * 4 * H * ((F + H) + (2 * H + H)),
        ),
        (lambda: nn.BatchNorm2d(3), (3, 6, 6), 0),
        (lambda: nn.MaxPool2d(2), (3, 6, 6), 0),
    ],
)
def test_flops_of_a_layer_are_those_of_its_closed_form(make, shape: tuple[int, ...], flops: int) -> None:
    assert costs_of(make, *shape)[""].flops == flops


def test_attention_has_its_scores_apart_from_its_affine_layers() -> None:
    costs = costs_of(lambda: SelfAttention(D, 2), T, D)
    assert costs["queries_keys_values"].flops == 2 * T * D * 3 * D
    assert costs["output"].flops == 2 * T * D * D
    assert costs[""].flops == 2 * 2 * T * T * D  # every query with every key, then the mean of the values
    assert costs[""].parameters == 0


def test_attention_to_another_sequence() -> None:
    steps = 3

    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cross = CrossAttention(D, 2)

        def forward(self, stream: torch.Tensor) -> torch.Tensor:
            return self.cross(stream, stream[:, :steps])

    costs = costs_of(Cross, T, D)
    assert costs["cross"].flops == 2 * 2 * T * steps * D
    assert costs["cross.keys_values"].flops == 2 * steps * D * 2 * D


def test_a_gpt_computes_what_the_formula_says() -> None:
    layers, width, vocabulary = 3, 16, len(TEXT.vocabulary)
    costs = model_costs("transformer", TEXT, width=width, layers=layers, heads=2)
    products, scores, logits = layers * 12 * width**2, layers * 2 * T * width, width * vocabulary
    assert sum(cost.flops for cost in costs) == 2 * T * (products + scores + logits)
    assert costs[0].name == "" and costs[0].flops == 2 * T * logits  # tied to the embedding, whose weights count there
    embedding = next(cost for cost in costs if cost.name == "embedding")
    assert (embedding.parameters, embedding.flops) == (vocabulary * width, 0)


FAMILIES = [name for name in MODELS if name not in ("rnn", "gru", "lstm")]  # of which torch sees no products on a CPU


@pytest.mark.parametrize("name", FAMILIES)
def test_flops_are_torchs_own_count_of_a_real_pass(name: str) -> None:
    spec = one_for_each_target(name)[0]
    model = MODELS.build(Choice(name), spec=spec).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(spec.zeros(1))
    assert sum(cost.flops for cost in model_costs(name, spec)) == counter.get_total_flops() > 0


@pytest.mark.parametrize("name", list(MODELS))
def test_parameters_add_up_and_are_what_their_formulas_give(name: str) -> None:
    for spec in one_for_each_target(name):
        costs = model_costs(name, spec)
        model = MODELS.build(Choice(name), spec=spec)
        assert sum(cost.parameters for cost in costs) == count_parameters(model)
        for cost in costs:
            assert value(cost.formula) == cost.parameters, cost


@pytest.mark.parametrize("arch", ["vit_b_16", "swin_t", "regnet_y_400mf"])
def test_networks_of_torchvision(arch: str) -> None:
    spec = dataclasses.replace(IMAGES, input_shape=(3, 224, 224))
    costs = model_costs("torchvision", spec, arch=arch)
    model = MODELS.build(Choice("torchvision", {"arch": arch}), spec=spec)
    assert sum(cost.parameters for cost in costs) == count_parameters(model)
    assert all(value(cost.formula) == cost.parameters for cost in costs)


def test_published_flops_of_resnet50() -> None:
    """4.09 billion multiply-adds with an output layer for 1000 classes, in torchvision's table of weights."""
    classes = tuple(map(str, range(1000)))
    spec = dataclasses.replace(IMAGES, input_shape=(3, 224, 224), num_outputs=1000, class_names=classes)
    flops = sum(cost.flops for cost in model_costs("torchvision", spec, arch="resnet50"))
    assert flops / 2e9 == pytest.approx(4.09, abs=0.005)


def test_formulas_say_how_the_number_comes_about() -> None:
    assert costs_of(lambda: nn.Conv2d(1, 32, 3), 1, 6, 6)[""].formula == "32 x (1 x 3 x 3) + 32"
    assert costs_of(lambda: nn.Linear(1200, 64), 1200)[""].formula == "64 x 1,200 + 64"
    assert costs_of(lambda: nn.BatchNorm2d(3), 3, 6, 6)[""].formula == "2 x 3"
    lstm = costs_of(lambda: nn.LSTM(F, H, batch_first=True), T, F)[""]
    assert lstm.formula == "4 x (6 x 5 + 6 x 6 + 2 x 6)"
    gru = costs_of(lambda: nn.GRU(F, H, batch_first=True), T, F)[""]
    assert gru.formula == "3 x (6 x 5 + 6 x 6 + 2 x 6)"
    assert costs_of(lambda: nn.ReLU(), F)[""].formula == ""


def test_shapes_are_those_of_one_example() -> None:
    shapes = {cost.name: cost.shape for cost in model_costs("transformer", TEXT, width=D, heads=2, layers=1)}
    assert shapes["decoder.positions"] == (T, D)  # which has no batch
    assert shapes["decoder.blocks.0.attention"] == (T, D)
    assert shapes[""] == (T, 11)
    changes = [cost.name for cost in model_costs("cnn", IMAGES, channels=[4], norm="none") if cost.changes_shape]
    assert changes == ["", "blocks", "blocks.0", "blocks.2", "head", "head.0", "head.2", "head.5"]


def test_a_module_that_runs_twice_is_one_with_the_flops_of_both() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(F, F)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(inputs))

    layer = costs_of(Twice, F)["layer"]
    assert (layer.flops, layer.parameters) == (2 * 2 * F * F, F * F + F)


def test_a_spectral_norm_leaves_a_layer_its_kind_and_parameters() -> None:
    plain, normed = (model_costs("gan", IMAGES, norm=norm) for norm in ("none", "spectral"))
    assert [(cost.name, cost.kind, cost.parameters) for cost in plain] == [
        (cost.name, cost.kind, cost.parameters) for cost in normed
    ]


def test_the_model_is_left_as_it_was() -> None:
    model = MODELS.build(Choice("cnn"), spec=IMAGES).to("meta")
    first = layer_costs(model, IMAGES.zeros(1, "meta"))
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert layer_costs(model, IMAGES.zeros(1, "meta")) == first
    assert math.prod(first[-1].shape) == 10
