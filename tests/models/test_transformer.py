"""The transformer: what each kind may see, the published counts, and attention against its formula."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcourse.config.registry import Choice
from dlcourse.errors import ConfigError
from dlcourse.models import MODELS
from dlcourse.models.attention import CrossAttention, Rotary, SelfAttention, record_attention
from dlcourse.models.summary import count_parameters
from dlcourse.models.transformer import transformer
from dlcourse.spec import DataSpec
from dlcourse.tokens import PAD, SPECIAL, START

SYMBOLS = tuple("abcdefghij")
TEXT = DataSpec("text", (12,), 10, "next", vocabulary=SYMBOLS, tokenizer="characters")
WORDS = DataSpec("words", (9,), 2, "class", ("no", "yes"), vocabulary=SPECIAL + SYMBOLS, tokenizer="words")
REVERSE = DataSpec("reverse", (9,), 13, "sequence", vocabulary=SPECIAL + SYMBOLS, tokenizer="words", output_length=10)
MNIST = DataSpec("mnist", (1, 28, 28), 10, "class", tuple("0123456789"))
COLOR = DataSpec("color", (3, 8, 12), 3, "class", ("a", "b", "c"))
SERIES = DataSpec("series", (20, 3), 2, "value")
POSITIONS = ["learned", "sinusoidal", "rotary"]


def build(spec: DataSpec, **options: object) -> nn.Module:
    """A model whose weights are large enough for differences to be seen."""
    torch.manual_seed(0)
    model = MODELS.build(Choice("transformer", options), spec=spec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def symbols(*shape: int) -> torch.Tensor:
    return torch.randint(len(SPECIAL), len(SPECIAL) + len(SYMBOLS), shape)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (TEXT, (12, 10)),
        (WORDS, (2,)),
        (REVERSE, (10, 13)),
        (MNIST, (10,)),
        (COLOR, (3,)),
        (SERIES, (2,)),
    ],
)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_kind_follows_from_the_data(spec, shape, positions, norm) -> None:
    model = build(spec, width=16, positions=positions, norm=norm, dropout=0.1)
    for training in (False, True):
        assert model.train(training)(spec.zeros(2)).isfinite().all()
    assert model(spec.zeros(2)).shape == (2, *shape)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_decoder_cannot_see_what_comes_later(positions) -> None:
    model = build(TEXT, positions=positions)
    tokens = torch.randint(0, 10, (3, 12))
    changed = tokens.clone()
    changed[:, 7] = (tokens[:, 7] + 1) % 10
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert ((before - after)[:, 7:].abs().amax(-1) > 1e-3).all()
    torch.testing.assert_close(model(tokens[:, :5]), before[:, :5])


def test_the_decoder_of_a_pair_sees_the_whole_source_and_its_own_past_only() -> None:
    model = build(REVERSE)
    source, previous = symbols(4, 9), symbols(4, 10)
    logits = model(source, previous)
    later = previous.clone()
    later[:, 6:] = START
    torch.testing.assert_close(model(source, later)[:, :6], logits[:, :6])
    assert not torch.allclose(model(source, later)[:, 6:], logits[:, 6:], atol=1e-3)
    other = source.clone()
    other[:, -1] = len(SPECIAL) + (source[:, -1] - len(SPECIAL) + 1) % len(SYMBOLS)
    assert ((model(other, previous) - logits).abs().amax(-1) > 1e-3).all()


def test_without_previous_tokens_a_decoder_starts_everywhere() -> None:
    model, source = build(REVERSE), symbols(2, 9)
    torch.testing.assert_close(model(source), model(source, torch.full((2, 10), START)))


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("spec", [WORDS, REVERSE])
def test_padding_changes_nothing(spec, positions) -> None:
    model, tokens = build(spec, positions=positions), symbols(3, 9)
    tokens[:, 6:] = PAD
    torch.testing.assert_close(model(tokens), model(tokens[:, :6]), rtol=1e-4, atol=1e-5)
    with_token = tokens.clone()
    with_token[:, 6] = len(SPECIAL)
    assert not torch.allclose(model(with_token), model(tokens), atol=1e-3)


@pytest.mark.parametrize("spec", [TEXT, WORDS, REVERSE])
def test_recorded_maps_are_the_attention_that_is_computed(spec) -> None:
    model, tokens = build(spec, heads=2), symbols(3, spec.input_shape[0]) % len(spec.vocabulary)
    if spec is not TEXT:
        tokens[:, 7:] = PAD
    fused = model(tokens)
    with record_attention(model) as maps:
        explicit = model(tokens)
    torch.testing.assert_close(explicit, fused, rtol=1e-4, atol=1e-5)
    stacks = {TEXT: 2, WORDS: 2, REVERSE: 6}
    assert len(maps) == stacks[spec]
    for weights in maps.values():
        assert weights.shape[:2] == (3, 2)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    if spec is TEXT:
        assert maps["decoder.blocks.0.attention"].triu(1).abs().max() == 0
    else:
        assert maps["encoder.blocks.1.attention"][..., 7:].abs().max() == 0
    model(tokens[:1])
    assert maps.popitem()[1].shape[0] == 3, "nothing is recorded outside"


def test_self_attention_equals_torch() -> None:
    torch.manual_seed(1)
    ours, reference = SelfAttention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(reference.in_proj_bias)
    ours.queries_keys_values.weight, ours.queries_keys_values.bias = reference.in_proj_weight, reference.in_proj_bias
    ours.output = reference.out_proj
    stream = torch.randn(2, 5, 16)
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    expected, weights = reference(stream, stream, stream, attn_mask=causal, average_attn_weights=False)
    torch.testing.assert_close(ours(stream, causal=True), expected)
    with record_attention(ours) as maps:
        ours(stream, causal=True)
    torch.testing.assert_close(maps[""], weights)


def test_rotary_products_depend_on_distance_alone() -> None:
    torch.manual_seed(2)
    rotary = Rotary(8, 40)
    query, key = torch.randn(2, 8)
    queries, keys = (rotary(vector.expand(1, 1, 40, 8))[0, 0] for vector in (query, key))
    products = queries @ keys.T  # (40, 40)
    for distance in (0, 1, 7):
        diagonal = products.diagonal(-distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(products[3, 3], query @ key)
    assert products.diagonal(-1)[0] - products.diagonal(-7)[0] != pytest.approx(0, abs=1e-2)


def test_patches_are_the_squares_of_the_image() -> None:
    model = build(COLOR, patch=4, width=8)
    assert model.steps is not None and model.steps.length == 6
    images = torch.randn(2, 3, 8, 12)
    seen = []
    model.steps.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(images)
    expected = functional.unfold(images, 4, stride=4).transpose(1, 2)  # (2, 6, 48), each patch by channel
    torch.testing.assert_close(seen[0], expected)


def test_without_patches_the_steps_are_the_rows() -> None:
    model = build(COLOR, width=8)
    images = torch.randn(2, 3, 8, 12)
    seen = []
    model.steps.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(images)
    torch.testing.assert_close(seen[0], images.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("width", [64, 128])
def test_the_first_loss_on_text_is_that_of_a_guess(width) -> None:
    symbols = tuple(map(chr, range(32, 97)))
    spec = DataSpec("text", (64,), 65, "next", vocabulary=symbols, tokenizer="characters")
    torch.manual_seed(0)
    tokens = torch.randint(0, 65, (8, 65))
    for tie in (True, False):
        logits = transformer(spec, width=width, tie=tie)(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        assert loss.item() == pytest.approx(math.log(65), abs=0.1)


def test_the_first_weights_are_those_of_gpt2() -> None:
    torch.manual_seed(0)
    model = transformer(TEXT, width=128, layers=8)
    block = model.decoder.blocks[3]
    assert block.attention.queries_keys_values.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert block.attention.output.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert block.feedforward[2].weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert block.feedforward[0].bias.abs().max() == 0


def test_a_tied_output_layer_has_no_weights_of_its_own() -> None:
    tied, own = transformer(TEXT, width=16), transformer(TEXT, width=16, tie=False)
    assert count_parameters(own) - count_parameters(tied) == 10 * 16


def test_post_norm_normalizes_after_each_addition_and_has_no_last_norm() -> None:
    spec = TEXT
    pre, post = transformer(spec, width=16), transformer(spec, width=16, norm="post")
    assert count_parameters(pre) - count_parameters(post) == 2 * 16
    stream = post.decoder(5 * torch.randn(2, 12, 16))
    torch.testing.assert_close(stream.mean(-1), torch.zeros(2, 12), rtol=0, atol=1e-5)
    torch.testing.assert_close(stream.std(-1, unbiased=False), torch.ones(2, 12), rtol=0, atol=1e-3)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_steps_of_numbers_start_as_large_as_their_positions(positions) -> None:
    torch.manual_seed(0)
    model = transformer(MNIST, positions=positions)
    places = model.encoder.positions(torch.arange(28))
    assert places.square().mean().sqrt().item() == pytest.approx(1, abs=0.1)
    assert model.steps(torch.randn(50, 1, 28, 28)).std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            DataSpec("iris", (4,), 3, "class", ("a", "b", "c")),
            {},
            r"model 'transformer' .*data 'iris'.*write model=mlp",
        ),
        (DataSpec("moons", (2,), 2, "class", ("a", "b")), {}, r"data 'moons' has shape \(2,\); write model=mlp"),
        (TEXT, {"width": 30, "heads": 4}, r"model\.width=30 cannot be shared among model\.heads=4; .*model\.width=32"),
        (
            TEXT,
            {"width": 20, "heads": 4, "positions": "rotary"},
            r"heads of an even size.*makes it 5; write model\.width=24",
        ),
        (COLOR, {"patch": 5}, r"model\.patch=5 does not divide the 8x12 images of data 'color'"),
        (TEXT, {"patch": 2}, r"model\.patch cuts images, and data 'text' has none .*write model\.patch=null"),
        (SERIES, {"patch": 2}, r"data 'series' has none"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(spec, options, message) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        build(spec, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_attention_drops_weights_while_training_and_none_in_evaluation(kind, recorded) -> None:
    torch.manual_seed(0)
    layer, stream = kind(16, 4, dropout=0.5), torch.randn(2, 9, 16)
    inputs = (stream, stream) if kind is CrossAttention else (stream,)
    with record_attention(layer) if recorded else nullcontext():
        assert torch.equal(layer.eval()(*inputs), layer(*inputs))
        assert not torch.allclose(layer.train()(*inputs), layer(*inputs))
