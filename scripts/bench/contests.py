"""What is measured: networks, batch sizes and sizes of the training set, and who competes on each."""

from dataclasses import dataclass

PER_SAMPLE = ("worked", "lightning", "lightning_hydra")
"""The loops that make their batches sample by sample; on small networks they take too long for the whole training set."""

ON_CUDA = ("dlcourse", "dlcourse_compiled", "bare", "tuned")
"""The loops that can put their work on a CUDA device."""

ALL = ("dlcourse", "dlcourse_compiled", "bare", "tuned", "worked", "lightning", "keras_jax", "skorch")
FEW = ("dlcourse", "dlcourse_compiled", "bare", "tuned")

QUICK_BATCH = 64
"""The batch size that a quick bench takes alone."""


@dataclass(frozen=True)
class Net:
    """A network: the words that make dlcourse train it, and the side in pixels of the images it reads."""

    words: tuple[str, ...]
    side: int = 28
    channels: int = 1
    has_augmentation: bool = False
    weight_decay: float = 0.0


_LECTURE = ("experiment=lecture_cnn48",)
_PLAIN = ("data.augment.rotation=0", "data.augment.brightness=0", "data.augment.contrast=0")
_CNN_9216 = ("data.resize=24", "model=cnn", "model.channels=[32,64]", "model.pool=[1,2]", "model.norm=none")

NETS = {
    "softmax": Net(("model=softmax",)),
    "mlp": Net(("model=mlp",)),
    "cnn": Net(("model=cnn",)),
    "cnn_9216": Net(_CNN_9216, side=24),
    "cnn48": Net((*_LECTURE, *_PLAIN), side=48, channels=3, weight_decay=1e-4),
    "lecture_cnn48": Net(_LECTURE, side=48, channels=3, has_augmentation=True, weight_decay=1e-4),
    "lstm": Net(("model=lstm",)),
    "transformer": Net(("model=transformer",)),
    "vae": Net(("model=vae",)),
    "gan": Net(("model=gan",)),
}
"""In words: 784-10; 784-256-128-10; convolutions 32-64-128 with batch norm; convolutions 32-64 and a head of 9216-128-10, as
many parameters as PyTorch's example for MNIST; the lectures' network, without its augmentation and with it; 128 units on
rows; width 64, two layers, on rows; 784-400-20 and back; the two networks of a GAN."""


@dataclass(frozen=True)
class Contest:
    """Loops that do the same work. `size` is in training examples, `slow_size` that of the loops in PER_SAMPLE."""

    kind: str
    net: str
    loops: tuple[str, ...]
    reference: str
    size: int
    slow_size: int
    batch: int = QUICK_BATCH
    epochs: int = 2

    @property
    def name(self) -> str:
        """`mlp 64`, or what is measured besides speed."""
        return f"{self.net} {self.batch}" if self.kind == "speed" else self.kind


def _speed(net: str, size: int, slow_size: int, loops: tuple[str, ...] = ALL, *, batch: int = QUICK_BATCH) -> Contest:
    reference = "bare" if "bare" in loops else loops[-1]
    return Contest("speed", net, loops, reference, size, slow_size, batch)


CONTESTS = (
    _speed("softmax", 54_000, 9_000),
    _speed("softmax", 54_000, 9_000, FEW, batch=128),
    _speed("mlp", 54_000, 9_000, (*ALL, "dlcourse_log")),
    _speed("mlp", 54_000, 9_000, FEW, batch=128),
    _speed("cnn", 9_000, 9_000, (*ALL, "dlcourse_log")),
    _speed("cnn", 9_000, 9_000, FEW, batch=128),
    _speed("cnn_9216", 9_000, 9_000),
    _speed("cnn48", 1_800, 1_800),
    _speed("lstm", 18_000, 9_000),
    _speed("transformer", 9_000, 9_000),
    _speed(
        "vae", 27_000, 9_000, ("dlcourse", "dlcourse_compiled", "bare", "tuned", "worked", "lightning", "keras_jax")
    ),
    _speed("gan", 3_600, 3_600, ("dlcourse", "dlcourse_compiled", "two_players")),
    _speed("lecture_cnn48", 1_800, 1_800, ("dlcourse", "worked")),
    Contest(
        "start",
        "mlp",
        ("dlcourse_digits", "dlcourse_mnist", "bare", "lightning_hydra"),
        "bare",
        54_000,
        9_000,
        epochs=1,
    ),
    Contest("tiny run", "mlp", ("dlcourse_tiny",), "dlcourse_tiny", 1_617, 1_617),
)


@dataclass(frozen=True)
class Work:
    """One loop's share of a contest: this network, on so many examples, so many times.

    `root` is where MNIST is; a quick work's files are not the published ones. `device` is `cpu` or `cuda`.
    """

    net: str
    batch: int
    size: int
    epochs: int
    root: str | None = None
    is_quick: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Figures:
    """What a loop reports: its last epoch's speed, and when, in seconds of time.time(), its first step was done.

    None is what it does not know. An evaluation is in microseconds a sample, `training_seconds` are those of all epochs.
    """

    parameters: int
    samples_per_second: float
    first_step_at: float | None
    evaluation_us: float | None = None
    training_seconds: float | None = None


def work_of(contest: Contest, loop: str, root: str | None, *, quick: bool, device: str = "cpu") -> Work:
    """The share of a loop; a quick one is a few steps long."""
    size = contest.slow_size if loop in PER_SAMPLE else contest.size
    size = min(size, 4 * contest.batch) if quick else size
    return Work(contest.net, contest.batch, size, contest.epochs, root, quick, device)
