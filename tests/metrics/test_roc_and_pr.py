"""ROC and precision-recall curves and their areas: scikit-learn's, to the last digits, with ties and without support."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from dlcourse.metrics.ranking import Ranking, mean_precision_recall, mean_roc, one_against_rest, thinned

EXACT = {"rtol": 0, "atol": 1e-9}


def drawn(examples: int, levels: int | None, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Booleans, of which three in ten are true, and float32 scores that are a little higher for them; `levels` has ties."""
    generator = torch.Generator().manual_seed(seed)
    is_positive = torch.rand(examples, generator=generator) < 0.3
    scores = torch.rand(examples, generator=generator) * 0.8 + 0.2 * is_positive
    return is_positive, scores if levels is None else (scores * levels).round() / levels


@pytest.mark.parametrize("levels", [None, 200, 7, 1])
@pytest.mark.parametrize("examples", [2, 40, 3001])
def test_curves_and_areas_are_those_of_scikit_learn(examples: int, levels: int | None) -> None:
    is_positive, scores = drawn(examples, levels)
    is_positive[:2] = torch.tensor([True, False])
    found = Ranking.of(is_positive, scores)
    false, true, _ = metrics.roc_curve(is_positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(torch.stack(found.roc), [false, true], **EXACT)
    precision, recall, _ = metrics.precision_recall_curve(is_positive, scores)
    np.testing.assert_allclose(torch.stack(found.precision_recall), [recall[::-1], precision[::-1]], **EXACT)
    assert found.roc_auc == pytest.approx(metrics.roc_auc_score(is_positive, scores), abs=1e-9)
    assert found.average_precision == pytest.approx(metrics.average_precision_score(is_positive, scores), abs=1e-9)


def test_the_order_of_examples_with_one_score_does_not_matter() -> None:
    first = Ranking.of(torch.tensor([True, False, True]), torch.tensor([0.5, 0.5, 0.1]))
    second = Ranking.of(torch.tensor([False, True, True]), torch.tensor([0.5, 0.5, 0.1]))
    assert first.roc_auc == second.roc_auc == 0.25 and first.hits.tolist() == [1, 2]


def test_a_perfect_and_a_perverse_ranking() -> None:
    is_positive = torch.tensor([True, True, False])
    best, worst = (Ranking.of(is_positive, sign * torch.tensor([0.9, 0.8, 0.1])) for sign in (1, -1))
    assert (best.roc_auc, best.average_precision) == (1.0, 1.0)
    assert worst.roc_auc == 0.0 and worst.average_precision == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("truth", [True, False])
def test_nothing_is_ranked_if_all_are_alike(truth: bool) -> None:
    assert Ranking.of(torch.full((5,), truth), torch.rand(5)) is None


def some_classes(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    targets = torch.randint(0, classes, (400,), generator=generator)
    logits = torch.randn(400, classes, generator=generator)
    logits[torch.arange(400), targets] += 1
    return (logits * 4).round().div(4).softmax(1), targets  # with ties


@pytest.mark.parametrize("classes", [3, 12])
def test_each_class_against_the_rest_is_scikit_learns(classes: int) -> None:
    probabilities, targets = some_classes(classes)
    found = one_against_rest(probabilities, targets)
    exact = probabilities.double() / probabilities.double().sum(1, keepdim=True)
    expected = metrics.roc_auc_score(targets, exact, multi_class="ovr", average="macro")
    assert np.mean([ranking.roc_auc for ranking in found]) == pytest.approx(expected, abs=1e-4)  # of other roundings
    for index, ranking in enumerate(found):
        truth, scores = targets == index, probabilities[:, index]
        assert ranking.roc_auc == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-9)
        assert ranking.average_precision == pytest.approx(metrics.average_precision_score(truth, scores), abs=1e-9)


def test_of_two_classes_the_second_is_ranked_and_one_without_examples_is_not() -> None:
    probabilities, targets = some_classes(2)
    (only,) = one_against_rest(probabilities, targets)
    assert only.roc_auc == pytest.approx(metrics.roc_auc_score(targets, probabilities[:, 1]), abs=1e-9)
    probabilities, targets = some_classes(4)
    found = one_against_rest(probabilities, targets % 3)
    assert found[3] is None and None not in found[:3]


def test_the_mean_curves_have_the_mean_of_the_areas_under_them() -> None:
    rankings = one_against_rest(*some_classes(5))
    false, true = mean_roc(rankings)
    assert float(torch.trapezoid(true, false)) == pytest.approx(np.mean([each.roc_auc for each in rankings]), abs=2e-3)
    recall, precision = mean_precision_recall(rankings)
    expected = np.mean([each.average_precision for each in rankings])
    assert float(torch.trapezoid(precision, recall)) == pytest.approx(expected, abs=2e-3)
    for curve in ((false, true), (recall, precision)):
        assert (curve[0].diff() >= 0).all() and curve[0][0] == 0 and curve[0][-1] == 1
    assert (true[0], true[-1]) == (0, 1)


def test_the_mean_of_one_ranking_is_its_own_curve() -> None:
    ranking = Ranking.of(torch.tensor([True, False, True, False]), torch.tensor([0.9, 0.8, 0.7, 0.1]))
    false, true = mean_roc([ranking])
    assert np.allclose(true[1:], np.interp(false[1:], [0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1]))
    recall, precision = mean_precision_recall([ranking])
    assert torch.equal(precision[recall <= 0.5], torch.ones(501, dtype=torch.float64))
    assert torch.allclose(precision[recall > 0.5], torch.tensor(2 / 3, dtype=torch.float64))


def test_a_thinned_curve_keeps_its_ends_and_stays_close() -> None:
    false, true = Ranking.of(*drawn(20_000, None)).roc
    x, y = thinned((false, true))
    assert 500 < len(x) <= 2000 and (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert float((x.diff().abs() + y.diff().abs()).max()) < 2 * 2 / 1999  # twice the mean distance
    assert float(torch.trapezoid(y, x)) == pytest.approx(float(torch.trapezoid(true, false)), abs=1e-3)
    assert all(torch.equal(*pair) for pair in zip(thinned((false, true), 10**6), (false, true), strict=True))
