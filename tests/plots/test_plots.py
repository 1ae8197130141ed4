import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import r2_score

from dlcourse.plots import (
    AccuracyByLength,
    AttentionMap,
    Captioned,
    ConfusionMatrix,
    DecisionBoundary,
    FittedCurve,
    Forecast,
    ImageGrid,
    ImageSheet,
    KLPerDimension,
    LatentScatter,
    LearningCurve,
    LossByPosition,
    Picture,
    PointStrip,
    PredictedVsTrue,
    SampledPoints,
    WeightImages,
    save_png,
    to_image,
)

COUNTS = np.array([[90, 8, 2], [0, 50, 0], [0, 0, 0]])
GRID_X, GRID_Y = np.linspace(-2, 2, 41), np.linspace(-1, 1, 21)


def boundary(**changes) -> DecisionBoundary:
    """Two classes parted at x = 0.5, the class above 0.5 surer with distance."""
    share = np.tile(1 / (1 + np.exp(-4 * (GRID_X - 0.5))), (len(GRID_Y), 1))
    fields = {
        "points": np.array([[-1.0, 0.0], [1.0, 0.5], [1.5, -0.5]]),
        "labels": np.array([0, 1, 1]),
        "grid_x": GRID_X,
        "grid_y": GRID_Y,
        "probabilities": np.stack([1 - share, share], axis=-1),
        "class_names": ["left", "right"],
    }
    return DecisionBoundary(**{**fields, **changes})


PICTURES = {
    "confusion": ConfusionMatrix(COUNTS, ["cat", "dog", "bird"]),
    "images": ImageGrid(np.full((3, 1, 4, 6), 0.5), ["4 as 9\n98 %"] * 3, "Mistakes"),
    "no images": ImageGrid(np.empty((0, 3, 4, 4)), title="Mistakes"),
    "values": PredictedVsTrue(np.arange(5.0), np.arange(5.0) + 0.1, "price ($)"),
    "boundary": boundary(),
    "curve": FittedCurve(np.arange(5.0), np.arange(5.0) ** 2, np.linspace(0, 4, 50), np.linspace(0, 4, 50) ** 2),
    "learning": LearningCurve([1, 2], {"train/loss": [0.4, 0.3], "val/accuracy": [0.9, 0.95]}, 2, "best"),
    "positions": LossByPosition([4.0, 3.0, 2.5], {"unigrams": 3.3, "bigrams": 2.5, "trigrams": 2.2}),
    "length": AccuracyByLength([1, 2], [3, 4], [4, 5]),
    "attention": AttentionMap(np.eye(3), "abc", "xyz"),
    "forecast": Forecast(np.ones((2, 3)), np.ones((2, 2)), np.zeros((2, 2))),
    "strip": PointStrip([np.eye(2), 3 * np.eye(2)], ["t = 0", "t = 9"], "From data to noise"),
    "samples": SampledPoints(np.eye(2), 9 * np.eye(2)),
    "codes": LatentScatter(np.eye(2), [0, 1], ["cat", "dog"]),
    "sheet": ImageSheet(np.full((2, 3, 1, 4, 4), 0.5), "Reconstructions", ["original", "reconstruction"]),
    "kl": KLPerDimension([2.0, 0.0], [True, False]),
    "weights": WeightImages(np.linspace(-1, 2, 32).reshape(2, 1, 4, 4), ["0", "1"]),
}


def test_pictures_depend_on_no_variable_of_matplotlib(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\x00 no text")
    code = (
        "import os, sys; from dlcourse.plots import ConfusionMatrix, to_image\n"
        "sys.stdout.buffer.write(to_image(ConfusionMatrix([[3, 1], [0, 2]], ['cat', 'dog'])))\n"
        "assert os.environ['MPLBACKEND'] == 'foo'"
    )
    drawn = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MPLBACKEND": "foo", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")},
        capture_output=True,
        check=False,
    )
    assert (drawn.returncode, drawn.stderr) == (0, b"")
    assert drawn.stdout == to_image(ConfusionMatrix([[3, 1], [0, 2]], ["cat", "dog"])).tobytes()


def cell_texts(axes) -> list[list[str]]:
    grid = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    side = round(len(grid) ** 0.5)
    return [[grid[row, column] for column in range(side)] for row in range(side)]


