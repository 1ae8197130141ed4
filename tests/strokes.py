"""Ten digits as a hand would draw them: polylines with round joints, dark on light, anywhere on the paper."""

import math
import random

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]


def _arc(x: float, y: float, across: float, down: float, first: float, last: float) -> Points:
    """A part of an ellipse around `(x, y)`, from one angle to another in degrees."""
    angles = [math.radians(first + (last - first) * step / 24) for step in range(25)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


STROKES: dict[int, list[Points]] = {
    0: [_arc(0.5, 0.75, 0.42, 0.7, -90, 270)],
    1: [[(0.3, 0.3), (0.55, 0.05), (0.52, 1.45)]],
    2: [[*_arc(0.5, 0.4, 0.4, 0.38, 190, 370), (0.8, 0.62), (0.1, 1.42), (0.95, 1.4)]],
    3: [_arc(0.45, 0.38, 0.4, 0.35, 200, 430) + _arc(0.45, 1.08, 0.45, 0.38, -80, 150)],
    4: [[(0.35, 0.05), (0.08, 0.9), (0.95, 0.85)], [(0.75, 0.35), (0.68, 1.48)]],
    5: [[(0.9, 0.08), (0.25, 0.1), (0.2, 0.62), *_arc(0.45, 1.0, 0.45, 0.42, -115, 140)]],
    6: [[(0.75, 0.05), (0.35, 0.5), (0.12, 1.0), *_arc(0.5, 1.08, 0.38, 0.38, 170, -190)]],
    7: [[(0.08, 0.15), (0.92, 0.1), (0.6, 0.75), (0.4, 1.45)]],
    8: [[*_arc(0.5, 0.4, 0.33, 0.34, 60, -240), *_arc(0.5, 1.08, 0.4, 0.38, -110, 250), (0.66, 0.7)]],
    9: [[*_arc(0.48, 0.45, 0.36, 0.38, -20, -360), (0.84, 0.5), (0.78, 1.45)]],
}
"""Each in a box 1 wide and 1.5 high, y down."""


def draw(digit: int, seed: int, width: int = 18, size: tuple[int, int] = (400, 300)) -> np.ndarray:
    """Gray pixels `(300, 400)` with the digit, a bit shaky, off the center and slanted."""
    shaky = random.Random(seed)
    height = shaky.uniform(130, 190)
    across, slant = height / 1.5 * shaky.uniform(0.8, 1.05), shaky.uniform(-0.05, 0.2)
    left, top = shaky.uniform(40, size[0] - across - 60), shaky.uniform(30, size[1] - height - 30)
    paper = Image.new("L", size, 235)
    pen = ImageDraw.Draw(paper)
    for stroke in STROKES[digit]:
        points = [
            (
                left + (x + slant * (1.5 - y)) * across + shaky.gauss(0, 1.2),
                top + y / 1.5 * height + shaky.gauss(0, 1.2),
            )
            for x, y in stroke
        ]
        pen.line(points, fill=30, width=width, joint="curve")
        for x, y in points:
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=30)
    return np.asarray(paper)


def lit(pixels: np.ndarray) -> np.ndarray:
    """The same paper lit from one side: half as bright in one corner."""
    y, x = np.indices(pixels.shape) / np.array(pixels.shape)[:, None, None]
    return (pixels * (0.45 + 0.55 * (0.7 * x + 0.3 * y))).astype(np.uint8)
