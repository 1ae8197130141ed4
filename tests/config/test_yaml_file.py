"""A YAML file is read with limits, and what is wrong with it is said in one line."""

from pathlib import Path

import pytest

from dlcourse.config.yaml_file import read_yaml
from dlcourse.errors import ConfigError


def test_a_mapping_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("lr: 0.1  # a comment\nhidden: [4, 5]\n")
    assert read_yaml(tmp_path / "a.yaml") == {"lr": 0.1, "hidden": [4, 5]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty; expected lines of the form 'option: value'"),
        (b"[1, 2]", "holds a list; expected"),
        (b"a: &x 1\nb: *x\n", "line 1: anchors (& and *) are not allowed here"),
        (b"a: " + 21 * b"[", "line 1: too deeply nested"),
        (b"a: 1\nb: [1\n", "line 3: "),
        (b"? 0x" + 4000 * b"f" + b"\n: 1\n", "line 1: a word of 4,002 characters"),
        (b"a: !!int x\n", "invalid literal"),
        (b"a: !!timestamp x\n", "has a value that does not fit its tag (!!...); write the value alone"),
        (b"a: caf\xe9\n", "is not UTF-8 (byte 6); save it as UTF-8"),
        (b"#" * (64 * 1024 + 1), "is too large for a config file; the limit is 64 KiB"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_name_of_the_file(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path)) and problem in str(caught.value)
    assert "\n" not in str(caught.value)
