"""Text out of bytes: any encoding that is one, without byte order marks, and errors that say what the bytes are."""

import io
import zipfile

import pytest

from dlcourse.data.text_file import decode
from dlcourse.errors import UserError

TEXT = "色,kind\r\n1,犬\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp932", "gb18030", "EUC_JP"])
def test_text_comes_back_without_a_mark_whatever_its_encoding(encoding: str) -> None:
    assert decode(TEXT.encode(encoding), encoding, "table.csv", "CSV") == TEXT
    assert decode(("\ufeff" + TEXT).encode("utf-8"), "utf-8", "table.csv", "CSV") == TEXT


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (
            "色,kind\n1,a\n".encode("cp932"),
            "utf-8",
            "is not UTF-8: byte 0x90 at position 0, in row 1; save it as UTF-8, or ",
        ),
        (
            "色,kind\n1,a\n".encode("cp932"),
            "utf-8",
            "data.encoding=NAME, such as utf-8, utf-16, cp1252 (Western), cp932",
        ),
        (
            "x,kind\n1,色\n".encode(),
            "ascii",
            "is not ASCII: byte 0xe8 at position 9, in row 2; save it as UTF-8, or say",
        ),
        (
            b"x",
            "klingon",
            "data.encoding='klingon' is no encoding of text; expected one such as utf-8, utf-16",
        ),
        (b"x", "rot13", "data.encoding='rot13' is no encoding of text"),
        (b"x", "utf-7", "data.encoding='utf-7' is no encoding of text"),
        (b"x", "zlib", "data.encoding='zlib' is no encoding of text"),
        (b"x,kind\n\\ud800,a\n", "unicode_escape", "data.encoding='unicode_escape' is no encoding of text"),
        (b"x", "a\0b", "is no encoding of text"),
        (zipped("xl/workbook.xml"), "utf-8", "table.csv is an Excel workbook (.xlsx), not text; save it as CSV"),
        (zipped("x.npy"), "cp1252", "table.csv is a ZIP archive, not text; save it as CSV"),
        (b"\x1f\x8b\x08\x00", "utf-8", "table.csv is a gzip archive, not text; save it as CSV"),
    ],
)
def test_bytes_that_are_no_text_in_that_encoding(content: bytes, encoding: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        decode(content, encoding, "table.csv", "CSV")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
