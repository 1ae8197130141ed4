"""Archives of images: all kinds are unpacked, and what is damaged, reaches outside or fills the disk is refused."""

import bz2
import gzip
import io
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcourse.data import archives
from dlcourse.data.archives import is_archive, unpack_images
from dlcourse.errors import DataError
from odd_photos import photos


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("form", "name"), [("zip", "p.zip"), ("tar", "p.tar"), ("gztar", "p.tar.gz"), ("xztar", "p.tar.xz")]
)
@pytest.mark.parametrize("around", [False, True])
def test_the_images_of_an_archive_are_what_was_packed(tmp_path: Path, form: str, name: str, around: bool) -> None:
    photos(tmp_path / "photos", cat=3, dog=2)
    expected = contents(tmp_path / "photos")
    (tmp_path / "photos/cat/notes.txt").write_text("no image")
    (tmp_path / "photos/bird").mkdir()
    root, base = (tmp_path, "photos") if around else (tmp_path / "photos", None)
    shutil.make_archive(str(tmp_path / "p"), form, root, base)
    top, left_out = unpack_images(tmp_path / name, tmp_path / "new")
    assert contents(top) == expected
    assert sorted(entry.name for entry in top.iterdir()) == ["bird", "cat", "dog"]
    assert [Path(name).name for name in left_out] == ["notes.txt"]
    assert is_archive(tmp_path / name)


def in_tar(*members: tarfile.TarInfo) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return content.getvalue()


def in_zip(**files: bytes | str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 3, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size if kind == tarfile.REGTYPE else 0, link
    return info


def linked_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = zipfile.ZipInfo("cat/link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/hostname")
    return content.getvalue()


def damaged_bz2() -> bytes:
    """So long that its header can be read."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(member("cat/x.png", size=1_000_000), io.BytesIO(random.Random(0).randbytes(1_000_000)))
    packed = bytearray(bz2.compress(content.getvalue()))
    packed[-1000] ^= 255
    return bytes(packed)


def with_comment(size: int) -> tarfile.TarInfo:
    info = member("cat/x.png")
    info.pax_headers = {"comment": "x" * size}
    return info


BYTES = bytes(range(256))
BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "upwards": ("a.tar", lambda: in_tar(member("cat/../../x.png")), "points outside the archive"),
    "absolute": ("a.tar", lambda: in_tar(member("/tmp/x.png")), "points outside the archive"),
    "upwards in a zip": ("a.zip", lambda: in_zip(**{"../x.png": "x"}), "points outside the archive"),
    "backslashes": ("a.zip", lambda: in_zip(**{"..\\x.png": "x"}), "points outside the archive"),
    "a link": ("a.tar", lambda: in_tar(member("cat/x.png", tarfile.SYMTYPE, link="/etc")), "is a link"),
    "a hard link": ("a.tar", lambda: in_tar(member("cat/x.png", tarfile.LNKTYPE, link="y")), "is a link"),
    "a link in a zip": ("a.zip", linked_zip, "is a link"),
    "a pipe": ("a.tar", lambda: in_tar(member("cat/x.png", tarfile.FIFOTYPE)), "is not a regular file"),
    "a name twice": ("a.tar", lambda: in_tar(member("cat/x.png"), member("./cat/x.png")), "two files called cat/x.png"),
    "a file as folder": ("a.tar", lambda: in_tar(member("cat.png"), member("cat.png/x.png")), "a file and a folder of the"),
    "a bomb": ("a.zip", lambda: in_zip(**{f"cat/{i}.png": bytes(2 << 20) for i in range(2)}), "far more than images do"),
    "no archive": ("a.zip", lambda: b"PK\x03\x04 and no more", "is damaged"),
    "no tar": ("a.tar.gz", lambda: b"\x1f\x8b\x08 and no more", "is damaged"),
    "cut off": ("a.tar", lambda: in_tar(member("cat/x.png", size=5000))[:2000], "is damaged"),
    "a flipped bit in bz2": ("a.tar.bz2", damaged_bz2, "is damaged"),
    "a long name": ("a.tar", lambda: in_tar(member(f"cat/{'x' * 300}.png")), "has a file name that is too long"),
    "deep folders": ("a.tar", lambda: in_tar(member("a/" * 17 + "x.txt")), "more than 16 levels deep"),
    "another drive": ("a.zip", lambda: in_zip(**{"C:x.png": "x"}), "points outside the archive"),
    "a huge header": ("a.tar.gz", lambda: gzip.compress(in_tar(with_comment(17 << 20)), 1), "a header of 17,8"),
    "a flipped bit": ("a.zip", lambda: in_zip(**{"cat/x.png": BYTES}).replace(b"\x80\x81", b"\x80\x80"), "is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_archive_is_one_line_and_writes_nothing_outside(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FREE", 1 << 20)
    name, make, message = BAD[kind]
    (tmp_path / name).write_bytes(make())
    before = {path for path in tmp_path.parent.rglob("*.png") if tmp_path / "deep" not in path.parents}
    with pytest.raises(DataError) as caught:
        unpack_images(tmp_path / name, tmp_path / "deep" / "er")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert {path for path in tmp_path.parent.rglob("*.png") if tmp_path / "deep" not in path.parents} == before


def test_too_many_bytes_are_refused_before_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 1000)
    (tmp_path / "a.zip").write_bytes(in_zip(**{f"cat/{i}.png": bytes(300) for i in range(4)}))
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        unpack_images(tmp_path / "a.zip", tmp_path / "new")
    assert sum(path.stat().st_size for path in (tmp_path / "new").rglob("*.png")) <= 1000


def test_a_size_that_is_a_lie_does_not_fill_the_disk(tmp_path: Path) -> None:
    content, size = in_zip(**{"cat/x.png": bytes(200_000)}), (200_000).to_bytes(4, "little")
    assert content.count(size) == 2
    (tmp_path / "a.zip").write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(DataError, match="is damaged"):
        unpack_images(tmp_path / "a.zip", tmp_path / "new")
    assert all(path.stat().st_size <= 100 for path in (tmp_path / "new").rglob("*.png"))


def test_too_many_files_and_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    members = [member(f"cat/{i}", tarfile.DIRTYPE) for i in range(3)]
    (tmp_path / "a.tar").write_bytes(in_tar(*members))
    unpack_images(tmp_path / "a.tar", tmp_path / "new")
    (tmp_path / "a.tar").write_bytes(in_tar(*members, member("cat/x.png")))
    with pytest.raises(DataError, match="holds more than 3 files"):
        unpack_images(tmp_path / "a.tar", tmp_path / "more")


def test_a_name_with_a_colon_is_inside(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(in_tar(member("12:30/cat/x.png"), member("12:30/dog/x.png")))
    top, _ = unpack_images(tmp_path / "a.tar", tmp_path / "new")
    assert sorted(contents(top)) == ["cat/x.png", "dog/x.png"]


def test_what_a_mac_adds_is_left_out_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(in_zip(**{"p/cat/x.png": "x", "p/dog/x.png": "x", "__MACOSX/p/cat/._x.png": "x"}))
    top, left_out = unpack_images(tmp_path / "a.zip", tmp_path / "new")
    assert (top.name, sorted(contents(top)), left_out) == ("p", ["cat/x.png", "dog/x.png"], [])
