"""Pictures in a page: what is told of them, which files are none, and that none loses a pixel to make room."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse.errors import ConfigError, DataError
from dlcourse.pages import figures, folder
from dlcourse.pages.figures import end_pictures, fitting, read_figure, read_figures, smaller
from dlcourse.pages.parts import Figure, Table, Text


def png(pixels: np.ndarray, **options: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="png", **options)
    return content.getvalue()


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def figure(content: bytes, file: str = "a.png") -> Figure:
    return Figure(file, "", "", "", content, 1, 1)


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_a_known_picture_has_its_title_and_how_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "confusion_matrix.png").write_bytes(png(noise()))
    found = read_figure(tmp_path / "confusion_matrix.png", "mlp on digits")
    assert (found.title, found.width, found.height) == ("Confusion matrix", 60, 40)
    assert found.alt.startswith("Confusion matrix, of mlp on digits. Rows are true classes")
    assert found.uri.startswith("data:image/png;base64,iVBOR") and found.bytes_in_page == len(found.uri) - 22


def test_an_unknown_picture_is_called_by_its_file(tmp_path: Path) -> None:
    for name in ("zz_new_picture.png", "mistakes.png", "learning_curve.png", ".hidden.png"):
        (tmp_path / name).write_bytes(png(noise()))
    shown = end_pictures(tmp_path, most=9)
    assert [path.name for path in shown] == ["learning_curve.png", "mistakes.png", "zz_new_picture.png"]
    found, problems = read_figures(shown, "x")
    assert [each.title for each in found] == ["Learning curve", "Most confident mistakes", "Zz new picture"]
    assert problems == [] and len(end_pictures(tmp_path, most=1)) == 1


def test_a_picture_of_an_epoch_says_of_which(tmp_path: Path) -> None:
    (tmp_path / "samples_0003.png").write_bytes(png(noise()))
    assert read_figure(tmp_path / "samples_0003.png", "x", "epoch 3").title == "Samples, epoch 3"


@pytest.mark.parametrize(
    "content", [b"", b"<svg onload=alert(1)>", png(noise())[:-20], png(noise())[:40], b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_told_and_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(noise()))
    (tmp_path / "mistakes.png").write_bytes(content)
    found, problems = read_figures(end_pictures(tmp_path, 9), "x")
    assert [each.file for each in found] == ["good.png"]
    assert problems == ["mistakes.png is damaged, it is no PNG picture"]


def test_a_small_file_of_a_huge_picture_is_left_out(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 1000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png is too large for a page"):
        read_figure(tmp_path / "a.png", "x")


def test_smaller_keeps_every_pixel() -> None:
    few_colors = np.repeat(np.repeat(noise(10, 12) // 64 * 64, 20, axis=0), 20, axis=1)
    for before in (png(few_colors, compress_level=0), png(noise() // 16, compress_level=0)):
        after = smaller(figure(before)).content
        assert len(after) < len(before)
        assert np.array_equal(pixels(after), pixels(before))
    assert smaller(figure(b"no picture")).content == b"no picture"


def test_a_page_with_room_takes_the_files_as_they_are_and_one_without_the_first_of_them() -> None:
    large = [figure(png(noise() // 16, compress_level=0), f"{name}.png") for name in "abc"]
    whole = sum(each.bytes_in_page for each in large)
    assert fitting(large, whole) == large
    assert [each is not None for each in fitting(large, whole - 1)] == [True, True, True]
    room = 2 * smaller(large[0]).bytes_in_page
    assert [None if each is None else each.file for each in fitting(large, room)] == ["a.png", "b.png", None]
    assert fitting([], 0) == []


def test_links_and_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "run" / "progress").mkdir(parents=True)
    for name in ("samples_0001.png", "samples_0010.png", "codes_0002.png", "samples.png", "Samples_0001.png"):
        (tmp_path / "run" / "progress" / name).write_bytes(b"")
    found = folder.progress(tmp_path / "run", "png")
    assert [(each.name, each.epoch) for each in found] == [("codes", 2), ("samples", 1), ("samples", 10)]
    folder.refuse_links(tmp_path / "run")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "run" / "progress" / "samples_0002.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match=r"samples_0002.txt is a link"):
        folder.refuse_links(tmp_path / "run")


def test_texts_and_cells_are_cut(tmp_path: Path) -> None:
    text = Text.of("Samples", "samples.txt", "x" * 20_000)
    assert len(text.content) < 13_000 and text.content.endswith("8,000 characters more in samples.txt")
    assert [len(cell) for cell in Table.of("", ["a"], [["y" * 500]]).rows[0]] == [120]
    assert folder.read_text(tmp_path / "none.txt") == ""
    assert figures.end_pictures(tmp_path, 3) == {}
