"""Tables in CSV files: what becomes a feature, what a class, and an error that names row and column for what does not."""

import json
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from dlcourse.cli.main import main
from dlcourse.config.paths import conf_dir
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.dataset import Tables
from dlcourse.errors import UserError
from lab import Lab

PETS = "size,color,kind\n" + "1.5,red,dog\n2,blue,cat\n-3e1,red,dog\n4,green,cat\n5,red,dog\n"


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def load(folder: Path, content: str | bytes, target: str | None = "kind", **options: object) -> Tables:
    return CsvFile(file=write(folder, content), target=target, **options).load()


def all_rows(tables: Tables) -> list[tuple[float, ...]]:
    inputs = torch.cat([tables.train_inputs, tables.test_inputs])
    targets = torch.cat([tables.train_targets, tables.test_targets])
    return sorted((*row, target) for row, target in zip(inputs.tolist(), targets.flatten().tolist(), strict=True))


def test_text_becomes_a_feature_for_each_value_and_a_class(tmp_path: Path) -> None:
    tables = load(tmp_path, PETS)
    assert tables.feature_names == ("size", "color=blue", "color=green", "color=red")
    assert tables.class_names == ("cat", "dog")
    assert tables.train_inputs.dtype == torch.float32
    assert (len(tables.train_targets), len(tables.test_targets)) == (4, 1)
    assert all_rows(tables) == [(-30, 0, 0, 1, 1), (1.5, 0, 0, 1, 1), (2, 1, 0, 0, 0), (4, 0, 1, 0, 0), (5, 0, 0, 1, 1)]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (PETS.replace(",", ";"), {"separator": ";"}),
        (PETS.replace(",", "\t"), {"separator": "tab"}),
        (b"\xef\xbb\xbf" + PETS.encode(), {}),
        (PETS.replace("\n", "\r\n"), {}),
        (PETS.replace(",", " , ").replace("\n", "\n\n"), {}),
        (PETS.replace("red", '"red"'), {}),
        ("n," + PETS.replace("\n", "\n7,").removesuffix("7,"), {"drop": ("n",)}),
    ],
)
def test_dialects_of_the_same_table(tmp_path: Path, content: str | bytes, options: dict) -> None:
    expected = all_rows(load(tmp_path, PETS))
    assert all_rows(load(tmp_path, content, **options)) == expected


@pytest.mark.parametrize("target", ["kind", "size"])
def test_the_rows_that_are_set_aside_are_those_of_the_test_set(tmp_path: Path, target: str) -> None:
    rows = [(f"{3 * row}.5", ("dog", "cat")[row % 2]) for row in range(30)]
    source = CsvFile(file=write(tmp_path, "size,kind\n" + "".join(f"{a},{b}\n" for a, b in rows)), target=target)
    tables, chosen = source.load(), [rows[row - 2] for row in source.test_rows()]
    sizes = tables.test_inputs[:, 0] if target == "kind" else tables.test_targets[:, 0]
    assert [float(size) for size, _ in chosen] == sizes.tolist() and len(chosen) == 6


def numbered(targets: list[str]) -> str:
    return "x,y\n" + "".join(f"{index},{target}\n" for index, target in enumerate(targets))


@pytest.mark.parametrize(
    ("targets", "kind", "class_names"),
    [
        (["10", "9", "-1", "9.0"] * 2, "auto", ("-1", "9", "10")),
        ([str(i % 20) for i in range(40)], "auto", tuple(map(str, range(20)))),
        ([str(i % 21) for i in range(42)], "auto", ()),
        ([str(i % 21) for i in range(42)], "class", tuple(map(str, range(21)))),
        (["0.5", "1"] * 4, "auto", ()),
        (["0.5", "1"] * 4, "class", ("0.5", "1")),
        (["0", "1"] * 4, "value", ()),
        (["a", "a", "a", "1"] * 3, "auto", ("1", "a")),
        (["1"] * 19 + ["a"], "class", ("1", "a")),
    ],
)
def test_what_a_target_is(tmp_path: Path, targets: list[str], kind: str, class_names: tuple[str, ...]) -> None:
    tables = load(tmp_path, numbered(targets), "y", kind=kind)
    assert tables.class_names == class_names
    if class_names:
        names = [class_names[int(label)] for _, label in all_rows(tables)]
        assert names == [target.removesuffix(".0") for target in targets]
    else:
        assert tables.train_targets.ndim == 2
        assert [value for _, value in all_rows(tables)] == [float(target) for target in targets]


