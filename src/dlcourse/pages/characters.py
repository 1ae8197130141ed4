"""Text of strangers as characters that HTML may hold: those that would be obeyed, or that no page may have, as escapes."""

import re

from dlcourse.terminal import escaped

_LAST_OF_PLANES = "".join(chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF))
# Halves of characters, and the code points that Unicode keeps out of texts (https://www.unicode.org/faq/private_use.html).
_NO_TEXT = re.compile(f"[\ud800-\udfff\ufdd0-\ufdef{_LAST_OF_PLANES}]")


def visible(text: str, *, one_line: bool = False) -> str:
    """The text with each such character as in Python's source; newlines and tabs stay, unless it is to be one line."""
    return _NO_TEXT.sub(lambda found: _escape(found[0]), escaped(text, one_line=one_line))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
