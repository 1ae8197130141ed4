"""Recurrent networks and the bag of words: what they read, where they answer, what they refuse and what they learn."""

import pytest
import torch
from torch import Tensor, nn

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.models.recurrent import read_image
from dlcourse.models.summary import summarize
from dlcourse.spec import DataSpec
from lab import Lab, report

IMAGES = DataSpec("pictures", (3, 4, 5), 10, "class", tuple("0123456789"))
SERIES = DataSpec("series", (7, 2), 3, "value")
SENTENCES = DataSpec("sentences", (6,), 2, "class", ("a", "b"), vocabulary=tuple("uvwxyz"), tokenizer="characters")
TEXT = DataSpec("text", (6,), 6, "next", vocabulary=tuple("uvwxyz"), tokenizer="characters")
TABLE = DataSpec("table", (4,), 2, "class", ("a", "b"))
REWRITING = DataSpec("copy", (6,), 6, "sequence", vocabulary=tuple("uvwxyz"), output_length=7)

CELLS = ["rnn", "gru", "lstm"]


def build(name: str, spec: DataSpec, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(Choice(name, options), spec=spec).eval()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("spec", "outputs"), [(IMAGES, (10,)), (SERIES, (3,)), (SENTENCES, (2,)), (TEXT, (6, 6))])
def test_one_answer_for_each_example_and_for_text_one_at_every_step(
    name: str, spec: DataSpec, outputs: tuple[int, ...]
) -> None:
    assert build(name, spec, hidden=8, layers=2, dropout=0.5)(spec.zeros(5)).shape == (5, *outputs)


def test_images_are_read_by_rows_or_by_pixels() -> None:
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    rows, pixels = read_image(images, "rows"), read_image(images, "pixels")
    assert rows.shape == (2, 4, 15) and pixels.shape == (2, 20, 3)
    for image in range(2):
        for y in range(4):
            assert rows[image, y].tolist() == [int(images[image, c, y, x]) for c in range(3) for x in range(5)]
            for x in range(5):
                assert pixels[image, 5 * y + x].tolist() == images[image, :, y, x].tolist()


@pytest.mark.parametrize(("steps", "shape"), [("rows", (4, 15)), ("pixels", (20, 3))])
def test_an_image_is_read_as_the_sequence_of_its_steps(steps: str, shape: tuple[int, int]) -> None:
    on_images = build("gru", IMAGES, hidden=8, steps=steps)
    on_sequences = build("gru", DataSpec("steps", shape, 10, "class", IMAGES.class_names), hidden=8)
    on_sequences.load_state_dict(on_images.state_dict())
    images = torch.randn(2, *IMAGES.input_shape)
    torch.testing.assert_close(on_images(images), on_sequences(read_image(images, steps)))


def test_the_simple_network_is_its_formula() -> None:
    model, inputs = build("rnn", SERIES, hidden=8), torch.randn(5, 7, 2)
    cell, state = model.recurrent, torch.zeros(5, 8)
    for step in range(7):
        state = torch.tanh(inputs[:, step] @ cell.weight_ih_l0.T + state @ cell.weight_hh_l0.T)  # biases start at 0
    torch.testing.assert_close(model(inputs), state @ model.head.weight.T + model.head.bias)


@pytest.mark.parametrize("name", CELLS)
def test_both_directions_answer_from_where_they_end(name: str) -> None:
    both, one = build(name, SERIES, hidden=8, bidirectional=True), build(name, SERIES, hidden=8)
    inputs = torch.randn(5, 7, 2)
    ends: list[Tensor] = []
    for suffix, sequence in (("", inputs), ("_reverse", inputs.flip(1))):
        weights = {key: getattr(both.recurrent, key + suffix) for key, _ in one.recurrent.named_parameters()}
        one.recurrent.load_state_dict(weights)
        ends.append(one.recurrent(sequence)[0][:, -1])
    torch.testing.assert_close(both(inputs), both.head(torch.cat(ends, dim=1)))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_of_several_layers_the_last_one_answers(name: str, bidirectional: bool) -> None:
    model, inputs = build(name, SERIES, hidden=8, layers=3, bidirectional=bidirectional), torch.randn(5, 7, 2)
    states = model.recurrent(inputs)[0]  # (5, 7, 8 or 16), of the last layer
    ends = torch.cat([states[:, -1, :8], states[:, 0, 8:]], dim=1)
    torch.testing.assert_close(model(inputs), model.head(ends))


