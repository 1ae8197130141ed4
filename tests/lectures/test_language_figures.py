"""The figures of sequences and language: their computations against closed forms, and drawings of runs of a moment."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import linregress, t

from dlcourse.config.registry import Choice
from dlcourse.data.in_context import InContext, best_accuracy
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.gpt_sizes import SIZES
from dlcourse.lectures.embeddings import embeddings
from dlcourse.lectures.gpt import PowerLaw, few_shot, pretraining, scaling
from dlcourse.lectures.memory import gates, gradient_through_time, let_into_cell
from dlcourse.lectures.next_words import anti_diagonal, next_word, reverse
from dlcourse.lectures.rlhf import rlhf
from dlcourse.models import MODELS
from dlcourse.models.recurrent import Recurrent
from dlcourse.plots import LineChart, LineCharts, to_image
from dlcourse.plots.excerpts import Excerpts
from dlcourse.spec import DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tokens import END, PAD, SPECIAL
from short_runs import finished


def test_a_power_law_is_the_line_through_the_logarithms() -> None:
    x, y = [1e3, 5e3, 2e4, 9e4, 1e6], [3.0, 2.4, 2.2, 1.7, 1.5]
    law = PowerLaw.fit(x, y)
    found = linregress([math.log(value) for value in x], [math.log(value) for value in y])
    half = t.ppf(0.975, 3) * found.stderr
    assert (law.exponent, law.low, law.high) == pytest.approx((-found.slope, -found.slope - half, -found.slope + half))
    assert law(2e4) == pytest.approx(math.exp(found.intercept + found.slope * math.log(2e4)))
    exact = PowerLaw.fit([1, 10, 100], [2, 2 * 10**-0.3, 2 * 100**-0.3])
    assert (exact.low, exact.high) == pytest.approx((0.3, 0.3))


def test_the_best_accuracy_is_that_of_bayes_rule_over_all_prompts() -> None:
    source = InContext(letters=2, words=2, tasks=3, seed=1)
    dialects = source.dialects()  # (3, 2)
    prompts = [
        [token for letter in letters for token in (letter, int(dialects[task, letter]))]
        for task in range(3)
        for letters in itertools.product(range(2), repeat=3)
    ]
    expected = []
    for shots in range(3):
        right = 0.0
        groups: dict[tuple[int, ...], list[int]] = {}
        for prompt in prompts:
            groups.setdefault(tuple(prompt[: 2 * shots + 1]), []).append(prompt[2 * shots + 1])
        for answers in groups.values():
            right += max(answers.count(answer) for answer in answers)
        expected.append(right / len(prompts))
    assert best_accuracy(dialects, torch.tensor(prompts)).tolist() == pytest.approx(expected)


def test_prompts_are_in_one_dialect_each() -> None:
    source = InContext(size=50)
    data = source.build(name="in_context", seed=0)
    (batch,) = data.train.batches(50)
    assert batch.inputs.shape == (50, 18) and torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    said = source.dialects()[:, batch.inputs[:, 0::2]] == batch.inputs[:, 1::2]  # (tasks, N, pairs)
    assert said.all(2).any(0).all()
    assert data.spec.vocabulary[int(batch.inputs[0, 1])].startswith(data.spec.vocabulary[int(batch.inputs[0, 0])])


def test_the_gradient_through_time_is_the_product_of_the_derivatives() -> None:
    torch.manual_seed(0)
    spec = DataSpec("numbers", (9, 1), 1, "value")
    model = MODELS.build(Choice("rnn", {"hidden": 1}), spec=spec)
    assert isinstance(model, Recurrent)
    inputs = torch.randn(3, 9, 1)
    states, _ = model.recurrent(inputs)  # (3, 9, 1)
    weight, head = model.recurrent.weight_hh_l0.item(), model.head.weight.item()
    slopes = (1 - states[:, :, 0] ** 2) * weight  # of a state with respect to the one before
    expected = [abs(head) * slopes[:, step + 1 :].prod(1).abs().mean().item() for step in range(9)]
    assert gradient_through_time(model, inputs).tolist() == pytest.approx(expected, rel=1e-4)


def test_what_a_cell_lets_in_is_what_it_holds_after_the_first_step() -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(2, 5, batch_first=True)
    inputs = torch.randn(3, 4, 2)
    found = let_into_cell(lstm, inputs)
    _, (_, cell) = lstm(inputs[:, :1])
    torch.testing.assert_close(found[:, 0], cell[0].abs().mean(1))
    assert found.shape == (3, 4)


def test_a_decoder_that_has_learned_nothing_looks_everywhere() -> None:
    torch.manual_seed(0)
    vocabulary = (*SPECIAL, *"abcdef")
    spec = DataSpec("r", (5,), 9, "sequence", vocabulary=vocabulary, tokenizer="words", output_length=6)
    model = MODELS.build(Choice("transformer", {"width": 8, "heads": 2, "layers": 1}), spec=spec)
    task = TASKS.build(Choice("seq2seq"), model=model, spec=spec, device=cpu())
    assert isinstance(task, SequenceToSequence)
    inputs = torch.randint(3, 9, (40, 5))
    inputs[:20, 4] = PAD
    targets = torch.full((40, 6), PAD)
    targets[:20, :4], targets[20:, :5] = inputs[:20, :4].flip(1), inputs[20:].flip(1)
    targets[:20, 4], targets[20:, 5] = END, END
    share, strongest = anti_diagonal(task, inputs, targets)
    assert share == pytest.approx(40 / 180, abs=0.01)  # 4 tokens at 1/4 and 5 tokens at 1/5, twenty times each
    assert strongest < 0.6


def test_texts_beside_each_other_have_room() -> None:
    figure = Excerpts({"before": ["to be", "or not"], "after": ["x" * 90]}, "What it writes").draw()
    shown = [axes.texts[0].get_text() for axes in figure.axes]
    assert shown == ["to be\nor not", "x" * 59 + "…"]
    assert to_image(Excerpts({"one": ["a"]})).std() > 1


def test_figures_of_words(tmp_path: Path) -> None:
    shared = "data=grammar data.sentences=400 trainer.epochs=1"
    writer = finished(tmp_path / "lstm", f"{shared} model=lstm model.hidden=8")
    report = next_word([writer])
    assert 1 <= report.scalars["rank"] <= 95 and list(report.pictures) == ["next_word"]
    assert report.scalars["probability by trigrams"] == pytest.approx(1 / 12, abs=0.06)
    with pytest.raises(ConfigError, match=r"^lecture.word: the training text has no 'matt'; write one of its words$"):
        next_word([writer], word="matt")
    with pytest.raises(
        ConfigError, match=r"^lecture.runs: the figure needs a run of model=embedding data=grammar, got"
    ):
        embeddings([writer])
    vectors = finished(tmp_path / "vectors", f"{shared} model=embedding model.size=8")
    report = embeddings([vectors])
    assert set(report.pictures) == {"map", "one_class"}
    assert report.scalars["neighbors of the same class by chance"] == pytest.approx(0.09, abs=0.03)
    assert {text.get_text() for text in report.pictures["one_class"].draw().axes[0].texts} >= {"king", "queen"}
    with pytest.raises(ConfigError, match=r"^lecture.analogy must be four words of the text such as"):
        embeddings([vectors], analogy="man king woman")


def test_figures_of_prompts_and_of_turned_sequences(tmp_path: Path) -> None:
    small = "model=transformer model.width=8 model.heads=2 model.layers=1 trainer.epochs=1"
    prompts = finished(tmp_path / "prompts", f"data=in_context data.size=60 {small}")
    report = few_shot([prompts])
    assert report.scalars["rise"] < 0.3, "nothing is learnt in one epoch of 60 prompts"
    chart = report.pictures["few_shot"]
    assert isinstance(chart, LineChart)
    (_, found), (_, best) = chart.lines.values()
    assert np.shape(found) == np.shape(best) == (9,)
    turned = finished(tmp_path / "turned", f"data=reverse data.size=200 {small}")
    report = reverse([turned])
    assert report.scalars["outputs that look there most"] < 0.9 and "attention" in report.pictures
    with pytest.raises(
        ConfigError, match=r"^lecture.runs: the figure needs a run of data=in_context, got data 'reverse'$"
    ):
        few_shot([turned])


def test_gates_need_recurrent_networks_and_draw_them(tmp_path: Path) -> None:
    words = "data=adding data.size=60 model.hidden=4 trainer.epochs=1"
    runs = [
        finished(tmp_path / f"{cell}{length}", f"{words} model={cell} data.length={length}")
        for cell in ("rnn", "lstm")
        for length in (5, 8)
    ]
    report = gates(runs)
    assert report.scalars["rnn 8 steps"] == runs[1].numbers()["test/mse"]
    charts = report.pictures["gates"]
    assert isinstance(charts, LineCharts)
    errors, gradients, gate = charts.charts
    assert len(gate.at_x) == 2 and report.scalars["let in at marked steps, over others"] > 0
    with pytest.raises(ConfigError, match="got none of lstm"):
        gates(runs[:2])
    assert errors.lines["lstm"][0] == [5.0, 8.0] and gradients.lines["rnn"][0] == list(range(1, 9))
    assert np.asarray(gradients.lines["lstm"][1])[-1] == 1.0


@pytest.mark.slow
def test_scaling_and_pretraining_read_their_runs(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("to be or not to be, that is the question\n" * 60)
    words = f"data=text data.file={tmp_path / 'own.txt'} data.context=8 model=transformer model.heads=2 model.layers=1"
    runs = [
        finished(
            tmp_path / f"{width}-{windows}", f"{words} model.width={width} data.windows={windows} trainer.epochs=1"
        )
        for width in (4, 8, 16)
        for windows in (10, 20, 40)
    ]
    report = scaling(runs)
    assert report.scalars["parameters of GPT-3"] == SIZES["gpt3"].parameters
    rows = report.tables["runs"][1:]
    assert [row[0] for row in rows[::3]] == [12 * width**2 + 13 * width + 2 * width for width in (4, 8, 16)]
    assert [row[1] for row in rows[:3]] == [80, 160, 320]
    with pytest.raises(ConfigError, match=r"^lecture.runs: the figure needs three or more sizes .* got 2 and 3$"):
        scaling(runs[:6])
    small = "model=transformer model.width=8 model.heads=2 model.layers=1"
    parts = "data.windows=20 data.val_fraction=0.001 data.test_fraction=0.001 trainer.epochs=1"
    pydoc = finished(tmp_path / "pydoc", f"data=pydoc data.context=8 {parts} {small}")
    tuned = finished(
        tmp_path / "tuned", f"{words} model.width=8 init_from={pydoc.folder} init_skip=[embedding.*] trainer.epochs=2"
    )
    scratch = finished(tmp_path / "scratch", f"{words} model.width=8 trainer.epochs=2")
    report = pretraining([pydoc, tuned, scratch])
    assert report.scalars["gain at the end"] == pytest.approx(
        report.scalars["from scratch"] - report.scalars["pretrained"], abs=0.2
    )
    assert set(report.pictures) == {"pretraining", "samples"}
    with pytest.raises(
        ConfigError, match=r"^lecture.runs: the figure needs a run of data=pydoc, one with init_from and one"
    ):
        pretraining([pydoc, tuned])
    with pytest.raises(
        ConfigError, match=r"^lecture.runs: the figure needs one run of task=preference and two of task=rlhf"
    ):
        rlhf([tuned, scratch])
