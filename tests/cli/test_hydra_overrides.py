"""What a user types is what the config receives, whatever characters it holds."""

import random

import pytest

from dlcourse.cli.hydra_overrides import parse
from dlcourse.errors import ConfigError
from stand_in import CommandLine, command_line


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> CommandLine:
    return command_line(tmp_path, monkeypatch, capsys)


def _value(word):
    return parse([word])[0].value()


def _texts(count):
    """Texts of awkward characters that are neither numbers nor the start of a list, a quote or a reference."""
    alphabet = "abz09 _-/.:=~#()[]{}@!?%&*+|<>^;'\"`学生é😀"
    generator = random.Random(0)
    for _ in range(count):
        text = "".join(generator.choices(alphabet, k=generator.randint(1, 12))).strip()
        yield f"/{text}"


@pytest.mark.parametrize("text", list(_texts(300)))
def test_any_text_without_a_comma_arrives_as_typed(text):
    assert _value(f"data.root={text}") == text


@pytest.mark.parametrize(
    "text",
    [
        "/home/学生/データ",
        "~/x",
        "a/epoch=3",
        "it's",
        "'half",
        'say "x"',
        "#1",
        "C:/x y",
        "f(1, 2)",
        "x(",
        "[a] b",
        "a~b",
        "日",
    ],
)
def test_awkward_texts_reach_the_run(train, text):
    assert train("data=folder", f"data.root={text}") == 0
    assert train.trained.configs[0].data.options["root"] == text


def test_lists_keep_their_elements():
    assert _value("x=[a=b, 学, 1, [~], it's, 'q,r']") == ["a=b", "学", 1, ["~"], "it's", "q,r"]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("x=学,b=c,~", ["学", "b=c", "~"]),
        ("x='a,b',学", ["'a,b'", "'学'"]),
        ("x=choice(学,2)", ["'学'", "2"]),
        ("x=range(1,3)", ["1", "2"]),
    ],
)
def test_elements_of_a_sweep_are_quoted_one_by_one(word, values):
    swept = [value.strip("'") for value in parse([word])[0].sweep_string_iterator()]
    assert swept == [value.strip("'") for value in values]


@pytest.mark.parametrize(
    "word", ["x='a b'", 'x="it\'s"', "x=[1,2]", "x=null", "x=1e-3", "x=${seed}", "x=a,b", "x={a: 1}"]
)
def test_what_hydra_reads_is_left_alone(word):
    assert parse([word])[0].input_line == word


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs", "'epochs' is not of the form option=value"),
        ("x=[1,2", r"cannot read 'x=\[1,2': '\[' is not closed by '\]'"),
        ("x={a: 1", "is not closed by '}'"),
        ("modèle=cnn", "'modèle' cannot be the name of an option"),
        ("x=a\nb", "the value of 'x' holds a control character"),
        ("x=" + "9" * 5000, "the value of 'x' is too long"),
        ("x=" + "[" * 2000 + "]" * 2000, "too many brackets inside brackets"),
        ("x=\udcff", "the value of 'x' is not UTF-8"),
        ("x=a,,b", "cannot read the value of 'x'"),
        (
            "x=[a,choice(b,c)]",
            r"has a function of several values, .* inside brackets; .* as x=choice\(\[a,b\],\[a,c\]\)",
        ),
        ("x={a: [range(1,3)]}", "has a function of several values"),
        ("x=[choice(a,b)],[c]", "has a function of several values"),
    ],
)
def test_what_nobody_can_read_is_refused(word, message):
    with pytest.raises(ConfigError, match=message):
        parse([word])


def test_open_brackets_inside_each_other_take_no_time():
    text = "a(" * 40 + "#"
    assert _value(f"x={text}") == text
