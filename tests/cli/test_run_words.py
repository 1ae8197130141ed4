"""The words behind a verb that takes one run: RUN, flags with a value, and what is said to others."""

from pathlib import Path

import pytest

from dlcourse.cli.run_words import read_words, require_done
from dlcourse.errors import ConfigError, DataError, UserError
from dlcourse.runs.record import RunRecord, State


def test_the_run_and_its_flags_come_in_any_order() -> None:
    given = read_words("export", ["--to", "onnx", "a", "--out=b"], ("--to", "--out"))
    assert (given.run, given.to, given.out) == ("a", "onnx", "b")
    assert read_words("export", ["a"], ("--to",)).to is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b"], "'b': export takes one RUN; write dlcourse export a --to onnx"),
        ([], "RUN is missing; write dlcourse export outputs/NAME/TIME --to onnx"),
        (["a", "--ot", "x"], "unknown flag '--ot'; did you mean '--to'?"),
        (["a", "--to"], "--to needs a value; write dlcourse export --help"),
    ],
)
def test_mistakes_are_answered_with_what_to_type(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_words("export", words, ("--to",), "--to onnx")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("damaged", DataError, "cannot export my run: why"),
        ("running", ConfigError, "my run is still running; wait"),
        ("failed", ConfigError, "my run has failed (why); dlcourse export needs a finished run"),
        ("stopped", ConfigError, "my run is not finished; write dlcourse resume 'my run'"),
        ("cut short", ConfigError, "my run is not finished; write dlcourse resume 'my run'"),
    ],
)
def test_a_run_that_is_not_done_is_refused(state: State, kind: type[UserError], message: str) -> None:
    with pytest.raises(kind) as caught:
        require_done(RunRecord(Path("my run"), state, "why"), "export")
    assert str(caught.value).startswith(message)
    require_done(RunRecord(Path("my run"), "done"), "export")
