"""Arrays in .npz files: which are images, features or sequences, and an error for every array that cannot be used."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dlcourse.data import npz_file
from dlcourse.data.npz_file import NpzFile
from dlcourse.errors import UserError
from lab import Lab

RANDOM = np.random.RandomState(0)
GREY = RANDOM.randint(0, 256, (40, 6, 5), dtype=np.uint8)
COLOR = RANDOM.randint(0, 256, (40, 6, 5, 3), dtype=np.uint8)
FEATURES = RANDOM.normal(size=(40, 3))
LABELS = np.arange(40) % 4


def write(folder: Path, **arrays: object) -> str:
    np.savez_compressed(folder / "arrays.npz", **arrays)
    return str(folder / "arrays.npz")


def load(folder: Path, x: object = FEATURES, y: object = LABELS, **options: object) -> npz_file.Tables:
    x, y = np.asarray(x), np.asarray(y)
    file = write(folder, x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    return NpzFile(file=file, **options).load()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (COLOR, COLOR.transpose(0, 3, 1, 2)),
        (COLOR.transpose(0, 3, 1, 2), COLOR.transpose(0, 3, 1, 2)),
        (FEATURES, FEATURES.astype(np.float32)),
        (FEATURES.astype(">f8"), FEATURES.astype(np.float32)),
        (np.asfortranarray(FEATURES.astype(np.float16)), FEATURES.astype(np.float16).astype(np.float32)),
        (LABELS, LABELS[:, None].astype(np.float32)),
        (GREY[:, 0], GREY[:, 0].astype(np.float32)),
        (GREY.astype(np.int32), GREY.astype(np.float32)),
    ],
)
def test_what_inputs_become(tmp_path: Path, array: np.ndarray, expected: np.ndarray) -> None:
    tables = load(tmp_path, array)
    inputs = torch.cat([tables.train_inputs, tables.test_inputs])
    assert inputs.is_contiguous()
    assert inputs.numpy().dtype == expected.dtype
    np.testing.assert_array_equal(inputs.numpy(), expected)


@pytest.mark.parametrize(
    ("labels", "kind", "names", "encoded"),
    [
        (LABELS, "auto", ("0", "1", "2", "3"), LABELS),
        (LABELS[:, None].astype(np.uint8), "auto", ("0", "1", "2", "3"), LABELS),
        (LABELS * 3 - 1, "auto", ("-1", "2", "5", "8"), LABELS),
        (LABELS.astype(float), "class", ("0", "1", "2", "3"), LABELS),
        (np.array(["owl", "cat", "dog", "ant"])[LABELS], "auto", ("ant", "cat", "dog", "owl"), [3, 1, 2, 0] * 10),
        (LABELS > 1, "auto", ("False", "True"), LABELS > 1),
    ],
)
def test_labels_become_classes(
    tmp_path: Path, labels: np.ndarray, kind: str, names: tuple[str, ...], encoded: object
) -> None:
    tables = load(tmp_path, y=labels, kind=kind)
    assert tables.class_names == names
    assert tables.train_targets.dtype == torch.int64
    np.testing.assert_array_equal(torch.cat([tables.train_targets, tables.test_targets]), encoded)


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (FEATURES[:, 0], "auto"),
        (FEATURES, "auto"),
        (LABELS, "value"),
        (np.eye(4)[LABELS], "value"),
        (np.eye(4)[LABELS] * 2, "auto"),
        (np.eye(4)[LABELS] + np.eye(4)[3 - LABELS], "auto"),
    ],
)
def test_floats_are_values(tmp_path: Path, targets: np.ndarray, kind: str) -> None:
    tables = load(tmp_path, y=targets, kind=kind)
    assert tables.class_names == ()
    np.testing.assert_array_equal(tables.train_targets, targets[:30].reshape(30, -1).astype(np.float32))


def test_x_and_y_are_divided(tmp_path: Path) -> None:
    data = NpzFile(file=write(tmp_path, x=FEATURES, y=LABELS), val_fraction=0.25).build(name="npz", seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (24, 8, 8)
    assert data.spec.input_shape == (3,)
    assert data.test.targets.bincount().tolist() == [2, 2, 2, 2]


def test_images_are_resized_and_normalized_and_numbers_are_not(tmp_path: Path) -> None:
    data = NpzFile(file=write(tmp_path, x=GREY, y=LABELS), resize=4, rgb=True).build(name="npz", seed=0)
    inputs = next(data.train.batches(len(data.train))).inputs
    assert inputs.shape[1:] == data.spec.input_shape == (3, 4, 4)
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs.std(correction=0).item() == pytest.approx(1, abs=1e-3)
    file = write(tmp_path, x=FEATURES, y=LABELS)
    plain = NpzFile(file=file).build(name="npz", seed=0)
    assert next(plain.test.batches(1)).inputs[0] in torch.from_numpy(FEATURES).float()
    for options in ({"resize": 8}, {"rgb": True}, {"augment": npz_file.Augment(flip=True)}):
        with pytest.raises(
            UserError, match=f"data.{next(iter(options))} is for images, and x of .* numbers of shape 3"
        ):
            NpzFile(file=file, **options).load()


def with_bad_value(value: float) -> np.ndarray:
    array = FEATURES.copy()
    array[2, 1] = value
    return array


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (
            GREY[..., None].repeat(4, 3),
            LABELS,
            {},
            "x_train has shape (30, 6, 5, 4); images need 1 or 3 channels, at axis 1",
        ),
        (COLOR[:, :3], LABELS, {}, "shape (30, 3, 5, 3), whose channels could be axis 1 or axis 3"),
        (
            COLOR / 255,
            LABELS,
            {},
            "but is float64; images must be uint8 from 0 to 255; for values in [0, 1] save (255 * x_train).round().astype(",
        ),
        (COLOR[None].swapaxes(0, 1), LABELS, {}, "x_train has shape (30, 1, 6, 5, 3); at most 4 axes have a meaning"),
        (FEATURES.astype(complex), LABELS, {}, "x_train is an array of complex128; it must be one of numbers"),
        (with_bad_value(np.nan), LABELS, {}, "x_train[2, 1] is nan, which is not a finite 32-bit number; replace it"),
        (with_bad_value(-np.inf), LABELS, {}, "x_train[2, 1] is -inf, which is not a finite"),
        (with_bad_value(1e300), LABELS, {}, "x_train[2, 1] is 1e+300, which is not a finite"),
        (FEATURES, with_bad_value(np.nan)[:, 1], {}, "y_train[2] is nan, which"),
        (
            FEATURES,
            LABELS + 0.5,
            {"kind": "class"},
            "y_train[0] is 0.5, and classes are whole numbers or text; write data.k",
        ),
        (FEATURES, LABELS.astype(str), {"kind": "value"}, "y_train holds text, and data.kind=value needs numbers"),
        (
            FEATURES,
            np.eye(4, dtype=int)[LABELS],
            {},
            "y_train has shape (30, 4), and classes have shape (N,); for one-hot",
        ),
        (
            FEATURES,
            np.eye(4, dtype=np.float32)[LABELS],
            {},
            "y_train of shape (30, 4) is one-hot rows, and classes have shape (N,); save y_train.argmax(1), or write data.k",
        ),
        (FEATURES, COLOR, {}, "y_train has shape (30, 6, 5, 3); targets have shape (N,) or (N, O)"),
        (
            FEATURES,
            LABELS.astype("M8[s]"),
            {},
            "y_train is an array of datetime64[s]; it must be one of numbers or text",
        ),
        (FEATURES, LABELS * 0 + 7, {}, "every label of y_train is 7; at least two classes are needed"),
        (
            FEATURES,
            np.arange(40),
            {},
            "y_train has 30 different labels for 30 examples, too many for classes; for numbers",
        ),
        (
            FEATURES,
            np.arange(40) // 10,
            {},
            "y_test has the label 3, which y_train does not have; add training examples",
        ),
    ],
)
def test_bad_arrays_are_one_line(tmp_path: Path, x: object, y: object, options: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, x, y, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has no x_train, y_train, x_test, y_test; it holds nothing; expected"),
        (
            {"x_train": GREY, "labels": LABELS},
            "has no y_train, x_test, y_test; it holds labels, x_train; expected x_train, y",
        ),
        ({"x": GREY}, "has no y; it holds x; expected x_train, y_train, x_test, y_test, or x and y"),
        ({"x": GREY, "y": LABELS[1:]}, "x has 40 examples, but y 39"),
        ({"x": GREY[:0], "y": LABELS}, "x is empty (its shape is (0, 6, 5))"),
        ({"x": 3.0, "y": LABELS}, "x is empty (its shape is ())"),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:, 1:], "y_test": LABELS},
            "examples of x_train are images of shape 1 x 6 x 5, but of x_test images of shape 1 x 5 x 5",
        ),
        (
            {"x_train": GREY[0], "y_train": LABELS[:6], "x_test": FEATURES[:, [0, 1, 2, 0]], "y_test": LABELS},
            "examples of x_train are numbers of shape 5, but of x_test numbers of shape 4",
        ),
        ({"x": np.array([{}] * 40), "y": LABELS}, "x holds Python objects, which could run code when read; save it as"),
        ({"x": GREY, "y": np.array(["a"] * 40, object)}, "y holds Python objects, which could run code when read"),
    ],
)
def test_files_with_the_wrong_arrays_are_one_line(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        NpzFile(file=write(tmp_path, **arrays)).load()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_no_more_is_unpacked_than_the_limit_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, x=np.zeros((1000, 1000)), y=np.arange(1000) % 2)
    assert Path(file).stat().st_size < 20_000
    monkeypatch.setattr(npz_file, "MAX_BYTES", 2**22)
    with pytest.raises(
        UserError, match=r"its arrays unpack to 0\.0 GiB, and at most 0 GiB are read; keep fewer examples"
    ):
        NpzFile(file=file).load()


def test_a_header_that_promises_more_than_there_is_is_not_believed(tmp_path: Path) -> None:
    honest = npy(FEATURES)
    for content, message in (
        (honest.replace(b"(40, 3), }", b"(40, 3, 10"), "x cannot be read"),
        (honest.replace(b"(40, 3)", b"(90, 9)"), "lie.npz is damaged: x cannot be read"),
        (honest[:-5], "lie.npz is damaged: x cannot be read"),
        (b"no array", r"x cannot be read \(it is not an array"),
        (b"", "x cannot be read"),
    ):
        with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
            archive.writestr("x.npy", content)
            archive.writestr("y.npy", npy(LABELS))
        with pytest.raises(UserError, match=message):
            NpzFile(file=str(tmp_path / "lie.npz")).load()


def test_damaged_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = bytearray(Path(write(tmp_path, x=FEATURES, y=LABELS)).read_bytes())
    Path("cut.npz").write_bytes(whole[:300])
    whole[200] ^= 255
    Path("bit.npz").write_bytes(whole)
    for file, message in (
        (None, "data.file is missing; write data=npz data.file=FILE"),
        ("cut.npz", "cut.npz is not a whole .npz file, as numpy.savez writes it; write data.file=FILE"),
        ("bit.npz", "bit.npz is damaged: x cannot be read ("),
        ("gone.npz", "cannot read gone.npz: No such file or directory; write data.file=FILE for an .npz file"),
        (".", "data.file=. is not a file; write data.file=FILE for an .npz file"),
    ):
        with pytest.raises(UserError) as caught:
            NpzFile(file=file).load()
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)


def test_training_on_arrays(lab: Lab) -> None:
    images = (GREY // 2 + 100 * (LABELS % 2)[:, None, None]).astype(np.uint8)
    file = write(lab.folder, x=images.repeat(2, 1).repeat(2, 2), y=LABELS % 2)
    words = ["data=npz", f"data.file={file}", "trainer.epochs=1", "trainer.batch_size=8"]
    lab.train(*words, "model=cnn")
    assert "1x12x10   2 classes" in lab.out
    file = write(lab.folder, x=FEATURES, y=FEATURES[:, 0])
    for model in ("linreg", "mlp"):
        lab.train(*words, f"model={model}")
        assert "3 features   1 target value" in lab.out
    assert "\ntask   regression\n" in lab.out


@pytest.mark.parametrize("model", ["cnn", "resnet", "vae", "gan", "diffusion"])
def test_a_model_for_images_says_how_to_save_them(lab: Lab, model: str) -> None:
    pixels = (GREY / 255).astype(np.float32)
    words = [f"model={model}", "data=npz", "trainer.batch_size=8"]
    assert lab.attempt(*words, f"data.file={write(lab.folder, x=pixels, y=LABELS)}") == 2
    advice = "the images as uint8, those in [0, 1] as (255 * x).round().astype('uint8')"
    assert f"model '{model}' " in lab.err and advice in lab.err
    as_advised = NpzFile(file=write(lab.folder, x=(255 * pixels).round().astype("uint8"), y=LABELS)).load()
    assert as_advised.train_inputs.dtype == torch.uint8
    assert {image.numpy().tobytes() for image in as_advised.train_inputs} <= {image.tobytes() for image in GREY}
    assert lab.attempt(*words, f"data.file={write(lab.folder, x=FEATURES[:, 0], y=LABELS)}") == 2
    assert "uint8" not in lab.err
