"""Sequence to sequence: what is counted, against greedy decoding token by token, and whole runs."""

import csv

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.models.transformer import transformer
from dlcourse.plots import AccuracyByLength, AttentionMap, to_image
from dlcourse.spec import Batch, DataSpec
from dlcourse.tasks.generative_task import SampleRequest
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tokens import END, PAD, SPECIAL, START
from lab import report

DIGITS = tuple("01234")
SPEC = DataSpec("copy", (6,), 8, "sequence", vocabulary=SPECIAL + DIGITS, tokenizer="words", output_length=7)
CPU = Device(torch.device("cpu"))


class Batches:
    """A split of these tensors."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, batch_size: int, *, epoch: int | None = None):
        for start in range(0, len(self), batch_size):
            yield Batch(self.inputs[start : start + batch_size], self.targets[start : start + batch_size])


class Copier(nn.Module):
    """Copies its input, but writes the digit after a `4` wrongly, and END where the padding starts.

    What it writes depends on the token before, so that one mistake brings others: after a 4, true or not, comes a 4.
    """

    def forward(self, inputs: Tensor, previous: Tensor | None = None) -> Tensor:
        if previous is None:
            previous = torch.full((len(inputs), 7), START)
        wanted = functional.pad(inputs, (0, 1))  # (B, 7)
        wanted = torch.where(wanted == PAD, END, wanted)
        four = len(SPECIAL) + 4
        wanted = torch.where(previous[:, : wanted.shape[1]] == four, four, wanted)
        return 10 * functional.one_hot(wanted, 8).float()


def task(model: nn.Module, spec: DataSpec = SPEC) -> SequenceToSequence:
    return SequenceToSequence(model.eval(), spec, CPU)


def rows(*texts: str, end: bool = False) -> Tensor:
    length = 7 if end else 6
    tokens = [[len(SPECIAL) + int(digit) for digit in text] + [END] * end for text in texts]
    return torch.tensor([row + [PAD] * (length - len(row)) for row in tokens])


def copying(*texts: str) -> Batches:
    return Batches(rows(*texts), rows(*texts, end=True))


def test_counts_are_of_whole_sequences_and_of_tokens() -> None:
    found = task(Copier()).evaluate(copying("012", "3210", "1401"), batch_size=2)
    assert found.scalars["accuracy"] == 2 / 3
    assert found.scalars["accuracy_tokens"] == (4 + 5 + 4) / 14
    wrong, right = -functional.log_softmax(torch.tensor([0.0] * 7 + [10.0]), 0)[[0, 7]]
    assert found.scalars["loss"] == pytest.approx((float(wrong) + 13 * float(right)) / 14)


def test_greedy_decoding_feeds_the_model_its_own_tokens() -> None:
    outputs = task(Copier()).greedy(rows("012", "1401"))
    four = len(SPECIAL) + 4
    assert outputs[0].tolist() == rows("012", end=True)[0].tolist()
    assert outputs[1].tolist() == [len(SPECIAL) + 1, four, four, four, four, four, four]


def test_the_whole_sequences_counted_are_those_that_greedy_decoding_gets_right() -> None:
    torch.manual_seed(0)
    texts = ["".join(map(str, torch.randint(0, 3, (int(size),)).tolist())) for size in torch.randint(1, 4, (100,))]
    split = copying(*texts)
    model = transformer(SPEC, width=16, layers=1, heads=2)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    measured = task(model)
    for _ in range(30):
        loss = measured.losses(Batch(split.inputs, split.targets))["loss"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    with torch.no_grad():
        found = measured.evaluate(split, 128)
        decoded = measured.greedy(split.inputs)
    share = (decoded == split.targets).all(1).float().mean().item()
    assert 0 < share < 1, "some are right and some are wrong, or this test shows nothing"
    assert found.scalars["accuracy"] == pytest.approx(share)


def test_padding_in_the_targets_weighs_nothing() -> None:
    torch.manual_seed(0)
    model = task(transformer(SPEC, width=16))
    short = Batch(rows("01"), rows("01", end=True))
    logits = model.model(short.inputs, torch.tensor([[START, *short.targets[0, :-1].tolist()]]))
    expected = functional.cross_entropy(logits[0, :3], short.targets[0, :3])
    torch.testing.assert_close(model.losses(short)["loss"], expected)
    assert model.evaluate(Batches(*short), 5).scalars["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_full_report_has_lengths_examples_and_the_attention_of_the_last_layer() -> None:
    torch.manual_seed(0)
    split = copying("012", "3210", "21", "31")
    found = task(transformer(SPEC, width=16, heads=2)).evaluate(split, 3, full=True)
    assert [row[0] for row in found.tables["accuracy_by_length"]] == ["length", 2, 3, 4]
    assert [row[2] for row in found.tables["accuracy_by_length"]][1:] == [2, 1, 1]
    picture = found.pictures["attention"]
    assert isinstance(picture, AttentionMap)
    assert list(picture.column_labels) == list("3210"), "the longest input of the first batch"
    weights = np.asarray(picture.weights)
    assert weights.shape == (len(picture.row_labels), 4)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    copied = task(Copier()).evaluate(copying("012", "1401"), 5, full=True)
    assert "attention" not in copied.pictures
    assert copied.highlights[0] == "0 1 2 -> 0 1 2   right"
    assert copied.highlights[1] == "1 4 0 1 -> 1 4 4 4 4 4 4   wrong: 1 4 0 1"
    assert copied.details["accuracy_by_length"] == {"3": 1.0, "4": 0.0}


def test_a_prompt_is_decoded() -> None:
    found = task(Copier()).sample(SampleRequest(prompt="3 0 1"))
    assert found.texts == {"sample": "3 0 1 -> 3 0 1"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SampleRequest(), r"--prompt is missing: the input sequence, such as --prompt '0 1 2'"),
        (SampleRequest(prompt="0 1 2 3 4 0 1"), r"--prompt has 7 tokens, and the model reads at most 6"),
        (SampleRequest(prompt="0 x"), r"^--prompt: the training data have no 'x' \(symbol 2\); put a blank"),
        (SampleRequest(prompt="0 <pad> 1"), r"added by the program"),
        (SampleRequest(prompt="0", temperature=1.0), r"--temperature has no meaning for this run; it takes --prompt"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused(request_, message) -> None:
    with pytest.raises(ConfigError, match=message):
        task(Copier()).sample(request_)


def test_other_targets_and_other_models_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data 'iris' has classes for targets; write task=classification"):
        task(Copier(), DataSpec("iris", (4,), 3, "class", ("a", "b", "c")))
    with pytest.raises(ConfigError, match=r"needs outputs of shape \(7, 8\) for data 'copy'.*write model=transformer"):
        task(nn.Embedding(8, 3))


def test_the_pictures_draw() -> None:
    attention = AttentionMap(np.eye(3), ["a", "b", "<end>"], ["a", "b", "c"], "Attention")
    figure = attention.draw()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b", "<end>"]
    assert figure.axes[0].images[0].get_array().tolist() == np.eye(3).tolist()
    lengths = AccuracyByLength([2, 3, 5], [1, 2, 0], [2, 2, 4])
    assert [bar.get_height() for bar in lengths.draw().axes[0].patches] == [0.5, 1.0, 0.0]
    assert to_image(attention).ndim == to_image(lengths).ndim == 3


@pytest.mark.usefixtures("with_pictures")
def test_a_whole_run_leaves_its_pictures_and_table(lab) -> None:
    run = lab.train(
        *("model=transformer", "data=reverse", "data.size=200", "data.length=4", "data.min_length=2"),
        *("model.width=16", "model.layers=1", "trainer.epochs=1", "trainer.batch_size=32"),
    )
    assert "name: seq2seq" in (run / "config.yaml").read_text()
    test = report(run)["test"]
    assert set(test) == {"loss", "accuracy", "accuracy_tokens"}
    assert (run / "attention.png").exists() and (run / "accuracy_by_length.png").exists()
    with (run / "accuracy_by_length.csv").open() as lines:
        table = list(csv.DictReader(lines))
    assert sum(int(row["examples"]) for row in table) == 40