@pytest.mark.parametrize("kind", ["auto", "value"])
def test_numbers_to_predict_are_split_without_classes(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, numbered([str(i / 4) for i in range(40)]))
    data = CsvFile(file=file, target="y", kind=kind, val_fraction=0.25).build(name="csv", seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (24, 8, 8)
    assert (data.spec.target, data.spec.num_outputs, data.spec.feature_names) == ("value", 1, ("x",))
    for options in ({"classes": (0, 1)}, {"label_noise": 0.5}):
        with pytest.raises(UserError, match="needs classes, and the targets are numbers; leave it out"):
            CsvFile(file=file, target="y", kind=kind, **options).build(name="csv", seed=0)


MANY = "x,y\n" + "".join(f"{i}.5,{'ab'[i % 2]}\n" for i in range(20))
DECIMAL_COMMAS = MANY.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            PETS,
            {"target": None},
            "data.target is missing; write data.target=COLUMN; the columns are: size, color, kind",
        ),
        (PETS, {"target": "kimd"}, "has no column 'kimd'; did you mean 'kind'?"),
        (PETS, {"drop": ("colour",)}, "has no column 'colour'; did you mean 'color'?"),
        (PETS, {"drop": ("kind",)}, "data.drop=['kind'] has the target 'kind' in it; leave that in"),
        (PETS, {"drop": ("size", "color")}, "has no column besides the target 'kind'; it needs at least one"),
        (PETS, {"separator": ";;"}, "data.separator=';;' must be one character such as , or ; or the word tab"),
        (PETS.replace(",", ";"), {}, "row 1: one column 'size;color;kind'; write \"data.separator=';'\""),
        (
            PETS.replace("2,", ","),
            {},
            "row 3, column 'size': the value is missing (empty); fill it in, write data.missing=drop",
        ),
        (
            PETS.replace("2,", "NA,"),
            {},
            "('NA'); fill it in, write data.missing=drop (leaves out the rows) or data.missing=mean, or leave the "
            "column out: 'data.drop=[size]'",
        ),
        (PETS.replace("2,", "nan,"), {}, "table.csv, row 3, column 'size': the value is missing ('nan')"),
        (
            PETS.replace("-3e1,red,dog", "1,red,"),
            {},
            "row 4, column 'kind': the value is missing (empty); fill it in, or",
        ),
        (PETS.replace("4,", "inf,"), {}, "row 5, column 'size': 'inf' is not a number that fits into 32 bits"),
        (PETS.replace("4,", "1e300,"), {}, "row 5, column 'size': '1e300' is not a number that fits into 32 bits"),
        (MANY.replace("3.5,", "oops,", 1), {"target": "y"}, "row 5, column 'x': 'oops' is text in a numeric column"),
        (
            DECIMAL_COMMAS,
            {"target": "y", "separator": ";"},
            "row 2, column 'x': '0,5' is a number with a comma; write 0.5 if it is a decimal comma",
        ),
        (numbered(["1"] * 19 + ["a"]), {"target": "y"}, "row 21, column 'y': 'a' is text in a numeric column"),
        (
            PETS,
            {"kind": "value"},
            "row 2, column 'kind': 'dog' is no number, which data.kind=value needs; write data.kind=",
        ),
        (PETS.replace("cat", "dog"), {}, "every row of the target 'kind' is 'dog'; at least two classes are needed"),
        (
            PETS,
            {"target": "size", "kind": "class"},
            "the target 'size' has 5 different values in 5 rows, too many for cla",
        ),
        (PETS.replace("4,green", "4"), {}, "row 5: 2 cells, but the header has 3; correct the row or remove it"),
        (PETS.replace("4,", "4,4,"), {}, "row 5: 4 cells, but the header has 3; correct the row or remove it"),
        (PETS.replace("red", '"re\nd"').replace("4,", "4,4,"), {}, "row 7: 4 cells, but the header has 3"),
        (PETS.replace("size", "kind"), {}, "row 1: two columns are called 'kind'; rename one"),
        (
            PETS.replace("size", ""),
            {},
            "row 1: a column has no name (a row index?); write one, or leave the column out",
        ),
        (PETS.replace("blue", '"blue'), {}, "row 3: unexpected end of data; correct the row (are its quotes closed?)"),
        ("", {}, "is empty; it needs a header with the names of the columns, and rows"),
        ("\n\n", {}, "is empty; it needs a header with the names of the columns, and rows"),
        ("size,color,kind\n", {}, "has a header but no rows below it"),
        ("1,2,3\n4,5,6\n", {}, "has no header: row 1 is all numbers (1,2,3); write the names of the columns there"),
        (
            PETS.encode().replace(b"blue", b"bl\xfce"),
            {},
            "is not UTF-8: byte 0xfc at position 32, in row 3; save it as UTF-8",
        ),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, content: str | bytes, options: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, content, **({"target": "kind"} | options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ten_thousand_values_of_text_are_the_limit(tmp_path: Path) -> None:
    def table(count: int) -> str:
        return "name,kind\n" + "".join(f"n{i // 2},{i % 2}\n" for i in range(2 * count))

    assert load(tmp_path, table(100)).train_inputs.shape == (160, 100)
    message = (
        r"10,001 different values, and at most 10,000 can become features; leave out 'name' \(10,001\): 'data.drop="
    )
    with pytest.raises(UserError, match=message):
        load(tmp_path, table(10_001))


def texts(different: int, rows: int) -> str:
    return "a,name,b,kind\n" + "".join(f"{i},n{i % different},m{i % different},{'yn'[i % 2]}\n" for i in range(rows))


@pytest.mark.parametrize(("different", "rows"), [(20, 20), (20, 21), (21, 42), (50, 100)])
def test_text_that_repeats_or_has_few_values_becomes_features(tmp_path: Path, different: int, rows: int) -> None:
    assert len(load(tmp_path, texts(different, rows)).feature_names) == 1 + 2 * different


@pytest.mark.parametrize(("different", "rows"), [(21, 21), (21, 41), (51, 100), (1_000, 1_000)])
def test_text_of_which_most_rows_differ_is_refused(tmp_path: Path, different: int, rows: int) -> None:
    values = f"has {different:,} different values"
    with pytest.raises(UserError) as caught:
        load(tmp_path, texts(different, rows), drop=("a",))
    assert str(caught.value).endswith(
        f"table.csv: too many to become features: 'name' {values}, 'b' {values} in {rows:,} rows of text; "
        "write numbers, or leave out what is a name: 'data.drop=[a,name,b]'"
    )
    with pytest.raises(UserError, match=f": 'b' {values} in"):
        load(tmp_path, texts(different, rows), drop=("name",))
    assert load(tmp_path, texts(different, rows), drop=("name", "b")).feature_names == ("a",)


NAMES = ("height, cm", "a,b", "it's", 'say "hi"', "true", "7", "week day", "größe", "x=y", "(m)", "[c", "a:b", "$x")


def test_what_a_message_says_to_type_drops_columns_of_any_name(lab: Lab) -> None:
    header = ",".join('"' + column.replace('"', '""') + '"' for column in (*NAMES, "size", "kind"))
    rows = (",".join([f"n{i}"] * len(NAMES)) + f",{i},{'ab'[i % 2]}\n" for i in range(60))
    words = ["data=csv", f"data.file={write(lab.folder, header + chr(10) + ''.join(rows))}", "data.target=kind"]
    lab.train(*words, "model=logreg", code=2)
    shown = lab.err.rsplit("leave out what is a name: ", 1)[1].strip()
    lab.train(*words, *shlex.split(shown), "model=logreg", "trainer.epochs=1")
    assert "1 feature   2 classes" in lab.out


@pytest.mark.parametrize("drop", ["[size,height, cm]", "[size,height,cm]", "[height, cm,size]"])
def test_a_name_with_a_comma_is_shown_in_quotes(lab: Lab, drop: str) -> None:
    file = write(lab.folder, '"height, cm",size,weight,kind\n' + "".join(f"7,1,{i},{'ab'[i % 2]}\n" for i in range(60)))
    words = ["data=csv", f"data.file={file}", "data.target=kind", "model=logreg", "trainer.epochs=1"]
    lab.train(*words, f"data.drop={drop}", code=2)
    message = "has no column 'height'; for the column 'height, cm' write 'data.drop=[size,\"height, cm\"]'"
    assert lab.err.strip().endswith(message)
    lab.train(*words, *shlex.split(message.rpartition(" write ")[2]))
    assert "1 feature   2 classes" in lab.out


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "data.file is missing; write data=csv data.file=FILE data.target=COLUMN"),
        ("nowhere.csv", "cannot read nowhere.csv: No such file or directory; write data.file=FILE for a CSV file"),
        (".", "data.file=. is not a file; write data.file=FILE for a CSV file"),
    ],
)
def test_a_file_that_is_not_there(file: str | None, message: str) -> None:
    with pytest.raises(UserError) as caught:
        CsvFile(file=file, target="y").load()
    assert str(caught.value) == message


