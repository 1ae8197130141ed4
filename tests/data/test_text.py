"""Texts cut into windows: what they cover, how they are drawn, where the text comes from, and what is refused."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlcourse.config.registry import Choice
from dlcourse.data import DATASETS, download
from dlcourse.data.text import Text, TextSplit, TinyShakespeare
from dlcourse.errors import ConfigError, DataError
from dlcourse.spec import Data
from dlcourse.tokens import tokenizer_of
from lab import Lab

LINES = "".join(f"line {number} says {number * number}\n" for number in range(400))


def build(name: str = "text", seed: int = 0, **options: object) -> Data:
    return DATASETS.build(Choice(name, options)).build(name=name, seed=seed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text(LINES, encoding="utf-8")
    return path


def decoded(data: Data, tokens: Tensor) -> str:
    return tokenizer_of(data.spec).decode(tokens.flatten().tolist())


def windows(split: TextSplit, epoch: int | None, batch_size: int = 7) -> tuple[Tensor, Tensor]:
    inputs, targets = zip(*split.batches(batch_size, epoch=epoch), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def test_what_a_text_announces(path: Path) -> None:
    spec = build(file=str(path), context=16).spec
    assert spec.vocabulary == tuple(sorted(set(LINES)))
    assert (spec.input_shape, spec.num_outputs, spec.target) == ((16,), len(spec.vocabulary), "next")
    assert (spec.tokenizer, spec.zeros(2).dtype, spec.zeros(2).shape) == ("characters", torch.int64, (2, 16))


@pytest.mark.parametrize("tokens", ["characters", "bpe"])
def test_the_parts_are_the_text_in_order(path: Path, tokens: str) -> None:
    data = build(file=str(path), tokens=tokens, vocab_size=300, val_fraction=0.2, test_fraction=0.1)
    parts = [decoded(data, split.tokens) for split in (data.train, data.val, data.test)]
    assert "".join(parts) == LINES
    assert [len(part) for part in parts[1:]] == [round(0.2 * len(LINES)), round(0.1 * len(LINES))]


def test_byte_pairs_are_learnt_on_the_training_part_alone(path: Path) -> None:
    options = {"file": str(path), "tokens": "bpe", "vocab_size": 300, "context": 8}
    before = build(**options).spec
    held_out = 2 * round(0.05 * len(LINES))
    path.write_text(LINES[:-held_out] + ("zebra " * held_out)[:held_out], encoding="utf-8")
    after = build(**options).spec
    assert after.tokenizer == before.tokenizer
    assert not any("zeb" in symbol for symbol in after.vocabulary)


@pytest.mark.parametrize("length", [9, 16, 17, 25, 100, 160, 161])
def test_evaluation_covers_the_part_next_to_each_other(length: int) -> None:
    split = TextSplit(torch.arange(length, dtype=torch.int32), context=8, windows=3)
    inputs, targets = windows(split, None)
    count = (length - 1) // 8
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (count, 8)
    assert inputs.flatten().tolist() == list(range(8 * count))
    assert targets.flatten().tolist() == list(range(1, 8 * count + 1))


@pytest.mark.parametrize("length", [9, 16, 17, 25, 100, 160, 161])
def test_an_epoch_covers_the_part_once_from_a_random_place(length: int) -> None:
    split = TextSplit(torch.arange(length, dtype=torch.int32), context=8)
    firsts = set()
    for epoch in range(40):
        inputs, targets = windows(split, epoch)
        assert len(inputs) == len(split) == max(1, length // 8 - 1)
        assert torch.equal(targets, inputs + 1)
        assert int(targets.max()) < length
        in_order = inputs[inputs[:, 0].argsort()].flatten().tolist()
        assert in_order == list(range(in_order[0], in_order[0] + 8 * len(inputs)))
        firsts.add(in_order[0])
    assert firsts == set(range(min(8, length - 8 * len(split))))


def test_windows_are_drawn_from_every_place() -> None:
    split = TextSplit(torch.arange(20, dtype=torch.int32), context=8, windows=500)
    inputs, targets = windows(split, 1)
    assert len(inputs) == len(split) == 500
    assert set(inputs[:, 0].tolist()) == set(range(12))
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs, inputs[:, :1] + torch.arange(8))


@pytest.mark.parametrize("drawn", [None, 50])
def test_an_epoch_is_a_function_of_the_seed(path: Path, drawn: int | None) -> None:
    first, again, other = (build(seed=seed, file=str(path), windows=drawn).train for seed in (1, 1, 2))
    assert torch.equal(windows(first, 3)[0], windows(again, 3, batch_size=100)[0])
    assert not torch.equal(windows(first, 3)[0], windows(first, 4)[0])
    assert not torch.equal(windows(first, 3)[0], windows(other, 3)[0])


def test_no_batch_has_a_single_window() -> None:
    split = TextSplit(torch.arange(200, dtype=torch.int32), context=8, windows=13)
    assert [len(batch.inputs) for batch in split.batches(4, epoch=1)] == [4, 4, 5]
    assert split.pictures(torch.tensor([0])) is None


def test_marks_of_windows_files_are_no_symbols(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode())
    assert build(file=str(path)).spec.vocabulary == tuple(sorted(set(LINES)))


def test_pydoc_needs_no_network() -> None:
    data = build("pydoc")
    assert "Python" in decoded(data, data.test.tokens)
    assert len(data.train) > 3000


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            b"caf\xe9 au lait",
            {},
            r"lines.txt is not UTF-8: byte 0xe9 at position 3, in row 1; save it as UTF-8, or say what it is: data.enc",
        ),
        (b"", {}, r"^data 'text' has 0 different symbols; a text needs at least 2$"),
        (b"a" * 9000, {}, r"^data 'text' has 1 different symbols; a text needs at least 2$"),
        (
            b"ab" * 500,
            {},
            r"^data 'text' is too short for data.context=64: it has 900 for training, 50 for validation, 50 for test, "
            r"and each needs 65 tokens; use a longer text or a smaller data.context$",
        ),
        (b"ab" * 500, {"val_fraction": 0.7, "test_fraction": 0.3}, "their sum must be less than 1$"),
    ],
)
def test_texts_that_cannot_be_used(path: Path, content: bytes, options: dict, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        build(file=str(path), **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path, lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"^data 'text' needs a file; write data.file=FILE"):
        build()
    with pytest.raises(DataError, match=r"^data.file=nowhere.txt does not exist; expected a text file$"):
        build(file="nowhere.txt")
    with pytest.raises(DataError, match="is not a regular file"):
        build(file=str(tmp_path))
    with pytest.raises(DataError, match=r"^cannot read data.file=n+: File name too long$"):
        build(file="n" * 300)
    with pytest.raises(ConfigError, match=r"data\.vocab_size must be a whole number >= 257, got 256"):
        build("pydoc", vocab_size=256)


CONTENT = LINES.encode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the lines, or at /wrong something else."""

    def do_GET(self) -> None:
        body = CONTENT if self.path != "/wrong" else b"<html>Please log in"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a server that stands in for GitHub, with the checksum of what it has."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "fetch", functools.partial(download.fetch, pause=0))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(TinyShakespeare, "URLS", (f"{address}input.txt",))
    monkeypatch.setattr(TinyShakespeare, "CHECKSUM", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def test_tinyshakespeare_is_downloaded_once(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"tinyshakespeare\.txt is not in .*; write data.root=FOLDER"):
        TinyShakespeare(download=False).read()
    assert TinyShakespeare().read() == LINES
    assert (tmp_path / "text" / "tinyshakespeare.txt").read_bytes() == CONTENT
    monkeypatch.setattr(TinyShakespeare, "URLS", ())
    assert TinyShakespeare(root=str(tmp_path), download=False).read() == LINES


def test_tinyshakespeare_must_be_the_published_one(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text" / "tinyshakespeare.txt"
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="sha256 differs from the published one"):
        TinyShakespeare(root=str(tmp_path)).read()
    assert TinyShakespeare(root=str(tmp_path), verify=False).read() == LINES[:-1]
    path.unlink()
    monkeypatch.setattr(TinyShakespeare, "URLS", (f"{address}wrong",))
    with pytest.raises(DataError, match=r"cannot download tinyshakespeare.txt .*wrong sha256"):
        TinyShakespeare(root=str(tmp_path)).read()
    assert not path.exists()


def test_the_real_tinyshakespeare(real_data: Path) -> None:
    if not (real_data / "text" / "tinyshakespeare.txt").is_file():
        pytest.skip(f"no text/tinyshakespeare.txt in {real_data}")
    data = build("tinyshakespeare", root=str(real_data), download=False)
    assert len(data.spec.vocabulary) == 65
    assert [len(split.tokens) for split in (data.train, data.val, data.test)] == [1_003_854, 55_770, 55_770]
    assert decoded(data, data.train.tokens[:14]) == "First Citizen:"


def test_the_parts_of_a_text_of_words_end_between_two_of_them(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(200)]
    (tmp_path / "own.txt").write_text(" ".join(words))
    data = Text(file=str(tmp_path / "own.txt"), tokens="words", context=2).build(name="text", seed=0)
    parts = [data.train, data.val, data.test]
    found = [data.spec.vocabulary[token] for part in parts for token in part.tokens.tolist()]
    assert found == words and [len(part.tokens) for part in parts] == [182, 9, 9]  # 5 % of the letters
