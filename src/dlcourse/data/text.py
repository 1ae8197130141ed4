"""Text to continue: long texts cut into windows of tokens, whose targets are the same tokens one place on.

B is a batch size, T the `context` of a window, n the tokens of a part.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from dlcourse.config.options import Count, ProperFraction, Range
from dlcourse.config.paths import user_path
from dlcourse.data import announced
from dlcourse.data.dataset import DataSet
from dlcourse.data.download import DataFiles, lies_there
from dlcourse.data.split import checksum, chunks, seeded_generator
from dlcourse.data.text_file import decode
from dlcourse.device import sent
from dlcourse.errors import ConfigError, DataError
from dlcourse.spec import Batch, Data, DataSpec
from dlcourse.tokens import RUNNING_WORDS, learn_byte_pairs, learn_words, tokenizer_of

_PARTS = ("training", "validation", "test")

Tokens = Literal["characters", "words", "bpe"]
VocabSize = Annotated[int, Range(ge=257)]
"""Byte pairs start from the 256 bytes."""


@dataclass(frozen=True)
class TextSplit:
    """A contiguous part of a text, `(n,)` int32 tokens with n > T.

    An epoch has `windows` windows at random places; if that is None, as many as cover the part once, next to each
    other from a random first one, shuffled. Both are pure functions of `(seed, epoch)`. Without an epoch come the
    windows next to each other from the very first; less than a window at the end is left out.
    """

    tokens: Tensor
    context: int
    windows: int | None = None
    seed: int = 0

    def __len__(self) -> int:
        return self.windows or self._covering

    @property
    def _covering(self) -> int:
        """The windows next to each other that fit, wherever within a window's length the first begins."""
        return max(1, (len(self.tokens) - self.context) // self.context)

    def batches(self, batch_size: int, *, epoch: int | None = None, start: int = 0) -> Iterator[Batch]:
        """Inputs and targets, `(B, T)` int64 both. The last batch of an epoch may be shorter."""
        if epoch is None:
            starts = torch.arange(0, len(self.tokens) - self.context, self.context)
            pieces = list(torch.split(starts, batch_size))
        else:
            pieces = chunks(self._drawn(epoch), batch_size)
        offsets = torch.arange(self.context + 1, device=self.tokens.device)
        for piece in pieces[start:]:
            places = sent(piece, self.tokens.device)[:, None] + offsets  # (B, T + 1)
            window = self.tokens[places].long()
            yield Batch(window[:, :-1], window[:, 1:])

    def fingerprint(self) -> str:
        """A checksum over the tokens."""
        return checksum(self.tokens)

    def to(self, device: torch.device) -> "TextSplit":
        return dataclasses.replace(self, tokens=self.tokens.to(device))

    def pictures(self, indices: Tensor) -> Tensor | None:
        """None: text is no image."""
        return None

    def _drawn(self, epoch: int) -> Tensor:
        """The first places of an epoch's windows, in the order of their turn."""
        generator = seeded_generator("windows", self.seed, epoch)
        last = len(self.tokens) - 1 - self.context
        if self.windows is not None:
            return torch.randint(0, last + 1, (self.windows,), generator=generator)
        slack = last - (self._covering - 1) * self.context
        first = torch.randint(0, min(self.context, slack + 1), (1,), generator=generator)
        return first + self.context * torch.randperm(self._covering, generator=generator)


@dataclass(frozen=True, kw_only=True)
class TextSource(DataSet):
    """A text, of which the first part is for training, the next for validation, the last for testing.

    `tokens` are its characters, its words with punctuation marks and line feeds, or byte pairs learnt on the training part;
    at most `vocab_size` byte pairs or words, of which the rarer ones are `<unk>`. `context` is the length of a window in
    tokens, `windows` how many of them are drawn for an epoch.
    """

    SPECS = (announced.text(64),)

    val_fraction: ProperFraction = 0.05
    test_fraction: ProperFraction = 0.05
    tokens: Tokens = "characters"
    vocab_size: VocabSize = 1000
    context: Count = 64
    windows: Count | None = None

    @abstractmethod
    def read(self) -> str:
        """The whole text; raises ConfigError and DataError."""

    def build(self, *, name: str, seed: int) -> Data:
        text = self.read()
        parts = self.parts(text)
        tokenizer, vocabulary = self._learn(text, parts[0])
        if len(vocabulary) < 2:
            raise DataError(f"data '{name}' has {len(vocabulary)} different symbols; a text needs at least 2")
        spec = DataSpec(
            name=name,
            input_shape=(self.context,),
            num_outputs=len(vocabulary),
            target="next",
            vocabulary=vocabulary,
            tokenizer=tokenizer,
        )
        tokens = [_encode(part, spec) for part in parts]
        self._require_windows(name, tokens)
        train, val, test = tokens
        return Data(
            spec,
            TextSplit(train, self.context, self.windows, seed),
            TextSplit(val, self.context),
            TextSplit(test, self.context),
        )

    def _learn(self, text: str, training: str) -> tuple[str, tuple[str, ...]]:
        """The tokenizer and the vocabulary.

        Of characters, and of words if they are few, it is that of the whole text, as there is no token for others.
        """
        if self.tokens == "characters":
            return "characters", tuple(sorted(set(text)))
        if self.tokens == "words":
            return RUNNING_WORDS, learn_words(text, training, self.vocab_size)
        return learn_byte_pairs(training, self.vocab_size)

    def parts(self, text: str) -> tuple[str, str, str]:
        """The text for training, for validation and for testing; raises ConfigError."""
        val, test = round(self.val_fraction * len(text)), round(self.test_fraction * len(text))
        train = len(text) - val - test
        if text and train <= 0:
            raise ConfigError(
                f"data.val_fraction={self.val_fraction} and data.test_fraction={self.test_fraction} leave no text to "
                "train on; their sum must be less than 1"
            )
        ends = [train, train + val]
        if self.tokens == "words":
            ends = [_end_of_word(text, end) for end in ends]
        return text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] :]

    def _require_windows(self, name: str, tokens: list[Tensor]) -> None:
        """Raise DataError if a part is shorter than a window and the token after it."""
        if min(len(part) for part in tokens) > self.context:
            return
        sizes = ", ".join(f"{len(part):,} for {what}" for what, part in zip(_PARTS, tokens, strict=True))
        raise DataError(
            f"data '{name}' is too short for data.context={self.context}: it has {sizes}, and each needs "
            f"{self.context + 1} tokens; use a longer text or a smaller data.context"
        )


