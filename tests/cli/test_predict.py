"""`dlcourse predict`: what a finished run says to new files is what its model says to their tensors."""

import csv
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse.cli import predict, prediction_forms
from dlcourse.cli.main import main
from dlcourse.data.drawings import DrawingReader
from dlcourse.runs import named_file
from dlcourse.tasks import answers
from dlcourse.tasks.answers import Answer
from dlcourse.training import predicting
from dlcourse.training.opened import open_run
from dlcourse.training.predicting import Prediction
from lab import Lab, trained
from strokes import draw, lit

assert (
    callable(predict.main) and callable(named_file.check_new) and callable(predicting.answer) and callable(answers.rank)
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of color images, `(3, height, width)`."""
    folder = tmp_path_factory.mktemp("shapes") / "run"
    return trained(folder, "data=shapes", "data.train_size=200", "data.test_size=40", "model=softmax")


def asked(lab: Lab, *words: object, code: int = 0) -> str:
    """What the command prints on standard output."""
    return lab.ask("predict", *words, code=code)


def asked_json(lab: Lab, *words: object) -> list[dict[str, Any]]:
    return json.loads(asked(lab, *words, "--json"))


def refused(lab: Lab, *words: object) -> str:
    """The one line that a mistake is answered with."""
    assert asked(lab, *words, code=2) == ""
    assert lab.err.count("\n") == 1
    return lab.err


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def save(path: str, pixels: np.ndarray, **options: Any) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def probabilities(run: Path, pixels: torch.Tensor) -> torch.Tensor:
    """The model's own forward pass on images in [0, 1]."""
    opened = open_run(run)
    with torch.no_grad():
        return opened.task.model(opened.spec.from_pixels(pixels)).softmax(1)


def test_the_probabilities_are_those_of_the_models_own_forward_pass(lab: Lab, shapes: Path) -> None:
    side = open_run(shapes).spec.input_shape[1]
    pixels = noise(3, side, side, 3)
    files = [save(f"{number}.png", each) for number, each in enumerate(pixels)]
    expected = probabilities(shapes, torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    names = open_run(shapes).spec.class_names
    found = asked_json(lab, shapes, *files, "--top", 99)
    assert [each["file"] for each in found] == files
    for each, row in zip(found, expected.tolist(), strict=True):
        assert {pair["class"]: pair["probability"] for pair in each["top"]} == dict(zip(names, row, strict=True))
        assert (each["class"], each["probability"]) == (names[int(np.argmax(row))], max(row))
        assert [pair["probability"] for pair in each["top"]] == sorted(row, reverse=True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
def test_pictures_of_any_mode_size_and_format(mode: str, lab: Lab, shapes: Path) -> None:
    picture = (
        Image.new("I;16", (90, 50), 40_000) if mode == "I;16" else Image.new("RGB", (90, 50), "teal").convert(mode)
    )
    for ending in ("png", "bmp", "webp", "gif", "jpg"):
        if (mode, ending) in {("I;16", "png"), ("CMYK", "jpg")} or mode in ("RGB", "L"):
            picture.save(f"a.{ending}")
    if mode in ("RGBA", "LA", "P", "1"):
        picture.save("a.png")
    files = sorted(str(path) for path in Path().glob("a.*"))
    assert files
    assert len(asked_json(lab, shapes, *files)) == len(files)


def test_what_is_transparent_is_white_and_the_middle_of_a_picture_counts(lab: Lab, shapes: Path) -> None:
    red_middle = np.zeros((40, 120, 4), np.uint8)
    red_middle[:, 40:80] = (200, 0, 0, 255)
    red_middle[10:30, 50:70, 3] = 0  # a hole
    opaque = red_middle[:, 40:80, :3].copy()
    opaque[10:30, 10:30] = 255
    wide, square = (
        asked_json(lab, shapes, save(*each))[0] for each in (("wide.png", red_middle), ("square.png", opaque))
    )
    for one, other in zip(wide["top"], square["top"], strict=True):
        assert one == {"class": other["class"], "probability": pytest.approx(other["probability"], abs=0.01)}


def test_people_get_a_line_for_each_file_and_programs_json_or_csv(lab: Lab, shapes: Path) -> None:
    for number in (10, 9):
        save(f"pictures/{number}.png", noise(20, 20 + number, 3))
    Path("pictures/.hidden.png").write_text("no picture")
    Path("pictures/notes.txt").write_text("no picture")
    table = asked(lab, shapes, "pictures", "--top", 2)
    found = asked_json(lab, shapes, "pictures", "--top", 2)
    assert [each["file"] for each in found] == ["pictures/10.png", "pictures/9.png"]
    for line, each in zip(table.splitlines(), found, strict=True):
        first, second = each["top"]
        bar = "#" * max(1, round(10 * first["probability"]))
        expected = [each["file"], first["class"], f"{100 * first['probability']:.1f}", "%", bar]
        assert line.split() == [*expected, second["class"], f"{100 * second['probability']:.1f}", "%"]
    header, *rows = csv.reader(io.StringIO(asked(lab, shapes, "pictures", "--csv", "--top", 2)))
    assert header == ["file", "class_1", "probability_1", "class_2", "probability_2"]
    for row, each in zip(rows, found, strict=True):
        assert row == [each["file"], *(str(value) for pair in each["top"] for value in pair.values())]


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    first = Prediction("a.png", Answer((("cat", 0.75), ("lion", 0.2496), ("dog", 0.0004))))
    second = Prediction("long.png", Answer((("lion", 0.96), ("dog", 0.04), ("cat", 0.0))))
    prediction_forms.show([first, second], "people", 2)
    assert capsys.readouterr().out.splitlines() == [
        "a.png     cat   75.0 %  ########    lion  25.0 %",
        "long.png  lion  96.0 %  ##########  dog    4.0 %",
    ]
    prediction_forms.show([Prediction("a\nb", Answer(text="x y"), is_text=True)], "people", 3)
    assert capsys.readouterr().out == "a\\nb  -> x y\n"


def test_mistakes_are_told_in_one_line_before_anything_heavy_is_loaded(
    lab: Lab, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcourse.cli.train.load_session", lambda: pytest.fail("torch is loaded before the check"))
    save("a.png", noise(8, 8))
    for words, told in (
        ([], "RUN is missing; write dlcourse predict outputs/NAME/TIME FILE"),
        (["nix", "a.png"], "'nix' does not exist; expected the folder of a run"),
        ([shapes], f"FILE is missing; write dlcourse predict {shapes} picture.png"),
        ([shapes, "b.png"], "'b.png' does not exist; expected a picture, or a folder of pictures"),
        ([shapes, "a.png", "--tpo", "3"], "unknown flag '--tpo'; did you mean '--top'?"),
        ([shapes, "a.png", "--top", "0"], "--top must be a whole number from 1 to 1000, got '0'"),
        ([shapes, "a.png", "--top", "x"], "--top must be a whole number from 1 to 1000, got 'x'"),
        ([shapes, "a.png", "--top"], "--top needs a value; write dlcourse predict --help to see all flags"),
        ([shapes, "a.png", "--json", "--csv"], "--json and --csv are two forms of one answer; write one of them"),
    ):
        assert f"dlcourse: error: {told}" in refused(lab, *words)


def test_pictures_that_cannot_be_read_are_named(lab: Lab, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcourse.data.new_images.MAX_PIXELS", 2_000_000)
    whole = save("whole.png", noise(60, 60, 3))
    frames = [Image.fromarray(noise(8, 8 + number, 3)[:, :8]) for number in range(3)]
    for name in ("a.gif", "a.webp", "a.apng.png"):
        frames[0].save(name, save_all=True, append_images=frames[1:])
    Path("cut.png").write_bytes(Path(whole).read_bytes()[:-300])
    Path("empty.png").touch()
    Path("words.png").write_text("no picture at all")
    Path("none").mkdir()
    save("large.png", np.zeros((1001, 2000), np.uint8))
    assert "a.gif is animated; save the one picture that is meant as PNG" in refused(lab, shapes, whole, "a.gif")
    assert "a.webp is animated" in refused(lab, shapes, "a.webp")
    assert "a.apng.png is animated" in refused(lab, shapes, "a.apng.png")
    assert "cut.png cannot be read as an image (" in refused(lab, shapes, "cut.png")
    assert "empty.png cannot be read as an image (it has no known format); save it as PNG" in refused(
        lab, shapes, "empty.png"
    )
    assert "words.png cannot be read" in refused(lab, shapes, "words.png")
    assert "large.png has 2,000 x 1,001 pixels, more than 2 million; scale it down" in refused(lab, shapes, "large.png")
    assert "none has no pictures; expected files that end in .png, .jpg" in refused(lab, shapes, "none")


def test_a_picture_that_claims_to_be_gigantic_is_not_decoded(lab: Lab, shapes: Path) -> None:
    header = bytearray(Path(save("bomb.png", noise(8, 8))).read_bytes())
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    Path("bomb.png").write_bytes(header)
    assert "bomb.png cannot be read as an image (Image size (3600000000 pixels)" in refused(lab, shapes, "bomb.png")


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of gray images, light on dark, `(1, 28, 28)`."""
    folder = tmp_path_factory.mktemp("glyphs") / "run"
    return trained(folder, "data=glyphs", "data.train_size=3000", "data.test_size=40", "model=cnn")


def drawings(folder: str, seed: int) -> list[str]:
    """Files of the ten digits drawn by hand, every third a photograph lit from one side."""
    return [
        save(f"{folder}/{digit}.jpg", lit(draw(digit, seed)), quality=60)
        if digit % 3 == 1
        else save(f"{folder}/{digit}.png", draw(digit, seed))
        for digit in range(10)
    ]


def test_digits_drawn_by_hand_are_prepared_for_a_model_that_knows_printed_ones(lab: Lab, glyphs: Path) -> None:
    files = drawings("hand", 1)
    found = asked_json(lab, glyphs, "hand")
    right = [each["class"] == Path(each["file"]).stem for each in found]
    unprepared = asked_json(lab, glyphs, "hand", "--as-is")
    assert sum(right) >= 8 and [each["file"] for each in found] == sorted(files)
    assert sum(each["class"] == Path(each["file"]).stem for each in unprepared) <= 3


@pytest.mark.slow
def test_at_least_nine_of_ten_digits_drawn_by_hand_are_read_after_an_epoch_of_mnist(lab: Lab, real_data: Path) -> None:
    words = ("data=mnist", f"data.root={real_data}", "data.subset=20000", "model=cnn")
    run = trained(lab.folder / "run", *words)
    for seed in (1, 2, 3):
        drawings(f"hand{seed}", seed)
        found = asked_json(lab, run, f"hand{seed}")
        assert sum(each["class"] == Path(each["file"]).stem for each in found) >= 9


def test_the_preview_has_each_picture_beside_what_the_model_saw(
    lab: Lab, glyphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(
        "dlcourse.plots.to_image", lambda picture: drawn.append(picture) or np.zeros((4, 4, 3), np.uint8)
    )
    files = drawings("hand", 1)
    assert "saved  seen.png" in asked(lab, glyphs, *files, *files, "--preview", "seen.png")
    (grid,) = drawn
    assert grid.title == "What the model saw: the first 12 of 20" and len(grid.captions) == len(grid.images) == 24
    assert grid.captions[:2:2] == ["0.png"] and grid.captions[1].endswith(" %")
    original, saw = torch.as_tensor(grid.images[0]), torch.as_tensor(grid.images[1])
    assert original.median() > 0.9 and saw.median() == 0
    assert saw[:, ::8, ::8].equal(DrawingReader(3, 28)(Path(files[0])))
    assert "saved" not in asked(lab, glyphs, files[0], "--preview", "more.png", "--csv")
    asked(lab, glyphs, *files, "--picture", "said.png")
    assert drawn[-1].captions[3].splitlines()[1] == "3.png" and len(drawn[-1].images) == 10


def test_a_picture_is_never_written_over_a_file(lab: Lab, glyphs: Path) -> None:
    file = save("a.png", draw(4, 1))
    before = Path(file).read_bytes()
    for words, told in (
        (["--preview", "a.png"], "--preview a.png exists already; name a file that does not"),
        (["--picture", "a.png"], "--picture a.png exists already; name a file that does not"),
        (["--preview", "a.jpg"], "--preview a.jpg must end in .png"),
        (["--preview", "nix/a.png"], "--preview nix/a.png: the folder nix does not exist; make it first"),
        (["--preview", "b.png", "--picture", "b.png"], "--preview and --picture name one file; give each its own"),
    ):
        assert f"dlcourse: error: {told}" in refused(lab, glyphs, file, *words)
    assert Path(file).read_bytes() == before and not Path("b.png").exists()
    printed = asked(lab, glyphs, file, "--preview", "c.png", "--picture", "d.png")
    assert [line.split()[0] for line in printed.splitlines()] == ["a.png", "saved", "saved"]
    assert Path("c.png").read_bytes()[:4] == Path("d.png").read_bytes()[:4] == b"\x89PNG"


HOUSES = "size,color,price\n" + "".join(
    f"{size},{color},{1000 * size + (500 if color == 'red' else 0)}\n"
    for size in range(20, 60)
    for color in ("red", "blue")
)


@pytest.mark.parametrize("features", ["standard", "none"])
def test_rows_of_a_table_are_predicted_in_the_units_of_the_target(features: str, lab: Lab) -> None:
    Path("houses.csv").write_text(HOUSES)
    words = ("data=csv", "data.file=houses.csv", "data.target=price", "model=linreg", f"features={features}")
    run = trained(lab.folder / "run", *words)
    Path("new.csv").write_text("note,color,size\nmine,red,30\nhers,blue,70\n")
    found = asked_json(lab, run, "new.csv")
    assert lab.err == "note: new.csv: not read: note\n"
    opened = open_run(run)
    assert opened.spec.feature_names == ("size", "color=blue", "color=red")
    inputs = torch.tensor([[30, 0, 1], [70, 1, 0]], dtype=torch.float64 if features == "standard" else torch.float32)
    with torch.no_grad():
        expected = opened.task._scale.in_units(opened.task.model(inputs))[:, 0].tolist()  # type: ignore[attr-defined]
    assert found == [
        {"file": "new.csv", "row": row, "values": {"price": price}} for row, price in zip((2, 3), expected, strict=True)
    ]
    assert asked(lab, run, "new.csv").splitlines()[1].split() == [
        "new.csv,",
        "row",
        "3",
        "price",
        f"{expected[1]:,.6g}",
    ]
    assert asked(lab, run, "new.csv", "--csv").startswith(f"file,row,price\nnew.csv,2,{expected[0]}\n")
    asked(lab, run, "houses.csv", "--json")
    assert lab.err == "", "the target may be there"
    Path("new.csv").write_bytes("color;size;größe\nred;30;1\n".encode("cp1252"))
    assert asked_json(lab, run, "new.csv", "--encoding=cp1252", "--separator=;")[0] == found[0]
    assert "'.' is a folder; expected a CSV file" in refused(lab, run, ".")
    assert "--separator='xx' must be one character" in refused(lab, run, "new.csv", "--separator=xx")
    assert "--preview has no meaning for this run, which reads tables; write rows.csv" in refused(
        lab, run, "new.csv", "--preview", "a.png"
    )


def test_rows_are_classified(lab: Lab) -> None:
    run = trained(lab.folder / "run", "data=iris", "model=softmax")
    names = open_run(run).spec.feature_names
    Path("new.csv").write_text(",".join(names) + "\n5.1,3.5,1.4,0.2\n")
    (found,) = asked_json(lab, run, "new.csv")
    with torch.no_grad():
        expected = open_run(run).task.model(torch.tensor([[5.1, 3.5, 1.4, 0.2]])).softmax(1)
    assert found["probability"] == pytest.approx(float(expected.max()))
    assert found["row"] == 2 and found["class"] in ("setosa", "versicolor", "virginica")


def test_text_is_classified(lab: Lab) -> None:
    run = trained(lab.folder / "run", "data=word_order", "model=gru")
    opened = open_run(run)
    found = asked_json(lab, run, "--text", "dog bites man", "--text=man bites dog")
    tokens = [[opened.spec.vocabulary.index(word) for word in each["text"].split()] for each in found]
    with torch.no_grad():
        expected = [opened.task.model(torch.tensor([row])).softmax(1).max().item() for row in tokens]
    assert [each["probability"] for each in found] == expected
    assert "--text 'dog bites' has 2 tokens, and this run reads 3" in refused(lab, run, "--text", "dog bites")
    assert "--text: the training data have no 'bytes' (symbol 2)" in refused(lab, run, "--text", "dog bytes man")
    assert "'a.txt': this run reads text; write --text" in refused(lab, run, "a.txt")
    assert "--text is missing; write dlcourse predict" in refused(lab, run)
    assert "--as-is has no meaning for this run, which reads text" in refused(lab, run, "--text", "a", "--as-is")


def test_the_next_token_of_a_text_is_ranked(lab: Lab) -> None:
    Path("words.txt").write_text("to be or not to be, that is the question " * 40)
    run = trained(lab.folder / "run", "data=text", "data.file=words.txt", "model=gru", "data.context=16")
    (found,) = asked_json(lab, run, "--text", "that is the question to be")
    opened = open_run(run)
    tokens = torch.tensor([[opened.spec.vocabulary.index(symbol) for symbol in "that is the question to be"[-16:]]])
    with torch.no_grad():
        expected = opened.task.model(tokens)[0, -1].softmax(0)
    assert [each["probability"] for each in found["top"]] == expected.topk(3).values.tolist()
    assert found["class"] == opened.spec.vocabulary[int(expected.argmax())]
    table = asked(lab, run, "--text", "to", "--top", 99)
    assert "' '" in table and table.count("\n") == 1
    assert "--text: the training data have no 'X' (character 1), 'é' (character 3)" in refused(
        lab, run, "--text", "X é"
    )
    assert "--text is empty" in refused(lab, run, "--text", "")


def test_a_sequence_is_translated(lab: Lab) -> None:
    run = trained(lab.folder / "run", "data=reverse", "data.size=200", "model=transformer")
    symbols = open_run(run).spec.vocabulary[3:6]
    text = " ".join(symbols)
    (found,) = asked_json(lab, run, "--text", text)
    lab.capsys.readouterr()
    assert main(["sample", str(run), "--prompt", text]) == 0
    assert lab.capsys.readouterr().out == f"{text} -> {found['output']}\n"
    assert asked(lab, run, "--text", text).split() == [*symbols, "->", *found["output"].split()]
    assert "--text has" in refused(lab, run, "--text", " ".join(symbols * 40))
    assert "--text: <pad>, <start>, <end> are added by the program" in refused(lab, run, "--text", "<pad>")


@pytest.mark.parametrize("model", ["autoencoder", "vae"])
def test_an_autoencoder_says_how_far_off_its_reconstruction_is(
    model: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(
        "dlcourse.plots.to_image", lambda picture: drawn.append(picture) or np.zeros((4, 4, 3), np.uint8)
    )
    run = trained(lab.folder / "run", "data=digits", "data.subset=200", f"model={model}")
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2:6, 3:5] = 200
    (found,) = asked_json(lab, run, save("a.png", pixels), "--picture", "b.png")
    seen = torch.from_numpy(pixels).float()[None, None] / 255
    task: Any = open_run(run).task
    with torch.no_grad():
        output = task.model.decode(task.model.represent(seen))
        output = output.sigmoid() if model == "vae" else output
    assert found["values"]["mse"] == pytest.approx(float((output - seen).square().mean()), rel=1e-5)
    (grid,) = drawn
    assert grid.captions[1] == "reconstruction" and grid.captions[0].startswith("mse ")
    assert torch.as_tensor(grid.images[1])[0, ::28, ::28].allclose(output[0, 0], atol=1e-5)


def test_sequences_of_numbers_are_not_read(lab: Lab) -> None:
    run = trained(lab.folder / "run", "data=parity", "data.size=100", "model=rnn")
    assert "this run reads examples of shape (16, 1) of data 'parity'; predict has" in refused(lab, run, "a.csv")


def test_a_model_that_only_generates_says_so(lab: Lab) -> None:
    gan = trained(lab.folder / "gan", "data=digits", "data.subset=100", "model=gan")
    save("a.png", noise(8, 8))
    assert "this run's model 'gan' generates and does not predict; write dlcourse sample" in refused(lab, gan, "a.png")
