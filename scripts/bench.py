"""Samples per second of `dlcourse train` against loops written by hand, on the same work; prints one table.

Each figure is the median over rounds; in a round the competitors take turns, each in a process of its own, and what a
process reports is its last epoch, when everything is warm. The loops written by hand are what a careful user would write:

    bare     tensors in memory, a permuted index, gather, normalize, forward, backward, Adam as it comes
    worked   the style of the lectures' script: PIL transforms for each sample, a DataLoader

The lstm and the transformer read rows of MNIST; the vae is 784-400-20; the gan is the one of `model=gan` on MNIST, its
networks taken from dlcourse and trained by a loop by hand.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

DLCOURSE = "dlcourse"
TRAIN_SIZE = {
    "softmax": 54_000,
    "mlp": 54_000,
    "cnn": 9_000,
    "lstm": 18_000,
    "transformer": 9_000,
    "vae": 27_000,
    "gan": 3_600,
    "lecture_cnn48": 1_800,
}
EPOCHS = 2


def main() -> None:
    """Measure and print, or be one of the measured loops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder with MNIST/raw, as data.root= of dlcourse")
    parser.add_argument("--rounds", type=int, default=5, help="how often each competitor runs (default 5)")
    parser.add_argument("--only", nargs="*", help="models to measure (default: all)")
    parser.add_argument("--loop", nargs=3, metavar=("KIND", "MODEL", "BATCH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        kind, model, batch = arguments.loop
        print(json.dumps(LOOPS[kind](model, int(batch), arguments.root)))
        return
    heading = f"{'model':<14} {'batch':>5}  {'dlcourse':>9}  {'by hand':>9}  {'ratio':>6}"
    print(f"{heading}  (samples/s; medians of {arguments.rounds} rounds, the ratio's too)")
    contests = [("bare", model, batch) for model in ("softmax", "mlp", "cnn") for batch in (64, 128)]
    contests += [("bare", model, 64) for model in ("lstm", "transformer", "vae")] + [("two_players", "gan", 64)]
    for kind, model, batch in [*contests, ("worked", "lecture_cnn48", 64)]:
        if arguments.only and model not in arguments.only:
            continue
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(run_dlcourse(model, batch, arguments.root))
            theirs.append(run_loop(kind, model, batch, arguments.root))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        own, hand = statistics.median(ours), statistics.median(theirs)
        print(f"{model:<14} {batch:>5}  {own:>9,.0f}  {hand:>9,.0f}  {ratio:>6.2f}  against {kind}", flush=True)


def run_dlcourse(model: str, batch: int, root: str | None) -> float:
    """Samples per second of the last epoch of a real `dlcourse train`, as it logged them."""
    what = [f"model={model}", "data=mnist", "optimizer=adam", "trainer.eval_every=2"]
    if model == "lecture_cnn48":
        what = ["experiment=lecture_cnn48"]
    size = f"data.subset={round(TRAIN_SIZE[model] / 0.9)}"  # a tenth of which is set aside for validation
    where = [f"data.root={root}"] if root else []
    with tempfile.TemporaryDirectory() as folder:
        how = [f"trainer.batch_size={batch}", f"trainer.epochs={EPOCHS}", f"run.root={folder}"]
        words = [*what, size, *where, *how]
        subprocess.run([sys.executable, "-m", DLCOURSE, "train", *words], check=True, capture_output=True)
        (metrics,) = Path(folder).glob("*/*/metrics.jsonl")
        records = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [record["time/samples_per_second"] for record in records if "time/samples_per_second" in record][-1]


def run_loop(kind: str, model: str, batch: int, root: str | None) -> float:
    """Samples per second of a loop by hand, in a process of its own."""
    command = [sys.executable, __file__, "--loop", kind, model, str(batch)] + (["--root", root] if root else [])
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bare(name: str, batch_size: int, root: str | None) -> float:
    """Tensors in memory, default Adam."""
    import torch
    from torch import nn

    images, labels = read_mnist(root)
    images, labels = (
        torch.from_numpy(images)[: TRAIN_SIZE[name], None],
        torch.from_numpy(labels)[: TRAIN_SIZE[name]].long(),
    )
    model = hand_made(name)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for chosen in torch.randperm(len(images)).split(batch_size):
            if name == "vae":
                pixels = images[chosen].float().flatten(1) / 255
                yield pixels, pixels
                continue
            yield (images[chosen].float() / 255 - 0.1307) / 0.3081, labels[chosen]

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = vae_loss if name == "vae" else nn.functional.cross_entropy
    return timed(model, optimizer, criterion, batches, len(images))


def two_players(name: str, batch_size: int, root: str | None) -> float:
    """A GAN by hand: two optimizers, the non-saturating loss."""
    import torch
    from torch.nn.functional import softplus

    from dlcourse.config.registry import Choice
    from dlcourse.models import MODELS
    from dlcourse.spec import DataSpec

    images = torch.from_numpy(read_mnist(root)[0])[: TRAIN_SIZE[name], None]
    spec = DataSpec("mnist", (1, 28, 28), 10, pixel_mean=(0.1307,), pixel_std=(0.3081,))
    gan = MODELS.build(Choice("gan"), spec=spec)
    generator, discriminator = gan.generator, gan.discriminator
    optimizers = [torch.optim.Adam(player.parameters(), lr=1e-3) for player in (discriminator, generator)]
    for _ in range(EPOCHS):
        started = time.perf_counter()
        running_loss = 0.0
        for chosen in torch.randperm(len(images)).split(batch_size):
            real = (images[chosen].float() / 255 - 0.1307) / 0.3081
            fake = generator(torch.randn(len(real), gan.latent))
            loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake.detach())).mean()
            optimizers[0].zero_grad()
            loss.backward()
            optimizers[0].step()
            loss = softplus(-discriminator(fake)).mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            running_loss += loss.item()
        seconds = time.perf_counter() - started
    return len(images) / seconds


