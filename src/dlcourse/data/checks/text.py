"""What is odd about a text to continue: characters that training lacks or has once, control characters, repeated lines."""

import unicodedata
from collections import Counter
from collections.abc import Iterator

from dlcourse.data.checks.finding import Finding, some
from dlcourse.text_table import counted

_LONG = 40
"""Characters from which on a line that comes several times is no accident."""


def check_text(training: str, held_out: str, tokens: str) -> list[Finding]:
    """All that is odd about a text, of which the first part is for training and the rest is held out.

    Only if its `tokens` are characters does it matter that some of these are rare.
    """
    rare = _rare(training, held_out) if tokens == "characters" else ()
    return [*rare, *_findings(training, held_out)]


def _rare(training: str, held_out: str) -> Iterator[Finding]:
    counts = Counter(training)
    unseen = sorted(set(held_out) - set(counts))
    if unseen:
        what = "only in the held-out part: training cannot learn them"
        yield Finding(f"characters {some([_shown(c) for c in unseen])}", what, "replace or remove them")
    once = sorted(c for c, count in counts.items() if count == 1)
    if once:
        what = "only once in the training part, too rarely to learn from"
        yield Finding(f"characters {some([_shown(c) for c in once])}", what, "replace them, or write data.tokens=bpe")


def _findings(training: str, held_out: str) -> Iterator[Finding]:
    counts = Counter(training)
    control = sorted(
        c for c in {*counts, *held_out} if unicodedata.category(c) in ("Cc", "Co", "Cn") and c not in "\n\t\r"
    )
    if control or "\ufffd" in counts:
        odd = [*control, *(["\ufffd"] if "\ufffd" in counts else [])]
        what = "control characters, or a sign of a wrong encoding"
        yield Finding(f"characters {some([_shown(c) for c in odd])}", what, "remove them, or write data.encoding=NAME")
    lines = {line for line in training.splitlines() if len(line) >= _LONG}
    both = [line for line in dict.fromkeys(held_out.splitlines()) if line in lines]
    if both:
        what = "in both training and the held-out part, which makes the test too easy"
        yield Finding(f"{counted(len(both), 'line')}, such as {both[0][:_LONG]!r}", what, "remove repeated passages")


def _shown(character: str) -> str:
    return repr(character) if character.isprintable() else f"U+{ord(character):04X}"
