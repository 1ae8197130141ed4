"""`dlcourse data`: what there is, what training sees of it, what is odd about it, and files fetched, added and verified."""

import hashlib
import os
import shlex
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dlcourse.cli import (
    data,
    data_add,
    data_files,
    data_list,
    data_picture,
    data_show,
    data_text,
    data_view,
    data_words,
)
from dlcourse.cli.main import main
from dlcourse.data import DATASETS, own
from dlcourse.data.csv_file import CsvFile
from dlcourse.data.text import TinyShakespeare
from dlcourse.plots import ImageGrid
from dlcourse.plots.data_sheet import ClassBalance
from lab import Lab, composed
from odd_photos import ODD, SIDE, odd_photos, photo, photos
from tiny_data import tiny_data

MODULES = (data, data_add, data_files, data_list, data_picture, data_show, data_text, data_view, data_words)


@pytest.fixture
def place(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An empty working folder, beside an empty data folder."""
    monkeypatch.setenv("DLCOURSE_DATA", str(lab.folder / "data"))
    return lab


def asked(lab: Lab, *words: object, code: int = 0) -> str:
    """What the command prints on standard output."""
    return lab.ask("data", *words, code=code)


def refused(lab: Lab, *words: object) -> str:
    """The one line that a mistake is answered with, before which nothing is printed; no file is made by it."""
    before = sorted(lab.folder.rglob("*"))
    assert asked(lab, *words, code=2) == ""
    assert lab.err.count("\n") == 1
    assert sorted(lab.folder.rglob("*")) == before
    return lab.err


def odd(text: str) -> list[str]:
    return [line.removeprefix("odd    ") for line in text.splitlines() if line.startswith("odd ")]


Row = dict[str, str]


def house_rows() -> list[Row]:
    """120 houses without anything odd."""
    random, rows = np.random.default_rng(0), []
    for index in range(120):
        area, rooms = random.uniform(30, 200), random.integers(1, 7)
        price = 1000 * round(80 + 2 * area + random.normal(0, 20))
        town = ("Aachen", "Bremen", "Celle")[index % 3]
        rows.append({"area": f"{area:.1f}", "rooms": str(rooms), "town": town, "price": str(price)})
    return rows


def write_table(path: Path, rows: list[Row]) -> Path:
    lines = [",".join(f'"{cell}"' for cell in row.values()) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    return path


def houses(path: Path, **changes: str) -> Path:
    """A table of houses with other cells at places such as `area5`, a column and a row as an editor numbers it."""
    rows = house_rows()
    for at, cell in changes.items():
        column = at.rstrip("0123456789")
        rows[int(at.removeprefix(column)) - 2][column] = cell
    return write_table(path, rows)


# list


def test_the_list_has_every_data_set_and_those_that_were_added(place: Lab) -> None:
    photos(Path("pets"), cat=12, dog=12)
    asked(place, "add", "pets", "--as", "mine")
    head, *rows = asked(place, "list").splitlines()
    assert head.split() == ["data", "set", "train", "test", "example", "target", "where"]
    assert [row.split()[0] for row in rows] == [*DATASETS, "mine"]
    assert "60,000  10,000  1x28x28" in rows[0] and rows[0].endswith("to download, 11.6 MB")
    assert "added: images, 24 files" in rows[-1]
    tiny_data("mnist", place.folder / "data")
    assert asked(place, "list", "mnist").splitlines()[1].endswith("  downloaded")


# show


QUICK = ("digits", "sine", "word_order", "preferences", "cliff", "csv")
"""Data sets with different kinds of examples and targets."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in DATASETS]
)
def test_every_data_set_is_shown(name: str, place: Lab) -> None:
    words = [word for word in tiny_data(name, place.folder) if word != "data.subset=60"]
    first, shown, *_ = asked(place, "show", words[0].removeprefix("data="), *words[1:]).splitlines()
    assert first == f"dlcourse data show   {name}"
    assert shown.startswith("data   ") and " train / " in shown


DRAWN = ("iris", "moons", "line", "sine", "word_order", "cartpole")


