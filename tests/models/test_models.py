import re
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models import MODELS
from dlcourse.models.features import FEATURES
from dlcourse.models.summary import count_parameters, summarize, table
from dlcourse.spec import DataSpec
from dlcourse.training.advice import advised

MNIST = DataSpec("mnist", (1, 28, 28), 10, "class", tuple("0123456789"))
LECTURE = DataSpec("mnist", (3, 48, 48), 10, "class", tuple("0123456789"))
MOONS = DataSpec("moons", (2,), 2, "class", ("upper", "lower"), ("x1", "x2"))
LINE = DataSpec("line", (1,), 1, "value", (), ("x",))

LECTURE_CNN = {"channels": [32, 64, 128], "pool": [2, 2, 1], "norm": "none", "head": [512], "dropout": 0.5}


def build(name: str, spec: DataSpec, **options: object) -> torch.nn.Module:
    return MODELS.build(Choice(name, options), spec=spec)


def test_the_lecture_cnn_has_the_published_layers() -> None:
    layers = summarize(build("cnn", LECTURE, **LECTURE_CNN), LECTURE.zeros(1))
    assert [layer.parameters for layer in layers if layer.parameters] == [896, 18_496, 73_856, 9_437_696, 5_130]
    assert [layer.shape for layer in layers if layer.kind in ("Conv2d", "MaxPool2d")] == [
        (32, 48, 48),
        (32, 24, 24),
        (64, 24, 24),
        (64, 12, 12),
        (128, 12, 12),
    ]
    assert count_parameters(build("cnn", LECTURE, **LECTURE_CNN)) == 9_536_074
    head = [layer.kind for layer in layers if layer.name.startswith("head")]
    assert head == ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_the_summary_table_names_shapes_and_parameters() -> None:
    model = build("mlp", MNIST, hidden=[16])
    assert table(summarize(model, MNIST.zeros(1))) == [
        "Linear  16  12,560",
        "Linear  10     170",
    ]


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("linreg", MNIST, "write model=softmax"),
        ("softmax", LINE, "write model=linreg"),
        ("logreg", LINE, "write model=linreg"),
        ("cnn", MOONS, "needs images"),
    ],
)
def test_a_model_says_which_data_it_cannot_take(name: str, spec: DataSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, spec)


@pytest.mark.parametrize(
    ("name", "spec", "advice"),
    [
        ("linreg", MNIST, "write model=softmax, or data=diabetes"),
        ("linreg", replace(MOONS, name="csv"), "write model=softmax, or data.kind=value"),
        ("logreg", replace(LINE, name="csv"), "write model=linreg or model=mlp, or data.kind=class"),
        ("cnn", MOONS, "write model=mlp"),
        ("cnn", replace(MOONS, name="npz", input_shape=(8, 8)), "write model=mlp, or the images as uint8, those in "),
        ("gan", LINE, "write data=mnist or data=moons"),
        ("resnet9", replace(MNIST, name="images", input_shape=(1, 7, 7)), "write model=cnn, or data.size=32"),
    ],
)
def test_advice_names_options_that_the_data_set_has(name: str, spec: DataSpec, advice: str) -> None:
    with pytest.raises(MisfitError) as caught:
        build(name, spec)
    assert f"; {advice}" in str(advised(caught.value, spec))


def test_a_cnn_that_pools_everything_away_says_what_to_change() -> None:
    with pytest.raises(MisfitError) as caught:
        build("cnn", MNIST, channels=[4] * 6, pool=[3, 2])
    assert str(advised(caught.value, MNIST)).endswith(
        f"nothing is left of the 28x28 images of data '{MNIST.name}'; write model.pool=[1], fewer model.channels, or "
        "data.resize=96"
    )
    for side, fits in ((96, True), (95, False)):
        with nullcontext() if fits else pytest.raises(MisfitError):
            build("cnn", replace(MNIST, input_shape=(1, side, side)), channels=[1] * 6, pool=[3, 2])
    with pytest.raises(ConfigError, match=r"model\.kernel must be odd"):
        build("cnn", MNIST, kernel=4)


