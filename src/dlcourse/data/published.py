"""The sizes of published data sets: examples, and megabytes to download."""

from typing import NamedTuple


class Published(NamedTuple):
    """Examples of training (validation included) and of test, and the megabytes (10^6 bytes) of a download, 0 if none."""

    train: int
    test: int
    megabytes: float = 0


PUBLISHED: dict[str, Published] = {
    "mnist": Published(60_000, 10_000, 11.6),
    "fashion_mnist": Published(60_000, 10_000, 30.9),
    "kmnist": Published(60_000, 10_000, 21.2),
    "emnist": Published(112_800, 18_800, 561.8),
    "cifar10": Published(50_000, 10_000, 170.1),
    "cifar100": Published(50_000, 10_000, 169.0),
    "svhn": Published(73_257, 26_032, 246.3),
    "digits": Published(1_438, 359),
    "iris": Published(120, 30),
    "wine": Published(142, 36),
    "breast_cancer": Published(455, 114),
    "diabetes": Published(354, 88),
    "tinyshakespeare": Published(0, 0, 1.1),
    "preferences": Published(6_000, 1_000, 1.1),
}
"""With the default options. A text has as many examples as windows fit into it."""