@pytest.mark.parametrize("name", ["digits", *(pytest.param(name, marks=pytest.mark.slow) for name in DRAWN)])
def test_a_picture_is_drawn_once_and_never_over_another_file(name: str, place: Lab) -> None:
    assert f"saved  {name}.png" in asked(place, "show", name, "--out", f"{name}.png")
    content = Path(f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 5000
    assert "exists already" in refused(place, "show", name, "--out", f"{name}.png")


def parts_of(*words: str) -> list[object]:
    """The parts of the picture of these data, from above."""
    view = data_view.look(composed(*words))
    return [part for row in data_picture.picture_of(view, "x").rows for part in row]  # type: ignore[attr-defined]


def test_examples_are_drawn_again_as_augmented_if_anything_augments(place: Lab) -> None:
    photos(Path("pets"), cat=15, dog=15)
    words = ["data=images", "data.folder=pets", "data.size=24"]
    plain, balance = parts_of(*words)
    assert isinstance(plain, ImageGrid) and isinstance(balance, ClassBalance)
    assert list(plain.captions) == ["cat"] * 10 + ["dog"] * 10
    again, changed, _ = parts_of(*words, "data.augment.rotation=30")
    assert isinstance(changed, ImageGrid) and changed.captions == plain.captions
    assert np.array_equal(np.asarray(again.images), np.asarray(plain.images))  # type: ignore[attr-defined]
    assert not np.allclose(np.asarray(changed.images), np.asarray(plain.images), atol=0.05)


def test_twelve_oddities_of_a_folder_are_all_named_by_show_and_by_add(place: Lab) -> None:
    """The last three of ODD follow from the others; there are fourteen."""
    folder = odd_photos(Path("photos"))
    for words in (["show", folder], ["add", folder, "--as", "pets"]):
        told = asked(place, *words, f"data.size={SIDE}")
        assert [kind for kind, message in ODD.items() if not any(message in line for line in odd(told))] == []
        assert len(odd(told)) == 12
    assert "skip   not copied, as unreadable: train/cat/broken.png" in told


def test_all_that_is_odd_about_a_table_is_named_at_once(place: Lab) -> None:
    rows = house_rows()
    more = {
        "id": [f"house {i}" for i in range(120)],
        "row": [str(i) for i in range(120)],
        "sold": [f"2024-01-{i % 28 + 1:02d}" for i in range(120)],
        "country": ["DE"] * 120,
        "tax": [f"{1000 + 7 * i:,}" for i in range(120)],
        "cents": [str(100 * int(row["price"])) for row in rows],
        "size": [row["area"] for row in rows],
    }
    rows = [{name: column[i] for name, column in more.items()} | row for i, row in enumerate(rows)]
    path = write_table(Path("houses.csv"), rows)
    test = CsvFile(file=str(path), target="price", drop=("id", "tax", "sold")).test_rows()
    test = next(row for row in test if row > 20 and row + 1 not in test)
    train = test + 1
    rows[test - 2] |= {name: cell for name, cell in rows[train - 2].items() if name not in ("id", "row")}
    rows[5]["area"] = rows[6]["area"] = "?"
    rows[7]["rooms"], rows[8]["town"] = "many", "AACHEN"
    told = asked(place, "show", write_table(path, rows), "data.target=price")
    expected = [
        "column 'area': 2 missing values, in rows 7, 8;",
        "column 'rooms': 1 cell of text among numbers, such as 'many' in row 9;",
        "column 'town': values that differ only in case or spaces: 'AACHEN' and 'Aachen';",
        "column 'id': a different text in every row",
        "column 'row': row numbers",
        "column 'sold': dates, such as '2024-01-01'",
        "column 'country': the same value in every row, 'DE';",
        "column 'tax': 120 numbers with a comma, such as '1,000' in row 2;",
        "column 'cents': in proportion to the target 'price'",
        f"rows {test} and {train}: the same or nearly the same in training and test",
    ]
    assert [message for message in expected if not any(line.startswith(message) for line in odd(told))] == []
    assert len(odd(told)) == len(expected)
    assert "fix    dlcourse train refuses this data until it is corrected" in told
    assert "houses.csv was not added, because it cannot be trained on" in _refused_to_add(place, path)


def _refused_to_add(lab: Lab, path: Path) -> str:
    asked(lab, "add", path, "--as", "houses", "data.target=price", code=2)
    assert not (lab.folder / "data/own/houses").exists()
    assert list((lab.folder / "data/own").iterdir()) == []
    return lab.err


def test_a_table_without_a_target_shows_its_columns_and_the_option_that_is_missing(place: Lab) -> None:
    told = asked(place, "show", houses(Path("houses.csv")))
    assert "no target yet: write data.target=COLUMN" in told
    assert "area    numbers" in told and told.splitlines()[-1].startswith("train  dlcourse train data=csv")
    assert odd(told) == ["nothing found"]


@pytest.mark.parametrize(("first", "step"), [(1_270_000, 1), (5, 0)])
def test_every_value_of_a_target_is_counted_however_close_they_are(first: int, step: int, place: Lab) -> None:
    Path("t.csv").write_text("x,y\n" + "".join(f"{x},{first + step * x}\n" for x in range(60)))
    view = data_view.look(composed("data=csv", "data.file=t.csv", "data.target=y", "data.kind=value"))
    rows = [line.split() for line in data_text.lines(view) if " to " in line and line[0].isdigit()]
    assert len(rows) == (10 if step else 1)
    assert sum(int(count) for row in rows for count in row[3:6]) == 60


def test_the_command_that_is_printed_has_what_the_data_need_and_trains(place: Lab) -> None:
    told = asked(place, "show", houses(Path("h.csv"), area5="", price9="?"), "data.target=price", "data.missing=refuse")
    *_, last = told.splitlines()
    _, _, *words = shlex.split(last.removeprefix("train  "))
    assert "data.missing=drop" in words
    assert main(["train", *words, "trainer.epochs=1", "report=light"]) == 0


def test_names_from_files_cannot_steer_the_terminal(place: Lab) -> None:
    path = Path("t.csv")
    path.write_text("a\x1b[2J,y\n" + "".join(f"{i},{i % 7}.5\n" for i in range(40)))
    assert "\x1b" not in asked(place, "show", path, "data.target=y")
    photos(Path("pets"), cat=12, dog=12)
    Path("pets/cat/\x1b]0;title\x07\nnote.txt").write_text("")
    Path("pets/dog/bad\nodd    faked.png").write_text("")
    told = asked(place, "show", "pets")
    assert len(odd(told)) == 2
    assert "\x1b" not in told and "\x07" not in told
    assert odd(told)[0].startswith("cat/\\x1b]0;title\\x07\\nnote.txt: ignored")


# add and verify


@pytest.mark.parametrize(
    "form", [pytest.param("folder", marks=pytest.mark.slow), pytest.param("gztar", marks=pytest.mark.slow), "zip"]
)
def test_what_was_added_trains_and_is_verified(form: str, place: Lab) -> None:
    photos(Path("pets"), cat=14, dog=14)
    path = "pets" if form == "folder" else shutil.make_archive("packed", form, ".", "pets")
    *_, added, command = asked(place, "add", path, "--as", "mine", "data.size=16").splitlines()
    own = place.folder / "data/own/mine"
    assert added == f"added  28 files to {own}"
    assert (own / "dog/03.png").read_bytes() == Path("pets/dog/03.png").read_bytes()
    shutil.rmtree("pets")
    assert main(["train", *shlex.split(command)[3:], "trainer.epochs=1", "report=light"]) == 0
    assert "28 files unchanged since added (sha256)" in asked(place, "verify", "mine")
    assert "data   " in asked(place, "show", "mine")
    photo(77).save(own / "dog/03.png")
    (own / "cat/01.png").unlink()
    photo(78).save(own / "cat/new.png")
    told = refused(place, "verify", "mine")
    assert "1 file missing (cat/01.png); 1 file changed (dog/03.png); 1 file new (cat/new.png)" in told


@pytest.mark.parametrize("name", ["2024", pytest.param("it's, [x] (1) a=b", marks=pytest.mark.slow)])
def test_a_file_may_have_any_name(name: str, place: Lab) -> None:
    path = houses(Path(f"{name}.csv")).rename(name)
    shown = asked(place, "show", shutil.copy(path, f"{name}.csv"), "data.target=price").splitlines()[-1]
    config = composed(*shlex.split(shown.removeprefix("train  "))[2:])
    assert config.data.options["file"] == f"{name}.csv"
    path.unlink()
    photos(path, cat=12, dog=12)
    *_, added = asked(place, "add", name, "--as", "mine", "data.size=16").splitlines()
    composed(*shlex.split(added.removeprefix("train  "))[2:])
    shown = asked(place, "show", name, "data.size=16").splitlines()[-1]
    assert composed(*shlex.split(shown.removeprefix("train  "))[2:]).data.options["folder"] == name


def test_names_of_files_need_not_be_utf_8(place: Lab) -> None:
    photos(Path("pets"), cat=12, dog=12)
    Path("pets/cat/00.png").rename(os.fsdecode(b"pets/cat/gr\xfcn.png"))
    asked(place, "add", "pets", "--as", "mine", "++data.size=16")
    assert "24 files unchanged since added (sha256)" in asked(place, "verify", "mine")
    assert "data   " in asked(place, "show", "mine")


def test_a_signal_removes_what_is_unfinished(place: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    houses(Path("houses.csv"))
    monkeypatch.setattr(own, "write_record", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    asked(place, "add", "houses.csv", "--as", "mine", code=143)
    assert list((place.folder / "data/own").iterdir()) == []


def test_data_sets_of_plug_ins_are_listed_and_shown(place: Lab) -> None:
    assert main(["new", "data", "tiny", "--plugins", "mine"]) == 0
    place.capsys.readouterr()
    assert main(["data", "list", "--plugins", "mine"]) == 0
    assert "\ntiny " in place.capsys.readouterr().out
    assert main(["data", "show", "tiny", "--plugins", "mine"]) == 0
    assert place.capsys.readouterr().out.startswith("dlcourse data show   tiny\ndata   ")


def test_rows_in_both_training_and_test_are_named_beside_a_column_without_a_name(place: Lab) -> None:
    rows = [{"": str(index)} | row for index, row in enumerate(house_rows())]
    path = write_table(Path("houses.csv"), rows)
    set_aside = CsvFile(file=str(path), target="price", drop=("",)).test_rows()
    test = next(row for row in set_aside if row > 20)
    train = next(row for row in range(2, 20) if row not in set_aside)
    rows[test - 2] = rows[train - 2] | {"": rows[test - 2][""]}
    told = asked(place, "show", write_table(path, rows), "data.target=price")
    assert f"rows {train} and {test}: the same or nearly the same in training and test" in told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["csv", "npz", "text"])
def test_single_files_are_added_with_their_options(name: str, place: Lab) -> None:
    first, *options = tiny_data(name, place.folder)
    assert first == f"data={name}"
    path = Path(options.pop(0).removeprefix("data.file="))
    path = path.rename(path.with_suffix({"csv": ".csv", "npz": ".npz", "text": ".txt"}[name]))
    *_, command = asked(place, "add", path, "--as", "mine", *options).splitlines()
    kept = place.folder / "data/own/mine" / path.name
    assert hashlib.sha256(kept.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert shlex.split(command)[3:-1] == [f"data={name}", f"data.file={kept}", *options]
    composed(*shlex.split(command)[3:])


def test_files_that_are_not_what_was_published_are_told(place: Lab) -> None:
    tiny_data("mnist", place.folder / "data")
    assert "sha256 differs from the published one" in refused(place, "verify", "mnist")
    assert "checksums not compared" in asked(place, "verify", "mnist", "data.verify=false", "data.subset=50")


def test_a_download_is_fetched_checked_and_not_fetched_again(
    place: Lab, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    text = "To be, or not to be, that is the question.\n" * 80
    (folder / "input.txt").write_text(text)
    monkeypatch.setattr(TinyShakespeare, "URLS", (f"{address}input.txt",))
    monkeypatch.setattr(TinyShakespeare, "CHECKSUM", f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")
    assert "tinyshakespeare is not in" in refused(place, "verify", "tinyshakespeare")
    assert asked(place, "get", "tinyshakespeare").startswith("tinyshakespeare: downloaded, checksums match: ")
    assert (place.folder / "data/text/tinyshakespeare.txt").read_text() == text
    (folder / "input.txt").unlink()
    assert "already downloaded, checksums match" in asked(place, "get", "tinyshakespeare")
    assert asked(place, "verify", "tinyshakespeare").startswith("tinyshakespeare: checksums match: ")


# bad input

BAD = [
    ([], "an action is missing; write dlcourse data with one of: list, show, get, add, verify"),
    (["shwo"], "unknown action 'shwo' of dlcourse data; did you mean 'show'?"),
    (["show"], "dlcourse data show needs a data set, a file or a folder"),
    (["show", "mnits"], "no data set, file or folder is called 'mnits'; did you mean 'mnist'?"),
    (["show", "nowhere/x.csv"], "nowhere/x.csv does not exist"),
    (["show", "iris", "wine"], "'wine' after 'iris': dlcourse data show takes one at a time"),
    (["show", "iris", "model=cnn"], "'model=cnn': dlcourse data takes options of data only"),
    (["show", "iris", "data.sise=3"], "unknown option 'data.sise'"),
    (["show", "iris", "data.subset=3,4"], "'data.subset=3,4' has several values; dlcourse data takes one"),
    (["show", "iris", "--uot", "x.png"], "unknown flag '--uot'; did you mean '--out'?"),
    (["show", "iris", "--out", "x.jpg"], "--out x.jpg must end in .png"),
    (["show", "iris", "--out", "no/x.png"], "the folder no does not exist"),
    (["show", "iris", "--out"], "--out needs a value"),
    (["show", "csv"], "data.file is missing"),
    (
        ["show", "strange.xyz"],
        "strange.xyz: cannot tell what this is; expected a folder of images or a file that ends in",
    ),
    (["show", "good.csv", "data.target=prise"], "has no column 'prise'; did you mean 'price'?"),
    (["show", ""], "dlcourse data show needs a data set, a file or a folder"),
    (
        ["show", "good.csv", "data.file=strange.xyz"],
        "'data.file=strange.xyz': the files are already named; leave it out",
    ),
    (["add", "good.csv", "--as", "x", "++data.file=strange.xyz"], "the files are already named"),
    (["list", "mnits"], "no data set is called 'mnits'; did you mean 'mnist'?"),
    (["list", "mnist", "data.subset=3"], "dlcourse data list takes names only"),
    (["list", "data.subset=" + "1" * 300], "dlcourse data list takes names only"),
    (["get", "iris"], "data 'iris' has no files to download"),
    (["get", "unknown"], "no data set is called 'unknown'"),
    (["get", "mnist", "data.download=false"], "leave data.download=false out"),
    (["verify", "iris"], "data 'iris' has no files to verify"),
    (["verify", "mnist", "data.download=true"], "dlcourse data verify implies data.download=false"),
    (["verify", "mnist"], "mnist is not in"),
    (["add", "good.csv"], "--as is missing; write dlcourse data add good.csv --as NAME"),
    (["add", "good.csv", "--as", "mnist"], "dlcourse has a data set of that name"),
    (["add", "good.csv", "--as", "../x"], "--as '../x' must be a name"),
    (["add", "damaged.zip", "--as", "x"], "damaged.zip is damaged"),
    (["add", "upwards.zip", "--as", "x"], "points outside the archive"),
    (["add", "empty", "--as", "x"], "empty holds no folders"),
    (["add", "damaged.npz", "--as", "x"], "is not a whole .npz file"),
]


LONGER = (
    "show iris data.sise=3",
    "show good.csv data.target=prise",
    "add empty --as x",
    "show csv",
    "get iris",
    "verify iris",
    "get mnist data.download=false",
    "verify mnist",
    "add damaged.npz --as x",
)
"""Mistakes that show only once the whole config was composed, or that the tests of the data sets have, too."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(words, message, id=" ".join(words), marks=pytest.mark.slow if " ".join(words) in LONGER else ())
        for words, message in BAD
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(words: list[str], message: str, place: Lab) -> None:
    houses(Path("good.csv"))
    Path("strange.xyz").write_text("x")
    Path("damaged.zip").write_bytes(b"PK\x03\x04")
    Path("damaged.npz").write_bytes(b"PK\x03\x04")
    Path("empty").mkdir()
    with zipfile.ZipFile("upwards.zip", "w") as archive:
        archive.writestr("../x.png", "x")
    assert message in refused(place, *words)


def test_a_name_that_is_taken_is_refused_and_its_data_stay(place: Lab) -> None:
    asked(place, "add", houses(Path("houses.csv")), "--as", "mine", "data.target=price")
    before = (place.folder / "data/own/mine/houses.csv").read_bytes()
    houses(Path("houses.csv"), area7="99")
    assert "exists already; choose another name" in refused(place, "add", "houses.csv", "--as", "mine")
    assert (place.folder / "data/own/mine/houses.csv").read_bytes() == before


def test_an_archive_that_is_cut_off_adds_nothing(place: Lab) -> None:
    photos(Path("pets"), cat=14, dog=14)
    whole = Path(shutil.make_archive("packed", "gztar", ".", "pets")).read_bytes()
    for size in (10, 1000, len(whole) // 2, len(whole) - 20):
        Path("cut.tar.gz").write_bytes(whole[:size])
        assert "cut.tar.gz is damaged" in refused(place, "add", "cut.tar.gz", "--as", "mine")


def test_help_names_every_action(place: Lab) -> None:
    told = asked(place, "--help")
    assert all(f"dlcourse data {action} " in told for action in data.ACTIONS)
    assert [callable(getattr(module, "main", None)) for module in MODULES[:2]] == [True, True]