@pytest.mark.parametrize("head", [[], [64]])
def test_a_cnn_drops_units_before_the_last_layer_of_its_head(head: list[int]) -> None:
    torch.manual_seed(0)
    model = build("cnn", MNIST, channels=[2], pool=[14], norm="none", head=head, dropout=0.5)
    if head:  # hidden units that are all 1, whatever was dropped before them
        hidden = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Linear))
        torch.nn.init.zeros_(hidden.weight)
        torch.nn.init.ones_(hidden.bias)
    inputs = torch.rand(1, 1, 28, 28).expand(20, -1, -1, -1)
    assert len(model.eval()(inputs).unique(dim=0)) == 1
    assert len(model.train()(inputs).unique(dim=0)) > 1


@pytest.mark.parametrize("data", [name for name in DATASETS if "augment" in DATASETS.schema(name)])
@pytest.mark.parametrize("model", ["cnn", "resnet9"])
def test_too_small_images_are_enlarged_by_an_option_that_their_data_set_has(model: str, data: str) -> None:
    spec = replace(MNIST, name=data, input_shape=(1, 7, 7))
    with pytest.raises(MisfitError) as caught:
        build(model, spec)
    found = re.search(r"data\.(\w+)=(\d+)", str(advised(caught.value, spec)))
    assert found
    DATASETS.check(Choice(data, {found[1]: int(found[2])}))


@pytest.mark.parametrize("name", [name for name in MODELS if "dropout" in MODELS.schema(name)])
def test_dropout_renames_no_tensor(name: str) -> None:
    """Else a run could not start from the weights of one with another dropout."""
    plain, dropping = (build(name, MNIST, dropout=share) for share in (0.0, 0.5))
    dropping.load_state_dict(plain.state_dict())
    images = torch.randn(4, *MNIST.input_shape)
    torch.testing.assert_close(plain.eval()(images), dropping.eval()(images))
    assert not torch.equal(dropping.train()(images), dropping(images))


def test_pooling_renames_no_tensor() -> None:
    first, second = (build("cnn", MNIST, channels=[4, 4], pool=pool) for pool in ([2], [1, 4]))
    second.load_state_dict(first.state_dict())


def test_tensors_of_the_defaults_are_named_as_in_the_runs_there_are() -> None:
    names = {name: [key for key in build(name, MNIST).state_dict() if "weight" in key] for name in ("mlp", "cnn")}
    assert names["mlp"] == [f"layers.{layer}.weight" for layer in (1, 3, 5)]
    blocks = [f"blocks.{layer}.weight" for layer in (0, 1, 4, 5, 8, 9)]
    assert names["cnn"] == [*blocks, "head.2.weight", "head.5.weight"]


@pytest.mark.parametrize("interaction_only", [False, True])
def test_polynomial_features_equal_scikit_learn(interaction_only: bool) -> None:
    spec = DataSpec("three", (3,), 2, "class", ("a", "b"), ("x1", "x2", "x3"))
    options = {"degree": 3, "interaction_only": interaction_only}
    features = FEATURES.build(Choice("polynomial", options), spec=spec)
    inputs = torch.randn(40, 3)
    reference = PolynomialFeatures(3, interaction_only=interaction_only, include_bias=False)
    expected = reference.fit_transform(inputs.double().numpy())
    torch.testing.assert_close(features.expand(inputs).double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)
    assert features.names == tuple(reference.get_feature_names_out(["x1", "x2", "x3"]))
    features.fit(inputs)
    scaled = torch.from_numpy(StandardScaler().fit_transform(expected))
    torch.testing.assert_close(features(inputs).double(), scaled, rtol=1e-3, atol=1e-4)


def test_standardized_features_leave_a_constant_column_finite() -> None:
    features = FEATURES.build(Choice("standard"), spec=MOONS)
    features.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert features(torch.tensor([[2.0, 5.0], [4.0, 5.0]])).tolist() == [[0.0, 0.0], [2.0, 0.0]]


def test_features_refuse_images_and_too_many_terms() -> None:
    with pytest.raises(ConfigError, match="write features=none"):
        FEATURES.build(Choice("standard"), spec=MNIST)
    wide = DataSpec("wide", (200,), 2, "class", ("a", "b"))
    with pytest.raises(ConfigError, match=r"more than 10,000 terms; use a lower degree"):
        FEATURES.build(Choice("polynomial"), spec=wide)