@pytest.mark.parametrize("name", CELLS)
def test_the_next_token_is_predicted_without_a_look_at_it(name: str) -> None:
    model, tokens = build(name, TEXT, hidden=8, layers=2), torch.tensor([[0, 1, 2, 3, 4, 5]])
    changed = tokens.clone()
    changed[0, 3] = 0
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.isclose(before[:, 3:], after[:, 3:]).all(dim=2).any()


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_weights_of_gates_start_orthogonal_and_only_the_forget_gate_has_a_bias(name: str) -> None:
    model = build(name, SERIES, hidden=8, **({"forget_bias": 2.5} if name == "lstm" else {}))
    for gate in model.recurrent.weight_hh_l0.split(8):
        is_orthogonal = torch.allclose(gate @ gate.T, torch.eye(8), atol=1e-5)
        assert is_orthogonal == (name != "rnn")
    bias = (model.recurrent.bias_ih_l0 + model.recurrent.bias_hh_l0).reshape(-1, 8)
    assert bias.sum(1).tolist() == {"rnn": [0], "gru": [0, 0, 0], "lstm": [0, 8 * 2.5, 0, 0]}[name]


@pytest.mark.parametrize("name", CELLS)
def test_input_weights_start_with_a_variance_of_one_over_the_numbers_read(name: str) -> None:
    weights = build(name, IMAGES, hidden=400).recurrent.weight_ih_l0
    assert weights.var().item() == pytest.approx(1 / 15, rel=0.1)


def test_the_layer_table_has_the_cell_and_its_parameters() -> None:
    layers = {layer.kind: layer for layer in summarize(build("lstm", IMAGES, hidden=8), IMAGES.zeros(1))}
    assert layers["LSTM"].shape == (4, 8) and layers["LSTM"].parameters == 4 * (8 * 15 + 8 * 8 + 2 * 8)


@pytest.mark.parametrize(
    ("name", "spec", "options", "message"),
    [
        ("lstm", TABLE, {}, r"model 'lstm' needs sequences, images or text.*data 'table' has shape \(4,\).*model=mlp"),
        ("gru", REWRITING, {}, "model 'gru' .*data 'copy' has sequences for targets; write model=transformer"),
        ("rnn", TEXT, {"bidirectional": True}, "model 'rnn' .*data 'text'.*write model.bidirectional=false"),
        ("rnn", SERIES, {"forget_bias": 1.0}, "unknown option 'model.forget_bias'"),
        ("bag", TEXT, {}, "model 'bag' .*data 'text' asks for tokens in their order; write model=lstm"),
        ("bag", SERIES, {}, "model 'bag' .*data 'series' has no tokens; write model=mlp"),
        ("bag", TABLE, {}, "model 'bag' .*data 'table' has no tokens; write model=mlp"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, spec: DataSpec, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, spec, **options)


def test_a_bag_of_words_is_right_in_half_of_the_sentences_and_a_recurrent_network_in_all(lab: Lab) -> None:
    bag = report(lab.train("experiment=word_order", "trainer.epochs=2"))
    assert bag["test"]["accuracy"] == bag["val"]["accuracy"] == 0.5
    recurrent = report(lab.train("experiment=word_order", "model=rnn", "trainer.epochs=3"))
    assert recurrent["test"]["accuracy"] == 1.0


def test_gates_learn_to_add_what_is_marked(lab: Lab) -> None:
    short = ["data.length=6", "data.size=2500", "model.hidden=32", "trainer.epochs=5", "optimizer.lr=0.01"]
    assert report(lab.train("experiment=adding", *short))["test"]["mse"] < 0.01


def test_a_recurrent_network_learns_the_parity_of_a_few_bits(lab: Lab) -> None:
    assert report(lab.train("model=rnn", "data=parity", "data.length=4", "data.size=4000"))["test"]["accuracy"] == 1.0
