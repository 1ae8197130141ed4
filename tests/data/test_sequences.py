"""The generated sequences against the rules they are drawn from."""

import math

import pytest
import torch

from dlcourse.data.sequences import Adding, Parity, Sine, WordOrder
from dlcourse.data.string_rewriting import Copy, Reverse, Sort
from dlcourse.errors import ConfigError
from dlcourse.tokens import END, PAD, SPECIAL, tokenizer_of
from lab import Lab, report

GENERATED = [Adding, Sine, Parity, Copy, Reverse, Sort]


def all_rows(source):
    tables = source.load()
    return torch.cat([tables.train_inputs, tables.test_inputs]), torch.cat([tables.train_targets, tables.test_targets])


@pytest.mark.parametrize("make", GENERATED)
def test_size_and_draw(make):
    tables, again, other = make(size=50).load(), make(size=50).load(), make(size=50, seed=1).load()
    assert (len(tables.train_inputs), len(tables.test_targets)) == (40, 10)
    assert torch.equal(tables.train_inputs, again.train_inputs) and torch.equal(tables.test_targets, again.test_targets)
    assert not torch.equal(tables.train_inputs, other.train_inputs)


@pytest.mark.parametrize("make", [*GENERATED, WordOrder])
def test_the_seed_of_the_run_leaves_the_test_set_alone(make):
    first, second = make(subset=40).build(name="toy", seed=0), make(subset=40).build(name="toy", seed=1)
    assert torch.equal(first.test.inputs, second.test.inputs)
    assert not torch.equal(first.train.inputs, second.train.inputs)
    assert (len(first.train), len(first.val)) == (36, 4)


@pytest.mark.parametrize("length", [2, 7, 100])
def test_adding_marks_a_number_in_each_half_and_asks_for_the_sum(length):
    inputs, targets = all_rows(Adding(length=length, size=1000))
    numbers, markers = inputs.unbind(2)
    assert inputs.shape == (1000, length, 2) and targets.shape == (1000, 1)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert set(markers.unique().tolist()) <= {0.0, 1.0}
    assert (markers[:, : length // 2].sum(1) == 1).all() and (markers[:, length // 2 :].sum(1) == 1).all()
    torch.testing.assert_close((numbers * markers).sum(1), targets[:, 0])
    assert (markers.sum(0) > 0).all()


def test_always_answering_1_to_adding_has_a_squared_error_of_a_sixth():
    _, targets = all_rows(Adding(length=2, size=200_000))
    assert ((targets - 1) ** 2).mean().item() == pytest.approx(1 / 6, rel=0.01)


def test_a_sine_goes_on_as_it_began():
    past, future = all_rows(Sine(waves=1, noise=0.0, size=200))
    assert past.shape == (200, 50, 1) and future.shape == (200, 10)
    series = torch.cat([past[..., 0], future], dim=1).double()
    before, now, after = series[:, :-2], series[:, 1:-1], series[:, 2:]
    cosine = ((before + after) * now).sum(1) / (2 * now**2).sum(1)  # x[t-1] + x[t+1] = 2 cos(w) x[t]
    torch.testing.assert_close(before + after, 2 * cosine[:, None] * now, atol=1e-4, rtol=0)
    periods = 2 * math.pi / torch.arccos(cosine)
    assert 9.99 < periods.min() < 11 and 39 < periods.max() < 40.01


def test_always_answering_0_to_sine_has_the_squared_error_of_its_docstring():
    past, future = all_rows(Sine(waves=3, noise=0.5, size=20_000, length=2))
    for values in (past, future):
        assert values.square().mean().item() == pytest.approx(3 / 2 + 0.5**2, rel=0.02)


def test_parity_is_the_sign_of_a_product():
    bits, classes = all_rows(Parity(length=5, size=2000))
    assert bits.shape == (2000, 5, 1) and bits.dtype == torch.float32
    assert torch.equal((1 - 2 * bits[..., 0]).prod(1) < 0, classes == 1)
    assert len(bits.unique(dim=0)) == 32
    assert Parity().load().class_names == ("even", "odd")


def test_word_order_names_who_acts_and_keeps_both_orders_together():
    data = WordOrder(subset=600).build(name="word_order", seed=0)
    words = tokenizer_of(data.spec)
    seen = []
    for split, size in ((data.train, 540), (data.val, 60), (data.test, 692)):
        sentences = [words.decode(tokens) for tokens in split.inputs.tolist()]
        acting = {
            sentence: data.spec.class_names[c] for sentence, c in zip(sentences, split.targets.tolist(), strict=True)
        }
        assert len(acting) == size
        for sentence, who in acting.items():
            first, verb, second = sentence.split()
            assert acting[f"{second} {verb} {first}"] != who
            if first in ("dog", "man"):
                assert who == {"dog": "animal", "man": "person"}[first]
        seen += acting
    assert len(set(seen)) == len(seen)


def test_an_odd_number_of_sentences_breaks_up_one_pair():
    data = WordOrder(subset=101, val_fraction=0.25).build(name="word_order", seed=0)
    assert (len(data.train), len(data.val)) == (76, 25)


REWRITTEN = {Copy: lambda symbols: symbols, Reverse: lambda symbols: symbols[::-1], Sort: sorted}


@pytest.mark.parametrize("make", REWRITTEN)
def test_strings_are_rewritten_and_filled_up(make):
    data = make(length=7, min_length=3, symbols=12, size=1000).build(name="toy", seed=0)
    vocabulary = data.spec.vocabulary
    assert vocabulary == (*SPECIAL, *"0123456789ab")
    assert data.spec.target == "sequence" and data.spec.output_length == 8 and data.spec.input_shape == (7,)
    assert data.spec.num_outputs == len(vocabulary)
    lengths, symbols = set(), set()
    for tokens, target in zip(data.train.inputs.tolist(), data.train.targets.tolist(), strict=True):
        length = sum(token != PAD for token in tokens)
        given = [vocabulary[token] for token in tokens[:length]]
        assert tokens[length:] == [PAD] * (7 - length)
        expected = [vocabulary.index(symbol) for symbol in REWRITTEN[make](given)]
        assert target == [*expected, END, *[PAD] * (7 - length)]
        lengths.add(length)
        symbols.update(given)
    assert lengths == {3, 4, 5, 6, 7} and symbols == set("0123456789ab")


def test_no_string_is_in_training_and_test_set_both():
    inputs, _ = all_rows(Sort(length=4, min_length=2, symbols=6, size=400))
    assert len(inputs.unique(dim=0)) == len(inputs) == 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": 11}, r"data.min_length=11 is more than data.length=10; use a smaller one"),
        ({"length": 5, "symbols": 2}, r"data.size=10000: .*5 to 5 of 2 symbols were found; use a smaller"),
    ],
)
def test_strings_that_cannot_be_drawn_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Copy(**options).load()


@pytest.mark.usefixtures("with_pictures")
def test_a_forecast_is_drawn_beside_what_came(lab: Lab):
    run = lab.train("model=gru", "data=sine", "data.size=100", "data.horizon=3", "model.hidden=8", "trainer.epochs=1")
    assert report(run)["test"]["mse"] > 0
    assert list(run.rglob("*forecast*.png")) and list(run.rglob("*predicted_vs_true*.png"))