def _end_of_word(text: str, place: int) -> int:
    """The first place from this one on at which no word is cut in two."""
    while 0 < place < len(text) and not text[place - 1].isspace():
        place += 1
    return place


def _encode(text: str, spec: DataSpec) -> Tensor:
    """The tokens of a text, `(n,)` int32; characters, whose vocabulary is sorted, without a loop."""
    if spec.tokenizer != "characters":
        return torch.tensor(tokenizer_of(spec).encode(text), dtype=torch.int32)
    symbols = np.array([ord(symbol) for symbol in spec.vocabulary], dtype=np.uint32)
    characters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return torch.from_numpy(np.searchsorted(symbols, characters).astype(np.int32))


def _decode(content: bytes, place: str, encoding: str = "utf-8") -> str:
    """The bytes of a file as text with a single line feed at the ends of lines; raises DataError and ConfigError."""
    return decode(content, encoding, place, "plain text").replace("\r\n", "\n")


@dataclass(frozen=True, kw_only=True)
class Text(TextSource):
    """Any text in a `file`."""

    file: str | None = None
    encoding: str = "utf-8"

    def read(self) -> str:
        if self.file is None:
            raise ConfigError("data 'text' needs a file; write data.file=FILE, or data=tinyshakespeare or data=pydoc")
        path = user_path(self.file, "data.file")
        try:
            if not path.is_file():
                problem = "is not a regular file" if path.exists() else "does not exist"
                raise DataError(f"data.file={self.file} {problem}; expected a text file")
            return _decode(path.read_bytes(), f"data.file={self.file}", self.encoding)
        except OSError as error:
            raise DataError(f"cannot read data.file={self.file}: {error.strerror}") from None


@dataclass(frozen=True, kw_only=True)
class TinyShakespeare(DataFiles, TextSource):
    """Parts of Shakespeare's plays, 1,115,394 characters (Karpathy 2015, https://github.com/karpathy/char-rnn)."""

    FILE = "tinyshakespeare.txt"
    URLS = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",)
    CHECKSUM = "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    @property
    def is_here(self) -> bool:
        return lies_there(self._path)

    @property
    def _path(self) -> Path:
        return self.root_folder / "text" / self.FILE

    def read(self) -> str:
        path = self.ready(self._path, self.URLS, self.CHECKSUM)
        try:
            return _decode(path.read_bytes(), str(path))
        except OSError as error:
            raise DataError(
                f"cannot read {path}: {error.strerror}; write data.root=FOLDER for another folder"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Pydoc(TextSource):
    """The reference topics that come with Python itself, about 460,000 characters of English and code; no network."""

    def read(self) -> str:
        from pydoc_data.topics import topics

        return "\n".join(topics.values())
