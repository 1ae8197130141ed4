"""Skip-gram against sums written out by hand, and vectors whose neighbors and analogies are known."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from dlcourse.config.registry import Choice
from dlcourse.data.grammar import CLASSES, Grammar
from dlcourse.data.text import TextSplit
from dlcourse.device import cpu
from dlcourse.errors import ConfigError
from dlcourse.metrics.word_vectors import complete, cosines, nearest, share_with_neighbor_of_class
from dlcourse.models import MODELS
from dlcourse.models.word_vectors import WordVectors
from dlcourse.plots import to_image
from dlcourse.plots.words import WordMap
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tasks import TASKS
from dlcourse.tasks.skip_gram import SkipGram, principal_components
from dlcourse.training.evaluate import evaluate
from lab import Lab, report

SPEC = DataSpec("toy", (4,), 5, "next", vocabulary=tuple("abcde"), tokenizer="words")
TEXT = torch.tensor([0, 1, 2, 0, 1, 3, 0, 4, 1, 0, 2, 1, 0], dtype=torch.int32)


def built(window: int = 2, negatives: int = 3) -> SkipGram:
    torch.manual_seed(0)
    model = MODELS.build(Choice("embedding", {"size": 3}), spec=SPEC)
    nn.init.normal_(model.get_parameter("contexts.weight"))
    options = {"window": window, "negatives": negatives}
    task = TASKS.build(Choice("skip_gram", options), model=model, spec=SPEC, device=cpu())
    assert isinstance(task, SkipGram)
    return task


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


def by_hand(task: SkipGram, rows: list[list[int]], noise: list[float], window: int, negatives: int) -> float:
    """The mean of equation 4 over all pairs, a pair and a word of the noise at a time."""
    vectors, contexts = task.model.vectors.weight.tolist(), task.model.contexts.weight.tolist()

    def score(center: int, other: int) -> float:
        return sum(a * b for a, b in zip(vectors[center], contexts[other], strict=True))

    losses = []
    for row in rows:
        for here, there in product(range(len(row)), repeat=2):
            if 0 < abs(here - there) <= window:
                drawn = sum(share * log_sigmoid(-score(row[here], word)) for word, share in enumerate(noise))
                losses.append(-log_sigmoid(score(row[here], row[there])) - negatives * drawn)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(("window", "negatives"), [(1, 1), (2, 3), (3, 5)])
def test_the_loss_is_that_of_the_paper_in_training_and_in_evaluation(window: int, negatives: int) -> None:
    task, split = built(window, negatives), TextSplit(TEXT, 4)
    task.prepare(Data(SPEC, split, split, split))
    counts = [TEXT[:12].tolist().count(word) ** 0.75 for word in range(5)]
    noise = [count / sum(counts) for count in counts]
    rows = [TEXT[start : start + 4].tolist() for start in (0, 4, 8)]
    expected = by_hand(task, rows, noise, window, negatives)
    assert evaluate(task, split, 2).scalars["loss"] == pytest.approx(expected, rel=1e-5)
    torch.manual_seed(0)
    batch = Batch(torch.tensor(rows * 3000), torch.tensor(rows * 3000))
    assert task.losses(batch)["loss"].item() == pytest.approx(expected, rel=0.01)


def test_a_model_starts_at_chance() -> None:
    task = TASKS.build(Choice("skip_gram"), model=WordVectors(DataSpec("t", (9,), 2, "next", vocabulary=("a", "b"))),
                       spec=DataSpec("t", (9,), 2, "next", vocabulary=("a", "b")), device=cpu())  # fmt: skip
    assert evaluate(task, TextSplit(TEXT % 2, 9), 2).scalars["loss"] == pytest.approx(6 * math.log(2))


def test_neighbors_and_analogies_of_known_vectors() -> None:
    vectors = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.3]])
    assert nearest(vectors, 1)[:, 0].tolist() == [1, 0, 3, 2, 2]
    assert share_with_neighbor_of_class(vectors, ["x", "x", "y", "y", ""]) == 1.0
    assert share_with_neighbor_of_class(vectors, ["x", "x", "y", "y", "z"]) == 0.8
    assert share_with_neighbor_of_class(vectors, ["x", "", "y", "y", ""]) == pytest.approx(2 / 3)
    assert cosines(vectors)[1, 2].item() == pytest.approx(0.0)
    people = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0], [0, 0, 1]])
    first, second, third, fourth = torch.tensor([[0, 1, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]]).T
    assert complete(people, first, second, third).tolist() == fourth.tolist()


def test_principal_components_keep_what_lies_in_a_plane() -> None:
    torch.manual_seed(0)
    plane = (torch.randn(30, 2) @ torch.randn(2, 7)).double()
    flat = principal_components(plane)
    torch.testing.assert_close(torch.cdist(flat, flat), torch.cdist(plane, plane), rtol=1e-3, atol=1e-3)
    assert principal_components(torch.randn(5, 1)).shape == (5, 2)


def test_the_map_has_a_color_for_each_class_and_a_name_for_each_word() -> None:
    picture = WordMap(torch.eye(3)[:, :2], ["cat", "dog", "the"], ["animal", "animal", ""])
    figure = picture.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["animal"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"cat", "dog", "the"}
    assert to_image(picture).std() > 5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^task 'skip_gram' learns two vectors for each word; write model=embedding$"
    ):
        TASKS.build(Choice("skip_gram"), model=nn.Embedding(5, 3), spec=SPEC, device=cpu())
    with pytest.raises(
        ConfigError, match=r"^task.window=4 reaches out of windows of data.context=4 tokens; write task."
    ):
        built(window=4)
    with pytest.raises(ConfigError, match=r"^model 'embedding' learns from running text, and data 'four' has classes"):
        WordVectors(DataSpec("four", (4,), 2, "class", ("a", "b"), vocabulary=tuple("ab")))


def test_a_whole_run_finds_the_classes_of_a_grammar(lab: Lab, drawn: list) -> None:
    words = ["data=grammar", "data.sentences=4000", "model=embedding", "optimizer.lr=0.02", "trainer.epochs=3"]
    run = lab.train(*words, "trainer.batch_size=32", "task.window=2")
    found = report(run)
    assert found["test"]["neighbors"] >= 0.9 and 0 < found["test"]["analogies"] <= 1
    (word_map,) = (picture for picture, _ in drawn if isinstance(picture, WordMap))
    assert set(word_map.classes) == set(CLASSES)
    rows = (run / "neighbors.csv").read_text().splitlines()
    assert len(rows) == 1 + len(Grammar(sentences=4000).build(name="grammar", seed=0).spec.vocabulary)