def vae_loss(output, images):  # type: ignore[no-untyped-def]
    """Bernoulli reconstruction and KL divergence, per image."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    logits, mean, log_variance = output
    reconstruction = binary_cross_entropy_with_logits(logits, images, reduction="sum")
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return (reconstruction + kl) / len(images)


def worked(name: str, batch_size: int, root: str | None) -> float:
    """The worked script: PIL transforms for each sample."""
    import torch
    from PIL import Image
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images, labels = read_mnist(root)
    images, labels = images[: TRAIN_SIZE[name]], labels[: TRAIN_SIZE[name]]
    transform = transforms.Compose(
        [
            transforms.Resize((48, 48)),
            transforms.Grayscale(3),
            transforms.RandomRotation(10),
            transforms.ColorJitter(brightness=0.2, contrast=0.2),
            transforms.ToTensor(),
            transforms.Normalize([0.1307] * 3, [0.3081] * 3),
        ]
    )

    class Digits(Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return transform(Image.fromarray(images[index])), int(labels[index])

    model = hand_made(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    loader = DataLoader(Digits(), batch_size=batch_size, shuffle=True)
    return timed(model, optimizer, nn.CrossEntropyLoss(), lambda: iter(loader), len(images))


LOOPS: dict[str, Callable[[str, int, str | None], float]] = {"bare": bare, "two_players": two_players, "worked": worked}


def timed(model, optimizer, criterion, batches, size: int) -> float:  # type: ignore[no-untyped-def]
    """Train for the epochs; samples per second of the last."""
    model.train()
    for _ in range(EPOCHS):
        started = time.perf_counter()
        running_loss = 0.0
        for inputs, targets in batches():
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        seconds = time.perf_counter() - started
    return size / seconds


def hand_made(name: str):  # type: ignore[no-untyped-def]
    """The same layers as the model of that name, written out."""
    import torch
    from torch import nn

    class LSTM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(28, 128, batch_first=True)
            self.head = nn.Linear(128, 10)

        def forward(self, images):  # type: ignore[no-untyped-def]
            return self.head(self.lstm(images.squeeze(1))[0][:, -1])

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.places = nn.Linear(28, 64), nn.Parameter(0.02 * torch.randn(28, 64))
            block = nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", batch_first=True, norm_first=True)
            self.encoder = nn.TransformerEncoder(block, 2, nn.LayerNorm(64), enable_nested_tensor=False)
            self.head = nn.Linear(64, 10)

        def forward(self, images):  # type: ignore[no-untyped-def]
            return self.head(self.encoder(self.project(images.squeeze(1)) + self.places).mean(1))

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
            self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, pixels):  # type: ignore[no-untyped-def]
            hidden = torch.relu(self.fc1(pixels))
            mean, log_variance = self.fc21(hidden), self.fc22(hidden)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            return self.fc4(torch.relu(self.fc3(z))), mean, log_variance

    whole = {"lstm": LSTM, "transformer": Transformer, "vae": VAE}
    if name in whole:
        return whole[name]()

    def block(channels_in: int, channels_out: int) -> list[nn.Module]:
        convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU(), nn.MaxPool2d(2)]

    def plain(channels_in: int, channels_out: int) -> list[nn.Module]:
        return [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU()]

    layers = {
        "softmax": lambda: [nn.Flatten(), nn.Linear(784, 10)],
        "mlp": lambda: [
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
        ],
        "cnn": lambda: [
            *block(1, 32), *block(32, 64), *block(64, 128), nn.Flatten(),
            nn.Dropout(0.25), nn.Linear(1152, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10),
        ],
        "lecture_cnn48": lambda: [
            *plain(3, 32), nn.MaxPool2d(2), *plain(32, 64), nn.MaxPool2d(2), *plain(64, 128), nn.Flatten(),
            nn.Linear(18_432, 512), nn.ReLU(), nn.Linear(512, 10),
        ],
    }  # fmt: skip
    return nn.Sequential(*layers[name]())


def read_mnist(root: str | None):  # type: ignore[no-untyped-def]
    """The training images `(60000, 28, 28)` and labels as NumPy arrays, read by hand."""
    import numpy as np

    folder = Path(root or os.environ.get("DLCOURSE_DATA", "~/.cache/dlcourse")).expanduser() / "MNIST" / "raw"
    images = np.frombuffer((folder / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer((folder / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    return images.copy(), labels.copy()


if __name__ == "__main__":
    main()