@pytest.mark.parametrize("encoding", ["cp932", "shift_jis", "euc_jp", "utf-16", "utf-8"])
def test_a_table_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    content = PETS.replace("red", "赤").replace("color", "色").replace("dog", "犬")
    tables = load(tmp_path, content.encode(encoding), encoding=encoding)
    assert tables.feature_names == ("size", "色=blue", "色=green", "色=赤")
    assert tables.class_names == ("cat", "犬")


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        (
            "1,{:03d}",
            "'1,000' is a number with a comma; write 1000 if it separates thousands, 1.000 if it is a decimal comma",
        ),
        ("-1,{:03d},500.5", "'-1,000,500.5' is a number with a comma; write -1000500.5 if it separates thousands"),
        ("1,{}5", "'1,05' is a number with a comma; write 1.05 if it is a decimal comma"),
    ],
)
@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize("every", [1, 3])
def test_numbers_with_commas_are_named(tmp_path: Path, cell: str, advice: str, column: str, every: int) -> None:
    cells = [f'"{cell.format(row)}"' if row % every == 0 else str(row) for row in range(60)]
    lines = [f"{text},{row}" if column == "x" else f"{row},{text}" for row, text in enumerate(cells)]
    with pytest.raises(UserError) as caught:
        load(tmp_path, "x,y\n" + "\n".join(lines), "y")
    assert str(caught.value).endswith(f"row 2, column '{column}': {advice}")


