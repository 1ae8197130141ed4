"""Text to tokens and back."""

import random
import sys

import pytest

from dlcourse.errors import ConfigError
from dlcourse.spec import DataSpec
from dlcourse.tokens import RUNNING_WORDS, UNKNOWN, Tokenizer, learn_byte_pairs, learn_words, tokenizer_of, words_of

TEXT = "the cat sat on the mat and the rat sat on the cat\n" * 20


def of(tokenizer: str, vocabulary: tuple[str, ...]) -> Tokenizer:
    return tokenizer_of(DataSpec("any", (4,), len(vocabulary), "next", vocabulary=vocabulary, tokenizer=tokenizer))


def test_characters() -> None:
    tokenizer = of("characters", ("\n", " ", "a", "é"))
    assert tokenizer.encode("a é\n") == [2, 1, 3, 0]
    assert tokenizer.decode([3, 3, 0, 2]) == "éé\na"
    assert tokenizer.encode("") == []


def test_words() -> None:
    tokenizer = of("words", ("cat", "sat", "the"))
    assert tokenizer.encode(" the cat\nsat") == [2, 0, 1]
    assert tokenizer.decode([2, 0]) == "the cat"


def test_unseen_symbols_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"^the training data have no 'z' \(character 3\), '\\t' \(character 5\); leave it out"
    ):
        of("characters", ("a", "b")).encode("abzz\tb")
    with pytest.raises(ConfigError, match=r"no 'dog' \(symbol 2\); put a blank between symbols$"):
        of("words", ("cat",)).encode("cat dog cat dog")


def test_byte_pairs_bring_back_any_text() -> None:
    tokenizer = of(*learn_byte_pairs(TEXT, 300))
    chooser = random.Random(0)
    alphabet = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    texts = ["", " ", "\n\n  \t x\r\n", "e\u0301é", "👩‍👩‍👧 日本語", "\0\x1f\x7f\ufeff", "<|endoftext|>"]
    texts += ["".join(chooser.choices(alphabet, k=50)) for _ in range(200)]
    texts += ["".join(chooser.choices(" \n\tab'.1é", k=50)) for _ in range(200)]
    for text in texts:
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        assert all(0 <= token < 300 for token in tokens)


def test_byte_pairs_are_those_that_are_frequent() -> None:
    serialized, symbols = learn_byte_pairs(TEXT, 275)
    assert len(symbols) == len(set(symbols)) <= 275
    assert {"at", "Ġthe"} <= set(symbols)
    tokenizer = of(serialized, symbols)
    assert [symbols[token] for token in tokenizer.encode("the cat")] == ["the", "Ġcat"]
    assert len(tokenizer.encode(TEXT)) < len(TEXT) / 3
    assert learn_byte_pairs(TEXT, 275) == (serialized, symbols)


def test_byte_pairs_without_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"pip install 'dlcourse\[bpe\]', or write data.tokens=characters"):
        learn_byte_pairs(TEXT, 300)


def test_running_words_are_words_punctuation_marks_and_line_feeds() -> None:
    text = "The cat's mat: well-worn (and flat)!\n\nSat \t it?"
    found = ["The", "cat's", "mat", ":", "well-worn", "(", "and", "flat", ")", "!", "\n", "\n", "Sat", "it", "?"]
    assert words_of(text) == found
    vocabulary = learn_words(text, text, 100)
    assert vocabulary == tuple(sorted(set(found)))
    tokenizer = of(RUNNING_WORDS, vocabulary)
    assert [vocabulary[token] for token in tokenizer.encode(text)] == found
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("Sat \t it", "Sat it")


def test_rare_words_of_a_running_text_are_unknown() -> None:
    vocabulary = learn_words("a a a b b c d e", "a a a b b c d", 3)
    assert vocabulary == (UNKNOWN, "a", "b")
    tokenizer = of(RUNNING_WORDS, vocabulary)
    assert tokenizer.encode("b c a zebra") == [2, 0, 1, 0] and tokenizer.decode([2, 0]) == "b <unk>"
    with pytest.raises(
        ConfigError, match=r"^the training data have no 'zebra' \(word 2\); use words of their vocabulary$"
    ):
        of(RUNNING_WORDS, ("a", "b")).encode("a zebra b zebra")
