"""Text out of the bytes of a file, in the encoding that the user says; an error names what the bytes are instead."""

import codecs

from dlcourse.errors import ConfigError, DataError

ENCODINGS = "utf-8, utf-16, cp1252 (Western), cp932 (Japanese) or gb18030 (Chinese)"
"""Those that files come in most; any that Python knows will do."""

_BINARY = {
    b"PK\x03\x04": "a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file (.xls, .doc)",
    b"%PDF": "a PDF file",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file",
}
_ZIPPED = {b"xl/": "an Excel workbook (.xlsx)", b"word/": "a Word document (.docx)"}
_NO_TEXT = ("undefined", "idna", "punycode", "unicode_escape", "raw-unicode-escape", "unicode-escape", "utf-7")
"""Encodings of Python that are for other things than files, or may give halves of characters."""


def decode(content: bytes, encoding: str, place: str, wanted: str, prefix: str = "data.") -> str:
    """The text, without a byte order mark; `place` names the file, `wanted` what to save instead of a binary one.

    `prefix` is what stands before the option `encoding` where it is typed. Raises DataError, and ConfigError for an
    encoding that is none.
    """
    name = _known(encoding, prefix)
    for start, kind in _BINARY.items():
        if content.startswith(start):
            zipped = (inside for part, inside in _ZIPPED.items() if kind == "a ZIP archive" and part in content)
            raise DataError(f"{place} is {next(zipped, kind)}, not text; save it as {wanted}")
    try:
        return content.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{place} is not {name.upper()}: byte 0x{content[error.start]:02x} at position {error.start:,}, in row {row:,}; "
            f"save it as UTF-8, or say what it is: {prefix}encoding=NAME, such as {ENCODINGS}"
        ) from None


def _known(encoding: str, prefix: str) -> str:
    """The encoding as Python calls it; raises ConfigError."""
    try:
        name = codecs.lookup(encoding).name
        b"a".decode(name, errors="ignore")  # some turn bytes into bytes
    except (LookupError, ValueError):
        name = _NO_TEXT[0]
    if name in _NO_TEXT:
        raise ConfigError(f"{prefix}encoding='{encoding}' is no encoding of text; expected one such as {ENCODINGS}")
    return name
