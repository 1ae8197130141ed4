"""The data sets there are: a table from the names a config may use to the sources behind them."""

from dlcourse.config.registry import Registry
from dlcourse.data.cifar import CIFAR10, CIFAR100
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.dataset import DataSet
from dlcourse.data.emnist import EMNIST
from dlcourse.data.games import CartPole, Cliff, GridWorld, TicTacToe
from dlcourse.data.gaussian_mixtures import Grid, Ring
from dlcourse.data.glyphs import Glyphs
from dlcourse.data.grammar import Grammar
from dlcourse.data.image_folder import ImageFolder
from dlcourse.data.in_context import InContext
from dlcourse.data.mnist import KMNIST, MNIST, FashionMNIST
from dlcourse.data.npz_file import NpzFile
from dlcourse.data.preferences import Preferences
from dlcourse.data.sequences import Adding, Parity, Sine, WordOrder
from dlcourse.data.shapes import Shapes
from dlcourse.data.sklearn_data import BreastCancer, Diabetes, Digits, Iris, Wine
from dlcourse.data.string_rewriting import Copy, Reverse, Sort
from dlcourse.data.svhn import SVHN
from dlcourse.data.synthetic import XOR, Blobs, Circles, Curve, Line, Moons, Spirals
from dlcourse.data.text import Pydoc, Text, TinyShakespeare

DATASETS: Registry[DataSet] = Registry(
    "data",
    {
        "mnist": MNIST,
        "fashion_mnist": FashionMNIST,
        "kmnist": KMNIST,
        "emnist": EMNIST,
        "cifar10": CIFAR10,
        "cifar100": CIFAR100,
        "svhn": SVHN,
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
        "ring": Ring,
        "grid": Grid,
        "glyphs": Glyphs,
        "shapes": Shapes,
        "adding": Adding,
        "parity": Parity,
        "sine": Sine,
        "word_order": WordOrder,
        "copy": Copy,
        "reverse": Reverse,
        "sort": Sort,
        "cartpole": CartPole,
        "cliff": Cliff,
        "grid_world": GridWorld,
        "tic_tac_toe": TicTacToe,
        "text": Text,
        "tinyshakespeare": TinyShakespeare,
        "pydoc": Pydoc,
        "grammar": Grammar,
        "in_context": InContext,
        "preferences": Preferences,
        "csv": CsvFile,
        "npz": NpzFile,
        "images": ImageFolder,
    },
)
