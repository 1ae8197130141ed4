"""The language task against closed forms, references in plain Python, and models whose answers are known."""

import math
import re
from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS
from dlcourse.data.text import TextSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError, UserError
from dlcourse.metrics.ngrams import NGrams, discount_for
from dlcourse.metrics.report import Report
from dlcourse.plots import LossByPosition, to_image
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.language import Language, generate
from dlcourse.tokens import learn_byte_pairs
from dlcourse.training.evaluate import evaluate
from lab import Lab, only, report

CONTEXT = 8
VOCABULARY = ("\n", "a", "b", "c")
SPEC = DataSpec("toy", (CONTEXT,), 4, "next", vocabulary=VOCABULARY, tokenizer="characters")


class Table(nn.Module):
    """Logits that depend on the last token alone; keeps the shapes it was asked with."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.shapes.append(tuple(tokens.shape))
        return self.logits[tokens]  # (B, T, V)


def random_table(size: int = 4) -> Table:
    return Table(torch.randn(size, size, generator=torch.Generator().manual_seed(0)))


def random_tokens(count: int, seed: int = 0, size: int = 4) -> Tensor:
    return torch.randint(0, size, (count,), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)


def build(model: nn.Module, spec: DataSpec = SPEC) -> Language:
    return TASKS.build(Choice("language"), model=model, spec=spec, device=cpu())


def toy_data(spec: DataSpec = SPEC) -> Data:
    return Data(spec, *(TextSplit(random_tokens(500, seed), CONTEXT) for seed in range(3)))


def test_uniform_predictions_cost_the_logarithm_of_the_vocabulary() -> None:
    found = evaluate(build(Table(torch.zeros(4, 4))), toy_data().val, 7).scalars
    assert found == pytest.approx({"loss": math.log(4), "bits_per_character": 2.0, "perplexity": 4.0})


@pytest.mark.parametrize("limit", [2**25, 100])
def test_the_loss_is_the_mean_over_all_tokens(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcourse.tasks.language._MAX_LOGITS", limit)
    model, split = random_table(), toy_data().test
    tokens = split.tokens.long()
    probabilities = model.logits.detach().double().softmax(1)
    steps = (len(tokens) - 1) // CONTEXT * CONTEXT
    nats = -probabilities[tokens[:steps], tokens[1 : steps + 1]].log()
    found = evaluate(build(model), split, 7, full=True)
    assert found.scalars["loss"] == pytest.approx(float(nats.mean()), rel=1e-6)
    assert found.details["loss_by_position"] == pytest.approx(nats.view(-1, CONTEXT).mean(0).tolist(), rel=1e-6)
    assert found.texts == {}


def test_the_training_loss_is_that_of_the_evaluation() -> None:
    task = build(random_table())
    (batch,) = toy_data().val.batches(1000)
    expected = evaluate(task, toy_data().val, 1000).scalars["loss"]
    assert float(task.losses(batch)["loss"].detach()) == pytest.approx(expected, rel=1e-6)


def test_bits_per_character_count_characters_not_byte_pairs() -> None:
    text = "die Straße ist naß\n" * 60
    serialized, symbols = learn_byte_pairs(text, 280)
    spec = DataSpec("pairs", (CONTEXT,), len(symbols), "next", vocabulary=symbols, tokenizer=serialized)
    task = build(Table(torch.zeros(len(symbols), len(symbols))), spec)
    line = task._tokenizer.encode("die Straße ist naß\n")
    tokens = torch.tensor(line * 8 * 8, dtype=torch.int32)  # a whole number of lines in the windows
    found = evaluate(task, TextSplit(torch.cat([tokens, tokens[:1]]), CONTEXT), 16).scalars
    bits = math.log2(len(symbols)) * len(line) / len("die Straße ist naß\n")
    assert len(line) < 10
    assert found["bits_per_character"] == pytest.approx(bits, rel=1e-6)
    assert found["perplexity"] == pytest.approx(len(symbols))


def batches(tokens: list[int]) -> list[Batch]:
    return [Batch(torch.tensor([tokens[:-1]]), torch.tensor([tokens[1:]]))]


def count(tokens: list[int], vocab_size: int) -> NGrams:
    return NGrams.fit(batches(tokens), vocab_size)


class KneserNey:
    """The textbook's recursion on dictionaries, a token at a time: what the fast one has to equal."""

    def __init__(self, tokens: list[int], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.seen = [Counter(zip(*(tokens[i:] for i in range(size)), strict=False)) for size in (1, 2, 3)]
        self.kinds = [Counter(ngram[1:] for ngram in longer) for longer in self.seen[1:]]
        self.after: dict[int, dict[tuple[int, ...], list[int]]] = {}
        for table in (*self.seen, *self.kinds):
            self.after[id(table)] = {}
            for ngram, number in table.items():
                self.after[id(table)].setdefault(ngram[:-1], []).append(number)

    def probability(self, context: tuple[int, ...], token: int, *, is_full: bool = True) -> float:
        table = self.seen[len(context)] if is_full else self.kinds[len(context)]
        shorter = self.probability(context[1:], token, is_full=False) if context else 1 / self.vocab_size
        counts = self.after[id(table)].get(context)
        if counts is None:
            return shorter
        numbers = list(table.values())
        once, twice = numbers.count(1), numbers.count(2)
        discount = once / (once + 2 * twice) if once and twice else 0.5
        kept = max(table[(*context, token)] - discount, 0.0)
        return (kept + discount * len(counts) * shorter) / sum(counts)

    def losses(self, text: list[int]) -> dict[str, float]:
        places = range(1, len(text))
        contexts = {
            "unigram": [() for _ in places],
            "bigram": [(text[place - 1],) for place in places],
            "trigram": [tuple(text[max(0, place - 2) : place]) for place in places],
        }
        remember = cache(self.probability)
        return {
            name: -math.fsum(math.log(remember(context, token)) for context, token in zip(found, text[1:], strict=True))
            / len(places)
            for name, found in contexts.items()
        }


SONG = "row row row your boat\ngently down the stream\nmerrily merrily merrily merrily\nlife is but a dream\n"


def letters(text: str, alphabet: str) -> list[int]:
    return [alphabet.index(letter) for letter in text]


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (SONG, "the boat is a dream\nof a zebra\n"),
        ("ab" * 40, "abba abc"),  # every count is the same: no discount can be estimated
        ("abcdefgh", "hgfa ab"),  # no n-gram comes twice
        ("ab", "ab"),  # no trigram at all
    ],
)
def test_baselines_equal_a_count_with_dictionaries(train: str, text: str) -> None:
    alphabet = "".join(sorted({*SONG, *train, *text}))
    seen, unseen = letters(train, alphabet), letters(text, alphabet)
    expected = KneserNey(seen, len(alphabet)).losses(unseen)
    assert count(seen, len(alphabet)).losses(batches(unseen)) == pytest.approx(expected, abs=1e-9)


