"""The data sets there are: a table from the names a config may use to the sources behind them."""

from dlcourse.data.cifar import CIFAR10
from dlcourse.data.glyphs import Glyphs
from dlcourse.data.mnist import KMNIST, MNIST, FashionMNIST
from dlcourse.data.shapes import Shapes
from dlcourse.data.source import Source
from dlcourse.data.synthetic import XOR, Blobs, Circles, Curve, Line, Moons, Spirals
from dlcourse.data.tabular import BreastCancer, Diabetes, Digits, Iris, Wine
from dlcourse.registry import Registry

DATASETS: Registry[Source] = Registry(
    "data",
    {
        "mnist": MNIST,
        "fashion_mnist": FashionMNIST,
        "kmnist": KMNIST,
        "cifar10": CIFAR10,
        "digits": Digits,
        "iris": Iris,
        "wine": Wine,
        "breast_cancer": BreastCancer,
        "diabetes": Diabetes,
        "line": Line,
        "curve": Curve,
        "blobs": Blobs,
        "moons": Moons,
        "circles": Circles,
        "spirals": Spirals,
        "xor": XOR,
        "glyphs": Glyphs,
        "shapes": Shapes,
    },
)