def test_columns_that_became_many_features_are_named(tmp_path: Path) -> None:
    rows = "".join(f"2024-02-{1 + i % 28:02d},t{i % 21},c{i % 20},{i % 3 + 1}\n" for i in range(120))
    tables = load(tmp_path, "day,town,color,kind\n" + rows)
    assert tables.notes == (
        "column 'day' holds dates and became 28 features, one for each value; write numbers, such as days, or leave the "
        "column out: 'data.drop=[day]'",
        "column 'town' of text became 21 features, one for each value; if they are names, leave the column out: "
        "'data.drop=[town]'",
        "column 'kind' holds 3 different whole numbers and is taken as classes; to predict numbers write data.kind=value",
    )
    few = load(tmp_path, "day,town,color,kind\n" + rows, kind="class", drop=("day",)).notes
    assert [note.partition(" of")[0] for note in few] == ["column 'town'"]
    assert "data.drop=[day,town]" in few[0]
    assert load(tmp_path, PETS).notes == ()


def test_training_on_a_table(lab: Lab) -> None:
    rows = [f"{index},{index % 7},{'yes' if index >= 50 else 'no'}\n" for index in range(100)]
    file = write(lab.folder, ",week day,late\n" + "".join(rows))
    words = ["data=csv", f"data.file={file}", "data.target=late", "model=logreg", "trainer.epochs=5"]
    lab.train(*words, code=2)
    assert "a column has no name" in lab.err
    assert lab.err.strip().endswith("leave the column out: 'data.drop=[\"\"]'")
    lab.train(*words, "data.drop=['']")
    assert "1 feature   2 classes" in lab.out
    lab.train(*words[:2], "data.target='week day'", "data.drop=['']", "task=regression", code=2)
    assert "task 'regression' (loss mse) needs numbers, and data 'csv' has classes for targets" in lab.err


def test_training_on_numbers(lab: Lab) -> None:
    file = write(lab.folder, "x,y\n" + "".join(f"{i},{2 * i + 0.5}\n" for i in range(60)))
    words = ["data=csv", f"data.file={file}", "data.target=y", "trainer.epochs=2"]
    lab.train(*words, "task=classification", code=2)
    assert lab.err.strip().endswith("has numbers for targets; write task=regression, or data.kind=class")
    lab.train(*words, "model=linreg")
    assert "1 target value" in lab.out
    lab.train(*words, "data.kind=class", "model=linreg", code=2)
    assert "too many for classes; choose another data.target, or data.kind=value" in lab.err
    lab.train(*words, "task.loss=mae", code=2)
    assert (
        "unknown option 'task.loss'; for numbers write task=regression task.loss=mse (mae, huber, nll), for" in lab.err
    )
    lab.train(*words, "task=regression", "task.loss=mae", "model.hidden=[4]")


def test_a_file_picks_its_task_and_the_run_records_it(lab: Lab) -> None:
    file = write(lab.folder, "x,y,late\n" + "".join(f"{i},{2 * i + 0.5},{'yn'[i % 2]}\n" for i in range(60)))
    words = ["data=csv", f"data.file={file}", "model=mlp", "model.hidden=[4]", "trainer.epochs=1", "resume=auto"]
    for target, task in (("late", "classification"), ("y", "regression")):
        run = lab.train(*words, f"data.target={target}", f"run.dir={target}")
        assert f"\ntask   {task}\n" in lab.out
        recorded = yaml.safe_load((run / "config.yaml").read_text())["task"]
        assert recorded == yaml.safe_load((conf_dir() / "task" / f"{task}.yaml").read_text())
        assert lab.attempt(*words, f"data.target={target}", f"run.dir={target}") == 0
        assert f"{target} is already complete (1 epoch)" in lab.out
        assert main(["resume", target, "trainer.epochs=2"]) == 0
        assert json.loads((run / "report.json").read_text())["epochs"] == 2
    lab.train(*words, "data.target=y", "run.dir=late", code=2)
    assert "run.dir=late holds another run" in lab.err
    lab.train("data=csv", f"data.file={file}", "data.target=late", "model=linreg", code=2)
    assert lab.err.strip().endswith("write model=softmax, or data.kind=value")
