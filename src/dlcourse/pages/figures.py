"""The pictures of a folder with what is told of them, and how they are made to fit into a page without losing a pixel."""

import dataclasses
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlcourse.errors import DataError
from dlcourse.files import read_regular
from dlcourse.pages.folder import png_names
from dlcourse.pages.parts import Figure

_MAX_BYTES = 16 * 2**20
_MAX_PIXELS = 50_000_000
_MOST_COLORS = 256

_TOLD: dict[str, tuple[str, str]] = {
    "learning_curve": (
        "Learning curve",
        "What was measured after each epoch on the training and the validation set; the marked epoch is the one whose "
        "weights were kept. A gap that widens between the two is overfitting.",
    ),
    "confusion_matrix": (
        "Confusion matrix",
        "Rows are true classes, columns are predicted ones: every count off the diagonal is a kind of mistake.",
    ),
    "mistakes": (
        "Most confident mistakes",
        "Test images that the model got wrong while it was surest: the true class, what it said, and how sure it was.",
    ),
    "grad_cam": (
        "Where the model looked",
        "Grad-CAM of mistakes: the pixels that speak for the class predicted, and those that speak for the true one.",
    ),
    "roc_pr": (
        "ROC and precision-recall curves",
        "How well the probability of a class tells its examples from all others, at every threshold.",
    ),
    "calibration": ("Calibration", "How often the model is right, by how sure it says it is."),
    "filters": ("Filters", "The weights of the first convolution."),
    "weights": ("Weights", "The weight of each pixel for each class: what speaks for it and what against it."),
    "decision_boundary": ("Decision boundary", "The class that the model predicts at each point, and the test points."),
    "predicted_vs_true": (
        "Predicted and true values",
        "Each point is a test example: the nearer to the diagonal, the better.",
    ),
    "fit": ("Fit", "The test points and the curve that the model predicts."),
    "forecast": ("Forecast", "Sequences of the test set, what followed, and what the model predicts."),
    "samples": ("Samples", "What the model generates."),
    "reconstructions": ("Reconstructions", "Test examples, and what the model makes of their codes."),
    "codes": ("Codes", "The test examples as the model encodes them, colored by class."),
    "kl_per_dimension": (
        "KL divergence of each dimension",
        "How many nats each number of the code carries; a dimension at zero is not used.",
    ),
    "traversals": (
        "Traversals",
        "One number of the code is varied from left to right, the others stay at zero: what it stands for.",
    ),
    "manifold": (
        "The plane of codes",
        "What the decoder makes of codes at equal distances of the prior's probability.",
    ),
    "noising": ("Noising", "How noise is added to an example, step by step."),
    "denoising": ("Denoising", "How the model gets from noise to an example, step by step."),
    "nearest": ("Nearest training examples", "Samples, each beside the training example that is most like it."),
    "loss_by_position": (
        "Loss by position",
        "The loss of the next token by how many tokens the model has seen before it.",
    ),
    "accuracy_by_length": ("Accuracy by length", "The share of sequences that are right, by their length."),
    "attention": ("Attention", "What each output attends to."),
    "values": (
        "Values and arrows",
        "What the model expects from each field, where it would go from there, and its way from the start.",
    ),
    "game": ("A game", "The states of one game of the test set, move by move, played by the best moves."),
    "boards": ("Boards", "A game of the model against itself, with what it expects of each move."),
    "sweep_curves": ("Curves of the runs", "The validation number of each run after each epoch."),
    "sweep_parallel": (
        "Options and results",
        "Each line is a run: the values of its options from left to right, and what it reached.",
    ),
    "sweep_slices": ("Option by option", "What the runs reached, by the value of each option."),
    "sweep_importances": (
        "Importance of the options",
        "The share of the differences between runs that each option explains.",
    ),
    "sweep_history": ("History of the search", "What each trial reached, and the best so far."),
}
"""The title of a picture and how to read it, by the name of its file; in the order in which a page shows them."""


def end_pictures(folder: Path, most: int) -> dict[Path, str]:
    """The pictures of the end of a run or a sweep, in the order of a page: those that are known first."""
    places = {f"{name}.png": place for place, name in enumerate(_TOLD)}
    names = sorted(png_names(folder), key=lambda name: (places.get(name, len(places)), name))
    return {folder / name: "" for name in names[:most]}


def read_figures(paths: Mapping[Path, str], subject: str) -> tuple[list[Figure], list[str]]:
    """The pictures in these files, each with when it was drawn or nothing, and a line for each file that is none."""
    figures, problems = [], []
    for path, when in paths.items():
        try:
            figures.append(read_figure(path, subject, when))
        except DataError as error:
            problems.append(str(error))
    return figures, problems


def read_figure(path: Path, subject: str, when: str = "") -> Figure:
    """The picture in a PNG file with what is told of pictures of its name; raises DataError."""
    content = read_regular(path, _MAX_BYTES)
    width, height = _size(content, path)
    name = path.stem.rstrip("0123456789").rstrip("_") if when else path.stem
    title, caption = _TOLD.get(name, (name.replace("_", " ").capitalize(), ""))
    title = f"{title}, {when}" if when else title
    alt = f"{title}, of {subject}." + ("" if when or not caption else f" {caption}")
    return Figure(path.name, title, alt, "" if when else caption, content, width, height)


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Width and height of a whole PNG file, of which no pixel is read; raises DataError."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a size that is refused below
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                size = image.size
                image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError(f"{path.name} is damaged, it is no PNG picture") from None
    if size[0] * size[1] > _MAX_PIXELS:
        raise DataError(f"{path.name} is too large for a page: {size[0]:,} x {size[1]:,} pixels")
    return size


def fitting(figures: Sequence[Figure], room: int) -> list[Figure | None]:
    """The figures in at most `room` bytes of a page, None in the place of each for which that does not suffice.

    If there is too little room, each is written again, smaller and with the same pixels; then the last ones are left out.
    """
    if sum(figure.bytes_in_page for figure in figures) > room:
        figures = [smaller(figure) for figure in figures]
    kept: list[Figure | None] = []
    for figure in figures:
        fits = figure.bytes_in_page <= room
        kept.append(figure if fits else None)
        room -= figure.bytes_in_page * fits
    return kept


def smaller(figure: Figure) -> Figure:
    """The same pixels in fewer bytes, if there is a way."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(figure.content), formats=["PNG"]) as image:
            pixels = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return figure
    contents = [figure.content, _png(pixels)]
    if pixels.mode == "RGB" and pixels.getcolors(_MOST_COLORS):
        indexed = pixels.quantize(_MOST_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        if indexed.convert("RGB").tobytes() == pixels.tobytes():
            contents.append(_png(indexed))
    return dataclasses.replace(figure, content=min(contents, key=len))


def _png(image: "object") -> bytes:
    content = io.BytesIO()
    image.save(content, format="png", optimize=True)  # type: ignore[attr-defined]
    return content.getvalue()