def tick_names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def luminance(color) -> float:
    """Relative luminance of an sRGB color, after WCAG 2."""
    color = np.array(color)
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@dataclass
class Kept:
    """A picture whose figure can be looked at after it was turned into pixels."""

    picture: Picture
    figure: Figure | None = None

    def draw(self) -> Figure:
        self.figure = self.picture.draw()
        return self.figure


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_turns_into_pixels_with_its_caption_and_no_text_cut_off_or_written_over(name):
    kept = Kept(PICTURES[name])
    image = to_image(Captioned(kept, "transformer on tinyshakespeare, validation set, epoch 12"))
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.min() < 100 and image.max() == 255
    tight = kept.figure.get_tightbbox(kept.figure.canvas.get_renderer())  # inches
    width, height = kept.figure.get_size_inches()
    assert tight.x0 >= 0 and tight.y0 >= 0 and tight.x1 <= width and tight.y1 <= height
    (caption,) = (text for text in kept.figure.texts if text.get_text().startswith("transformer on"))
    others = [*kept.figure.axes, *kept.figure.legends]
    bottom = min(part.get_tightbbox(kept.figure.canvas.get_renderer()).y0 for part in others)
    assert caption.get_window_extent().y1 <= bottom


def test_a_saved_png_holds_the_same_pixels_and_nothing_else_is_left(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    save_png(image, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as png:
        assert png.format == "PNG" and np.array_equal(np.asarray(png), image)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_a_png_that_cannot_be_put_in_place_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def refuse(source, target):
        assert source.parent == path.parent and source.read_bytes().endswith(b"IEND\xaeB`\x82")
        raise OSError("disk is full")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="disk is full"):
        save_png(np.zeros((2, 2, 3), np.uint8), path)
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["picture.png"]


def test_counts_that_do_not_fit_the_class_names_are_our_mistake():
    with pytest.raises(AssertionError, match="2 classes"):
        ConfusionMatrix(COUNTS, ["a", "b"]).draw()


def test_importing_loads_no_heavy_module_and_drawing_never_loads_pyplot():
    program = """\
import sys
from dlcourse import plots
print([name for name in ("matplotlib", "torch", "PIL") if name in sys.modules])
plots.to_image(plots.ConfusionMatrix([[1, 0], [0, 1]], ["a", "b"]))
print([name for name in ("matplotlib.pyplot", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_names_in_any_script_or_with_dollars_draw_without_a_warning():
    names = ["犬 $x$ $", "_\u0e01\U0001f600"]
    kept = Kept(boundary(class_names=names, feature_names=("長さ", "$\\frac$")))
    to_image(kept)
    assert [text.get_text() for text in kept.figure.legends[0].get_texts()] == names


def test_warnings_other_than_missing_glyphs_are_not_hidden():
    class Noisy:
        def draw(self) -> Figure:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return Figure((1, 1))

    with pytest.warns(UserWarning, match="something else"):
        to_image(Noisy())


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    PICTURES["learning"].draw()
    assert dict(matplotlib.rcParams) == before


def test_confusion_matrix_writes_each_count_in_its_cell():
    axes, *_ = PICTURES["confusion"].draw().axes
    assert cell_texts(axes) == [["90", "8", "2"], ["0", "50", "0"], ["0", "0", "0"]]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert tick_names(axes.yaxis) == tick_names(axes.xaxis) == ["cat", "dog", "bird"]
    assert axes.get_title(loc="left") == "Accuracy 93.33 %: 140 of 150 examples"


def test_confusion_matrix_colors_by_share_of_the_row_and_gives_the_recall():
    axes, *_ = PICTURES["confusion"].draw().axes
    (image,) = axes.images
    assert np.allclose(image.get_array(), [[0.9, 0.08, 0.02], [0, 1, 0], [0, 0, 0]])
    (right,) = axes.child_axes
    assert tick_names(right.yaxis) == ["90.0 %", "100.0 %", "undefined"]


def test_confusion_matrix_shows_small_errors_and_every_count_stands_out():
    num_classes = 20
    counts = np.zeros((num_classes, num_classes), dtype=int)
    for row, right in enumerate(np.linspace(499, 990, num_classes, dtype=int)):  # with the rest, shares from 1 to 99 %
        counts[row, row], counts[row, row - 1] = right, 1000 - right
    axes, *_ = ConfusionMatrix(counts, [f"{index}" for index in range(num_classes)]).draw().axes
    (image,) = axes.images
    cells = image.to_rgba(image.get_array())
    written = [text for text in axes.texts if text.get_text() != "0"]  # zeros are quiet on purpose
    assert len(written) == 2 * num_classes
    for text in written:
        column, row = text.get_position()
        bright, dark = sorted([luminance(cells[row, column, :3]), luminance(to_rgb(text.get_color()))], reverse=True)
        assert (bright + 0.05) / (dark + 0.05) > 4.5, f"WCAG contrast of {text.get_text()} of 1000"
    zero, one_percent = (image.to_rgba(share)[:3] for share in (0.0, 0.01))
    assert np.abs(np.subtract(zero, one_percent)).max() > 0.05


def test_confusion_matrix_of_many_classes_has_colors_only_and_thinned_names():
    counts = np.eye(100, dtype=int) * 7
    figure = ConfusionMatrix(counts, [f"class {index}" for index in range(100)]).draw()
    axes = figure.axes[0]
    assert len(axes.texts) == 0
    assert tick_names(axes.yaxis)[:3] == ["class 0", "class 3", "class 6"]
    assert max(figure.get_size_inches() * figure.dpi) < 2000


def test_ten_classes_make_a_picture_of_about_1000_by_900_pixels():
    figure = ConfusionMatrix(np.eye(10, dtype=int), [f"class {i}" for i in range(10)]).draw()
    width, height = figure.get_size_inches() * figure.dpi
    assert 900 <= width <= 1150 and 800 <= height <= 950


def test_image_grid_shows_every_image_over_its_caption():
    gray = torch.rand(7, 1, 4, 6)
    (axes,) = ImageGrid(gray, [f"{n} as 9" for n in range(7)], "Mistakes", columns=3).draw().axes
    assert len(axes.images) == 7
    for image, expected, caption in zip(axes.images, gray, axes.texts, strict=True):
        assert np.array_equal(image.get_array(), expected[0])
        assert image.get_clim() == (0, 1) and image.get_interpolation() == "nearest"
        left, right, bottom, _ = image.get_extent()
        assert (right - left) / abs(image.get_extent()[3] - bottom) == pytest.approx(6 / 4)
        assert left < caption.get_position()[0] < right
        assert caption.get_position()[1] > bottom  # y grows downwards
    assert [caption.get_text() for caption in axes.texts] == [f"{n} as 9" for n in range(7)]
    assert sorted({image.get_extent()[0] for image in axes.images}) == pytest.approx([0, 1.06, 2.12])


def test_image_grid_shows_color_and_no_captions_where_there_are_none():
    color = np.random.default_rng(0).random((2, 3, 5, 5))
    (axes,) = ImageGrid(color, title="Samples").draw().axes
    assert np.allclose(axes.images[1].get_array(), color[1].transpose(1, 2, 0))
    assert len(axes.texts) == 0


def test_an_empty_image_grid_says_so():
    assert PICTURES["no images"].draw().get_suptitle() == "Mistakes: none"


def test_weight_images_share_one_scale_that_is_symmetric_around_zero():
    weights = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    axes, bar = WeightImages(weights, list("abcd")).draw().axes
    limit = np.abs(weights.mean(1)).max()
    assert [image.get_clim() for image in axes.images] == [(-limit, limit)] * 4
    assert np.allclose(axes.images[2].get_array(), weights[2].mean(0))
    assert [text.get_text() for text in axes.texts] == list("abcd")
    assert bar.get_ylabel() == "weight"


def test_weights_that_are_all_zero_can_be_drawn():
    axes, _ = WeightImages(np.zeros((2, 1, 3, 3)), ["a", "b"]).draw().axes
    assert axes.images[0].get_clim() == (-1, 1)


def test_predicted_vs_true_has_equal_axes_the_identity_and_r_squared():
    rng = np.random.default_rng(0)
    true = rng.normal(50, 20, 80)
    predicted = true + rng.normal(0, 8, 80)
    (axes,) = PredictedVsTrue(torch.tensor(true), torch.tensor(predicted), "price (EUR)").draw().axes
    assert np.allclose(axes.collections[0].get_offsets(), np.stack([true, predicted], 1))
    assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1
    (identity,) = axes.lines
    assert np.array_equal(identity.get_xdata(), identity.get_ydata())
    assert f"R² = {r2_score(true, predicted):.3f}" in axes.get_title(loc="left")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true price (EUR)", "predicted price (EUR)")


def test_r_squared_of_equal_targets_is_undefined():
    (axes,) = PredictedVsTrue(np.full(3, 2.0), np.full(3, 2.0)).draw().axes
    assert axes.get_title(loc="left") == "R² undefined, 3 examples"
    assert axes.get_xlim() == (1, 3)


def test_decision_boundary_lies_where_the_classes_are_equally_likely():
    (axes,) = boundary().draw().axes
    lines = [collection for collection in axes.collections if isinstance(collection, ContourSet)]
    vertices = np.concatenate([path.vertices for line in lines for path in line.get_paths()])
    assert np.allclose(vertices[:, 0], 0.5, atol=1e-6)
    assert vertices[:, 1].min() == -1 and vertices[:, 1].max() == 1


def test_decision_boundary_shades_regions_by_confidence_in_the_colors_of_the_points():
    (axes,) = boundary().draw().axes
    (image,) = axes.images
    shade = np.asarray(image.get_array())
    assert image.origin == "lower" and image.get_extent() == [-2, 2, -1, 1]
    first, second = (to_hex(points.get_facecolor()[0]) for points in axes.collections[-2:])
    assert first != second
    assert shade[0, 0, 2] > shade[0, 0, 0]  # blue on the left
    assert shade[0, -1, 0] > shade[0, -1, 2]  # orange on the right
    assert (np.diff(shade[0, :26, 0]) > 0).all()  # paler towards the boundary


def test_decision_boundary_puts_each_point_in_its_class_with_its_own_marker():
    picture = boundary()
    (axes,) = picture.draw().axes
    left, right = axes.collections[-2:]
    assert np.array_equal(left.get_offsets(), picture.points[:1])
    assert np.array_equal(right.get_offsets(), picture.points[1:])
    assert len(left.get_paths()[0].vertices) != len(right.get_paths()[0].vertices)


def test_decision_boundary_takes_rows_for_y():
    share = np.tile((GRID_Y > 0)[:, None].astype(float), (1, len(GRID_X)))
    (axes,) = boundary(probabilities=np.stack([1 - share, share], axis=-1)).draw().axes
    shade = np.asarray(axes.images[0].get_array())
    assert np.array_equal(shade[0, 0], shade[0, -1]) and not np.array_equal(shade[0, 0], shade[-1, 0])


def test_decision_boundary_draws_when_one_class_wins_everywhere_or_has_no_point():
    probabilities = np.tile([0.7, 0.2, 0.1], (len(GRID_Y), len(GRID_X), 1))
    names = ["a", "b", "c"]
    (axes,) = boundary(probabilities=probabilities, class_names=names).draw().axes
    assert len(axes.collections) == 3  # the points of each class, and no boundary


def test_fitted_curve_shows_the_points_and_the_line():
    x, y = np.array([0.0, 1, 2]), np.array([0.0, 1, 4])
    curve_x = np.linspace(0, 2, 30)
    (axes,) = FittedCurve(x, y, curve_x, curve_x**2, ("time (s)", "height (m)")).draw().axes
    assert np.array_equal(axes.collections[0].get_offsets(), np.stack([x, y], 1))
    (line,) = axes.lines
    assert np.array_equal(line.get_xydata(), np.stack([curve_x, curve_x**2], 1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "height (m)")


def test_a_curve_that_runs_away_does_not_hide_the_points():
    curve_x = np.linspace(0, 2, 30)
    (axes,) = FittedCurve([0.0, 1, 2], [0.0, 1, 4], curve_x, 1e6 * curve_x).draw().axes
    low, high = axes.get_ylim()
    assert low < 0 and 6 < high < 7


def test_learning_curve_has_losses_in_one_panel_and_the_metric_in_the_other():
    series = {"val/accuracy": [0.8, 0.9, 0.85], "train/loss": [0.9, 0.5, 0.4], "val/loss": [0.8, None, 0.6]}
    figure = LearningCurve([1, 2, 3], series, kept_epoch=2, kept_as="best").draw()
    losses, accuracy = figure.axes
    train, val, kept = losses.lines
    assert (losses.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert train.get_label() == "train" and list(train.get_ydata()) == [0.9, 0.5, 0.4]
    assert val.get_label() == "val" and val.get_xydata().tolist() == [[1, 0.8], [3, 0.6]]
    assert list(accuracy.lines[0].get_ydata()) == [0.8, 0.9, 0.85]
    assert kept.get_label() == "kept epoch" and list(kept.get_xdata()) == [2, 2]
    assert figure.get_suptitle() == "Learning curves, best epoch 2 kept"
    assert losses.get_yscale() == "linear"


@pytest.mark.parametrize(("last", "scale"), [(0.06, "linear"), (0.04, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_losses_are_logarithmic_beyond_a_range_of_twenty(last, scale):
    (axes,) = LearningCurve([1, 2], {"train/loss": [1.0, last]}).draw().axes
    assert axes.get_yscale() == scale


def test_accuracy_is_never_logarithmic_and_in_percent():
    figure = LearningCurve([1, 2], {"val/accuracy": [0.01, 0.9]}).draw()
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_yscale() == "linear"
    assert "80 %" in tick_names(axes.yaxis)


def test_epochs_are_whole_numbers_even_where_there_is_one():
    figure = LearningCurve([1], {"train/loss": [0.5], "val/loss": [0.4]}, kept_epoch=1).draw()
    figure.draw_without_rendering()
    assert [tick for tick in figure.axes[0].get_xticks() if 0.5 <= tick <= 1.5] == [1]


def test_learning_curve_marks_the_last_epoch_where_that_is_kept():
    figure = LearningCurve([1, 2, 3], {"val/loss": [0.3, 0.2, 0.4]}, kept_epoch=3, kept_as="last").draw()
    assert figure.get_suptitle() == "Learning curves, last epoch 3 kept"
    assert list(figure.axes[0].lines[-1].get_xdata()) == [3, 3]


# Colors that are told apart with color blindness (Machado, Oliveira and Fernandes 2009, severity 1), in linear sRGB.
SEEN_AS = {
    "typical": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color, vision: str) -> np.ndarray:
    """CIELAB of an sRGB color as it is seen."""
    color = np.array(to_rgb(color))
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ (SEEN_AS[vision] @ linear).clip(0, 1) / [0.95047, 1, 1.08883]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def codes_picture(num_classes: int) -> LatentScatter:
    angle = 2 * np.pi * np.arange(num_classes) / num_classes
    return LatentScatter(
        np.stack([np.cos(angle), np.sin(angle)], 1), np.arange(num_classes), [f"class {n}" for n in range(num_classes)]
    )


@pytest.mark.parametrize("vision", SEEN_AS)
@pytest.mark.parametrize("num_classes", [2, 7, 8, 10, 20])
def test_any_two_classes_differ_in_marker_or_in_a_color_that_everyone_can_tell(num_classes, vision):
    few = boundary(
        labels=np.arange(3) % num_classes,
        probabilities=np.full((len(GRID_Y), len(GRID_X), num_classes), 1 / num_classes),
        class_names=[f"{index}" for index in range(num_classes)],
    )
    for picture in (codes_picture(num_classes), few):
        (axes,) = picture.draw().axes
        marks = [marks for marks in axes.collections if not isinstance(marks, ContourSet)]
        assert len(marks) == num_classes
        seen = [(lab(mark.get_facecolor()[0, :3], vision), mark.get_paths()[0].vertices.tolist()) for mark in marks[:]]
        for first in range(num_classes):
            for second in range(first):
                difference = np.linalg.norm(seen[first][0] - seen[second][0])  # CIE76; 2.3 is just noticeable
                assert difference > 15 or seen[first][1] != seen[second][1], f"{first} and {second}"


def test_many_classes_of_codes_have_their_names_where_they_lie():
    picture = codes_picture(10)
    (axes,) = picture.draw().axes
    assert [text.get_text() for text in axes.texts] == list(picture.class_names)
    assert np.allclose([text.get_position() for text in axes.texts], picture.codes)
    assert len(codes_picture(7).draw().axes[0].texts) == 0


def test_samples_far_from_all_real_points_are_marked_at_the_frame_and_counted():
    real = np.array([[0.0, 0.0], [1.0, 1.0]])
    made = np.array([[0.5, 0.5], [100.0, 0.5], [0.5, -1e6], [np.nan, 0.0]])
    _, axes = SampledPoints(real, made).draw().axes
    assert axes.get_title(loc="left") == "4 generated points, 2 outside the frame, 1 not finite"
    _, inside, outside = axes.collections  # the modes come first
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert inside.get_offsets().tolist() == [[0.5, 0.5]]
    assert outside.get_offsets().tolist() == [[right, 0.5], [0.5, bottom]]
    assert left < 0 and top > 1


def test_points_that_are_all_inside_are_drawn_without_a_word():
    _, axes = SampledPoints(np.eye(2), np.eye(2)).draw().axes
    assert axes.get_title(loc="left") == "2 generated points" and len(axes.collections) == 2


def test_samples_that_are_not_finite_draw_and_say_so():
    nowhere = np.full((3, 2), np.nan)
    (alone,) = SampledPoints(np.empty((0, 2)), nowhere).draw().axes
    assert alone.get_title(loc="left") == "3 generated points, 3 not finite"
    first, second = PointStrip([np.eye(2), nowhere], ["step 0", "step 9"]).draw().axes
    assert first.get_title(loc="left") == "step 0" and second.get_title(loc="left") == "step 9, 3 not finite"
    images = np.zeros((2, 1, 3, 3))
    images[1, 0, 0, 0] = np.nan
    assert ImageGrid(images, title="Samples").draw().get_suptitle() == "Samples (1 with pixels that are not finite)"
    (sheet,) = ImageSheet(images[None], "Samples").draw().axes
    assert sheet.get_title(loc="left") == "Samples (1 with pixels that are not finite)"
    assert np.isfinite(np.asarray(sheet.images[0].get_array())).all()
