"""Text to tokens and back: characters, symbols between blanks, words, or byte pairs of the `tokenizers` library."""

import re
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from dlcourse.errors import ConfigError

if TYPE_CHECKING:
    from dlcourse.spec import DataSpec

PAD, START, END = 0, 1, 2
"""Tokens of every sequence-to-sequence vocabulary: filling, the first input of a decoder, the last output."""

SPECIAL = ("<pad>", "<start>", "<end>")
"""Their symbols."""


UNKNOWN = "<unk>"
"""Stands for all words of a running text that are not in its vocabulary."""

RUNNING_WORDS = "running words"
"""The tokenizer that takes a running text apart: words, punctuation marks and line feeds are tokens of their own."""

_RUNNING = re.compile(r"<unk>|\n|\w+(?:['\u2019-]\w+)*|[^\w\s]")
_NO_BLANK_BEFORE = frozenset(".,;:!?)]}\n")
_NO_BLANK_AFTER = frozenset("([{\n")


class Tokenizer(Protocol):
    """Turns text into tokens, whole numbers below the size of a vocabulary, and back."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; raises ConfigError for symbols that are not in the vocabulary."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""


class _Symbols:
    """Symbols, joined by `glue`, looked up in a vocabulary."""

    def __init__(self, vocabulary: Sequence[str], glue: str) -> None:
        self._vocabulary = tuple(vocabulary)
        self._index = {symbol: token for token, symbol in enumerate(vocabulary)}
        self._glue = glue

    def encode(self, text: str) -> list[int]:
        symbols = text.split() if self._glue else list(text)
        unseen = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._index]
        if unseen:
            kind, hint = ("symbol", "put a blank between symbols") if self._glue else ("character", "leave it out")
            shown = ", ".join(f"{symbol!r} ({kind} {symbols.index(symbol) + 1})" for symbol in unseen[:10])
            raise ConfigError(f"the training data have no {shown}; {hint}")
        return [self._index[symbol] for symbol in symbols]

    def decode(self, tokens: Sequence[int]) -> str:
        return self._glue.join(self._vocabulary[token] for token in tokens)


class _RunningWords:
    """Words and punctuation marks, of which those that are not in the vocabulary are UNKNOWN, if it has that."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._vocabulary = tuple(vocabulary)
        self._index = {word: token for token, word in enumerate(vocabulary)}

    def encode(self, text: str) -> list[int]:
        found, unknown = words_of(text), self._index.get(UNKNOWN)
        unseen = [word for word in dict.fromkeys(found) if word not in self._index]
        if unseen and unknown is None:
            shown = ", ".join(f"{word!r} (word {found.index(word) + 1})" for word in unseen[:10])
            raise ConfigError(f"the training data have no {shown}; use words of their vocabulary")
        return [self._index.get(word, unknown or 0) for word in found]

    def decode(self, tokens: Sequence[int]) -> str:
        text = ""
        for token in tokens:
            word = self._vocabulary[token]
            is_glued = not text or word in _NO_BLANK_BEFORE or text[-1] in _NO_BLANK_AFTER
            text += word if is_glued else f" {word}"
        return text


def words_of(text: str) -> list[str]:
    """The words, punctuation marks and line feeds of a running text, in order; other blanks only part them."""
    return _RUNNING.findall(text)


def learn_words(text: str, training: str, vocab_size: int) -> tuple[str, ...]:
    """All words of a text in order of the alphabet; if they are too many, UNKNOWN and those most frequent in training."""
    every = set(words_of(text))
    if len(every) <= vocab_size:
        return tuple(sorted(every))
    counts = Counter(words_of(training))
    counts.pop(UNKNOWN, None)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return (UNKNOWN, *sorted(ranked[: vocab_size - 1]))


class _BytePairs:
    """A byte-level byte-pair encoding (Sennrich 2016; on bytes, Radford 2019), which knows every text."""

    def __init__(self, serialized: str) -> None:
        self._tokenizer: Any = _tokenizers().Tokenizer.from_str(serialized)

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens)))


def is_byte_pairs(spec: "DataSpec") -> bool:
    """Whether tokens are byte pairs, which know every text, whatever their vocabulary."""
    return spec.tokenizer not in ("", "characters", "words", RUNNING_WORDS)


def tokenizer_of(spec: "DataSpec") -> Tokenizer:
    """The tokenizer of a data set of tokens."""
    if spec.tokenizer in ("characters", "words"):
        return _Symbols(spec.vocabulary, " " if spec.tokenizer == "words" else "")
    if spec.tokenizer == RUNNING_WORDS:
        return _RunningWords(spec.vocabulary)
    return _BytePairs(spec.tokenizer)


def encode_prompt(prompt: str, tokenizer: Tokenizer, option: str = "--prompt") -> list[int]:
    """The tokens of what was given for an option; raises ConfigError for symbols that are not in the vocabulary."""
    try:
        return tokenizer.encode(prompt)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None


def learn_byte_pairs(text: str, vocab_size: int) -> tuple[str, tuple[str, ...]]:
    """A byte-pair encoding learnt from a text, as JSON, and the symbol of each of its tokens."""
    library: Any = _tokenizers()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    alphabet = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    trainer = library.trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    symbols = tuple(tokenizer.id_to_token(token) for token in range(tokenizer.get_vocab_size()))
    return tokenizer.to_str(), symbols


def _tokenizers() -> ModuleType:
    try:
        import tokenizers
    except ImportError:
        raise ConfigError(
            "byte pairs need the library 'tokenizers': pip install 'dlcourse[bpe]', or write data.tokens=characters"
        ) from None
    return tokenizers