def test_baselines_of_shakespeare_equal_a_count_with_dictionaries(real_data: Path) -> None:
    source = DATASETS.build(Choice("tinyshakespeare", {"root": str(real_data), "download": False, "context": 50}))
    try:
        data = source.build(name="tinyshakespeare", seed=0)
    except UserError:
        pytest.skip(f"no text/tinyshakespeare.txt in {real_data}")
    found = NGrams.fit(data.train.batches(1000), len(data.spec.vocabulary)).losses(data.val.batches(1000))
    train, val = (part.tokens[: (len(part.tokens) - 1) // 50 * 50 + 1].tolist() for part in (data.train, data.val))
    assert found == pytest.approx(KneserNey(train, len(data.spec.vocabulary)).losses(val), abs=1e-9)
    assert found["unigram"] > found["bigram"] > found["trigram"]


@pytest.mark.parametrize("train", [SONG, "ab" * 40, "abcdefgh", "ab"])
def test_probabilities_after_every_context_sum_to_one(train: str) -> None:
    alphabet = "".join(sorted({*train, "z"}))  # z is never seen
    size = len(alphabet)
    ngrams = count(letters(train, alphabet), size)
    for length in range(3):
        contexts = torch.tensor(list(product(range(size), repeat=length)), dtype=torch.int64)
        tokens = torch.arange(size).repeat(len(contexts))
        found = ngrams.probabilities(contexts.repeat_interleave(size, dim=0), tokens).view(-1, size)
        assert found.min() > 0
        torch.testing.assert_close(found.sum(1), torch.ones(len(found), dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_discount_is_a_half_where_it_cannot_be_estimated() -> None:
    assert discount_for(torch.tensor([1, 1, 1, 2, 5])) == 3 / 5
    assert discount_for(torch.tensor([2, 2])) == discount_for(torch.tensor([1, 3])) == 0.5


def test_baselines_approach_the_entropies_of_a_markov_chain() -> None:
    """A token is followed by itself with probability 0.9: the entropy of a token is ln 2, of a step H(0.9)."""
    stays = np.random.default_rng(0).random((2, 100_000)) < 0.9
    train, text = (np.cumsum(~row) % 2 for row in stays)
    found = count(train.tolist(), 2).losses(batches(text.tolist()))
    step = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert found == pytest.approx({"unigram": math.log(2), "bigram": step, "trigram": step}, abs=0.01)


def test_a_large_vocabulary_takes_no_table() -> None:
    found = count([0, 1, 0, 1], 50_000).losses(batches([49_999, 49_998]))  # which are never seen
    frees = {"unigram": 0.5 * 2 / 4, "bigram": 0.5}  # a half of each kind; of continuations, there is one of each
    expected = {name: math.log(50_000 / share) for name, share in frees.items()}
    assert found == pytest.approx(expected | {"trigram": expected["bigram"]})


def test_after_preparing_there_are_baselines_and_samples() -> None:
    task, data = build(random_table()), toy_data()
    (line,) = task.prepare(data)
    assert re.fullmatch(r"baselines \(validation\)   unigram 1.39, bigram 1.\d\d, trigram 1.\d\d nats", line)
    found = evaluate(task, data.val, 50)
    assert set(found.texts) == {"samples"}
    assert [line for line in found.texts["samples"].splitlines() if line.startswith("---")] == [
        f"--- temperature {temperature} ---" for temperature in (0.5, 0.8, 1.0)
    ]
    full = evaluate(task, data.test, 50, full=True)
    scalars = full.scalars
    assert full.headline == (
        f"{scalars['loss']:.2f} nats   {scalars['bits_per_character']:.2f} bits/character   "
        f"perplexity {scalars['perplexity']:.1f}"
    )
    assert full.details["baselines"] == NGrams.fit(data.train.batches(7), 4).losses(data.test.batches(9))
    assert len(full.texts["samples"]) > 2 * len(found.texts["samples"])
    assert isinstance(full.pictures["loss_by_position"], LossByPosition)


def test_a_report_says_when_the_model_loses_to_counting() -> None:
    text = torch.tensor([0, 1, 2, 3] * 100, dtype=torch.int32)
    data = Data(SPEC, *(TextSplit(text, CONTEXT) for _ in range(3)))
    ignorant, knowing = Table(torch.zeros(4, 4)), Table(100 * torch.eye(4).roll(1, 1))
    reports = {}
    for name, model in (("ignorant", ignorant), ("knowing", knowing)):
        task = build(model)
        task.prepare(data)
        reports[name] = evaluate(task, data.test, 50, full=True)
    baselines = reports["ignorant"].details["baselines"]
    assert reports["ignorant"].details["loses_to"] == ["bigram", "trigram"]
    shown = ", ".join(f"{name} {loss:.2f}" for name, loss in baselines.items())
    assert reports["ignorant"].highlights == [
        f"baselines: {shown} nats",
        f"the model loses to counting: {shown.partition(', ')[2]} nats against 1.39",
    ]
    assert reports["knowing"].details["loses_to"] == []
    assert reports["knowing"].highlights == [f"baselines: {shown} nats"]


def test_generation_without_warmth_takes_the_likeliest() -> None:
    model, prompt = random_table(), torch.tensor([[0], [2]])
    expected, best = prompt, model.logits.argmax(1)
    for _ in range(30):
        expected = torch.cat([expected, best[expected[:, -1:]]], dim=1)
    assert torch.equal(generate(model, prompt, 30, CONTEXT, temperature=0), expected)
    assert torch.equal(generate(model, prompt, 30, CONTEXT, temperature=1.5, top_k=1), expected)
    assert {shape[1] for shape in model.shapes} == set(range(1, CONTEXT + 1))


def test_generation_goes_on_from_what_it_has_written_however_long_that_is() -> None:
    counts_on = Table(torch.eye(4).roll(1, dims=1))  # after each token the next one is the likeliest
    written = generate(counts_on, torch.tensor([[1], [3]]), 3 * CONTEXT, CONTEXT, temperature=0)
    assert torch.equal(written, (torch.tensor([[1], [3]]) + torch.arange(3 * CONTEXT + 1)) % 4)


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (2.0, 3), (1.0, 99)])
def test_tokens_are_drawn_with_their_probabilities(temperature: float, top_k: int | None) -> None:
    torch.manual_seed(0)
    model = random_table()
    logits = model.logits[1].detach() / temperature
    if top_k == 3:
        logits[logits.argmin()] = -math.inf
    drawn = generate(model, torch.ones(40_000, 1, dtype=torch.int64), 1, CONTEXT, temperature, top_k)[:, 1]
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx(logits.softmax(0).tolist(), abs=0.015)


def test_each_row_has_its_own_temperature() -> None:
    torch.manual_seed(0)
    model, prompt = random_table(), torch.tensor([[1], [1]])
    found = generate(model, prompt, 60, CONTEXT, temperature=torch.tensor([[0.0], [5.0]]))
    assert torch.equal(found[:1], generate(model, prompt[:1], 60, CONTEXT, temperature=0.0))
    assert set(found[1].tolist()) == {0, 1, 2, 3}


def sampled(**wishes: object) -> Report:
    torch.manual_seed(0)
    with torch.no_grad():
        return build(random_table()).sample(SampleRequest(**wishes))


def test_a_sample_goes_on_from_the_prompt() -> None:
    text = sampled(prompt="abc", length=20).texts["samples"]
    assert text.startswith("abc")
    assert len(text) == 23
    assert text == sampled(prompt="abc", length=20).texts["samples"]
    assert sampled(length=20).texts["samples"].startswith("\n")
    cold = sampled(prompt="a", length=9, temperature=0.0, count=3).texts["samples"].split("\n\n")
    assert len(set(cold)) == 1


def test_what_a_sample_refuses() -> None:
    with pytest.raises(
        ConfigError, match=r"^--prompt: the training data have no 'z' \(character 3\), '\?' \(character 4\);"
    ):
        sampled(prompt="abz?")
    with pytest.raises(ConfigError, match="--label has no meaning for this run; it takes --prompt, --length"):
        sampled(label="cat")


def test_models_and_data_that_do_not_fit() -> None:
    with pytest.raises(
        ConfigError, match=r"^task 'language' needs outputs of shape \(8, 4\) .* shape \(4,\); write model"
    ):
        build(nn.Sequential(nn.Embedding(4, 1), nn.Flatten(), nn.Linear(8, 4)))
    with pytest.raises(ConfigError, match=r"^task 'language' needs text to continue, and data 'iris' has classes"):
        build(nn.Linear(4, 3), DataSpec("iris", (4,), 3, "class", ("a", "b", "c")))


def test_the_picture_shows_model_and_baselines() -> None:
    picture = LossByPosition(np.linspace(3, 2, CONTEXT), {"unigram": 2.9, "bigram": 2.5})
    figure = picture.draw()
    axes = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["model", "unigram: 2.90", "bigram: 2.50"]
    assert axes.lines[0].get_xdata().tolist() == list(range(1, CONTEXT + 1))
    assert to_image(picture).std() > 5


def test_a_whole_run_learns_the_text(lab: Lab, tmp_path: Path, drawn: list) -> None:
    """A text that repeats itself: far better than pairs, for a model that remembers."""
    (tmp_path / "song.txt").write_text("row row row your boat\n" * 400, encoding="utf-8")
    words = ["model=lstm", "data=text", "data.file=song.txt", "data.context=24", "trainer.epochs=3"]
    run = lab.train(*words, "data.windows=800", "trainer.batch_size=16", "optimizer.lr=0.01", "model.hidden=32")
    found = report(run)
    assert found["test"]["loss"] < found["baselines"]["bigram"] / 2
    assert "row row" in (run / "samples.txt").read_text()
    assert (run / "progress" / "samples_0001.txt").is_file()
    picture = only(LossByPosition, drawn)
    assert np.mean(picture.losses) == pytest.approx(found["test"]["loss"], rel=0.01)
    assert picture.losses[0] > 5 * picture.losses[-1], "with nothing read before, each letter is a guess"
    assert "ready  baselines (validation)   unigram" in lab.out
    assert "       baselines: unigram" in lab.out and "loses to counting" not in lab.out
    assert lab.train("model=mlp", "data=text", "data.file=song.txt", code=2) is None
