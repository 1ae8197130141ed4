"""What holds of every picture, whatever it shows, and the parts that they share."""

import itertools
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from PIL import Image

from dlcourse.plots.attention import AccuracyByLength, AttentionMap
from dlcourse.plots.calibration import ReliabilityDiagram
from dlcourse.plots.classes import ConfusionMatrix
from dlcourse.plots.curves import FittedCurve, LearningCurve, PredictedVsTrue
from dlcourse.plots.diffusion import PointStrip
from dlcourse.plots.filters import ActivationMaps, FirstFilters
from dlcourse.plots.images import ImageGrid, WeightImages
from dlcourse.plots.language import LossByPosition
from dlcourse.plots.latent import ImageSheet, KLPerDimension, LatentScatter
from dlcourse.plots.lr_range import LrRangeCurve
from dlcourse.plots.picture import Captioned, Picture, save_png, to_image
from dlcourse.plots.ranking import RankedClass, RankingCurves
from dlcourse.plots.samples import SampledPoints
from dlcourse.plots.sequences import Forecast
from pictures import CONFUSION, GRID_X, GRID_Y, boundary, codes_picture

_HALF = np.array([0.0, 0.5, 1.0])

_LRS = np.geomspace(1e-6, 10, 20)
LR_RANGE = (_LRS, np.array([1 / (1 + _LRS), 2 - _LRS, np.full(20, 1e9)]), 1 / (1 + 100 * _LRS))
PICTURES = {
    "confusion": CONFUSION,
    "images": ImageGrid(np.full((3, 1, 4, 6), 0.5), ["4 as 9\n98 %"] * 3, "Mistakes"),
    "no images": ImageGrid(np.empty((0, 3, 4, 4)), title="Mistakes"),
    "values": PredictedVsTrue(np.arange(5.0), np.arange(5.0) + 0.1, "price ($)"),
    "boundary": boundary(),
    "curve": FittedCurve(np.arange(5.0), np.arange(5.0) ** 2, np.linspace(0, 4, 50), np.linspace(0, 4, 50) ** 2),
    "learning": LearningCurve([1, 2], {"train/loss": [0.4, 0.3], "val/accuracy": [0.9, 0.95]}, 2, "best"),
    "lr range": LrRangeCurve(*LR_RANGE, 0.003, "mlp on digits, adam"),
    "lr range without suggestion": LrRangeCurve(*LR_RANGE, None),
    "positions": LossByPosition([4.0, 3.0, 2.5], {"unigrams": 3.3, "bigrams": 2.5, "trigrams": 2.2}),
    "length": AccuracyByLength([1, 2], [3, 4], [4, 5]),
    "attention": AttentionMap(np.eye(3), "abc", "xyz"),
    "forecast": Forecast(np.ones((2, 3)), np.ones((2, 2)), np.zeros((2, 2))),
    "strip": PointStrip([np.eye(2), 3 * np.eye(2)], ["t = 0", "t = 9"], "From data to noise"),
    "samples": SampledPoints(np.eye(2), 9 * np.eye(2)),
    "codes": LatentScatter(np.eye(2), [0, 1], ["cat", "dog"]),
    "sheet": ImageSheet(np.full((2, 3, 1, 4, 4), 0.5), "Reconstructions", ["original", "reconstruction"]),
    "kl": KLPerDimension([2.0, 0.0], [True, False]),
    "ranking": RankingCurves([RankedClass("malignant", (_HALF, _HALF), (_HALF, 1 - _HALF), 0.5, 0.5)]),
    "rankings": RankingCurves(
        [RankedClass(f"class {n}", (_HALF, _HALF**n), (_HALF, 1 - _HALF), 0.5, 0.5) for n in range(3)],
        RankedClass("mean of the classes", (_HALF, _HALF), (_HALF, 1 - _HALF), 0.5, 0.5),
    ),
    "reliability": ReliabilityDiagram([3, 0, 5], [0.2, 0, 0.9], [0.3, 0, 1], 0.05),
    "gray filters": FirstFilters(np.linspace(-1, 2, 75).reshape(3, 1, 5, 5)),
    "color filters": FirstFilters(np.linspace(-1, 2, 225).reshape(3, 3, 5, 5)),
    "grad-cam": ActivationMaps(np.full((2, 1, 4, 4), 0.5), np.ones((2, 4, 4)), np.zeros((2, 4, 4)), "ab", "cd"),
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


@pytest.mark.parametrize(("asked", "found"), [("svg", "svg"), ("no_backend", "agg")])
def test_whoever_imports_matplotlib_after_us_gets_the_backend_that_was_asked_for(asked: str, found: str) -> None:
    """As a notebook asks for the one that shows figures in it; what is wrong is left to matplotlib itself."""
    program = """\
from dlcourse import plots
plots.to_image(plots.ConfusionMatrix([[1, 0], [0, 1]], ["a", "b"]))
import matplotlib
print(matplotlib.get_backend().lower())
"""
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"MPLBACKEND": asked}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == found


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


@pytest.mark.parametrize("num_classes", [2, 7, 8, 10, 20])
def test_any_two_classes_differ_in_marker_or_in_a_color_that_everyone_can_tell(num_classes):
    few = boundary(
        labels=np.arange(3) % num_classes,
        probabilities=np.full((len(GRID_Y), len(GRID_X), num_classes), 1 / num_classes),
        class_names=[f"{index}" for index in range(num_classes)],
    )
    for picture in (codes_picture(num_classes), few):
        (axes,) = picture.draw().axes
        marks = [marks for marks in axes.collections if not isinstance(marks, ContourSet)]
        assert len(marks) == num_classes
        shapes = [mark.get_paths()[0].vertices.tolist() for mark in marks]
        for vision in SEEN_AS:
            colors = [lab(mark.get_facecolor()[0, :3], vision) for mark in marks]
            for first, second in itertools.combinations(range(num_classes), 2):
                difference = np.linalg.norm(colors[first] - colors[second])  # CIE76; 2.3 is just noticeable
                assert difference > 15 or shapes[first] != shapes[second], f"{vision}: {first} and {second}"
