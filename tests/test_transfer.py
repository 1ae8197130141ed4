"""Starting from another run's weights, and freezing by name."""

import pytest
import torch
from safetensors.torch import load_file

from dlcourse.finished import read_spec
from lab import Lab

TINY = ["data=digits", "trainer.epochs=1", "trainer.weights=last"]


def test_fine_tuning_starts_from_the_kept_weights_and_leaves_frozen_ones_alone(lab: Lab) -> None:
    first = lab.train(*TINY, "model.hidden=[16]")
    run = lab.train(*TINY, "model.hidden=[16]", f"init_from={first}", "freeze=[layers.1.*]", "seed=5")
    assert f"start  4 of 4 tensors from {first}" in lab.out
    assert "freeze 1,040 parameters frozen" in lab.out
    assert "1,210 parameters" in lab.out
    before, after = load_file(first / "weights.safetensors"), load_file(run / "weights.safetensors")
    for name in ("layers.1.weight", "layers.1.bias"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["layers.3.weight"], after["layers.3.weight"])


def test_transfer_to_other_classes_leaves_out_the_last_layer(lab: Lab) -> None:
    run = lab.train(*TINY, "model.hidden=[16]")
    words = [*TINY, "model.hidden=[16]", "data.classes=[3,5]", "init_from=outputs"]
    assert lab.attempt(*words) == 2
    assert lab.err == (
        "dlcourse: error: init_from=outputs: 2 tensors do not fit: layers.3.weight ((10, 16) there, (2, 16) here), "
        f"layers.3.bias ((10,) there, (2,) here); choose the model and the options in {run.relative_to(lab.folder)}"
        "/config.yaml, or leave tensors out by name, as init_skip=[layers.3.*] does\n"
    )
    lab.train(*words, "init_skip=[layers.3.*]")
    assert "start  2 of 4 tensors from outputs/digits-mlp/" in lab.out


def test_frozen_batch_norm_keeps_its_running_statistics(lab: Lab) -> None:
    small = [*TINY, "model=cnn", "model.channels=[4]", "model.head=[8]"]
    first = lab.train(*small)
    run = lab.train(*small, f"init_from={first}", "freeze=[blocks.*]")
    before, after = load_file(first / "weights.safetensors"), load_file(run / "weights.safetensors")
    assert torch.equal(before["blocks.1.running_mean"], after["blocks.1.running_mean"])
    assert torch.equal(before["blocks.1.running_var"], after["blocks.1.running_var"])
    assert not torch.equal(before["head.2.weight"], after["head.2.weight"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init_from=nowhere"], "init_from=nowhere does not exist; expected the folder of a run"),
        (["init_from=empty"], "init_from=empty: no weights.safetensors there"),
        (["init_from=damaged"], "init_from=damaged: cannot read weights from damaged/weights.safetensors"),
        (["freeze=[laers.*]"], "freeze: no parameter matches 'laers.*'; there are layers.1.weight"),
        (["freeze=[*]"], "leaves nothing to train"),
        (["init_skip=[a]"], "init_skip=['a'] needs init_from=RUN"),
    ],
)
def test_mistakes(lab: Lab, words: list[str], message: str) -> None:
    (lab.folder / "empty").mkdir()
    (lab.folder / "damaged").mkdir()
    (lab.folder / "damaged" / "weights.safetensors").write_bytes(b"no weights")
    assert lab.attempt(*TINY, *words) == 2
    assert message in lab.err and lab.err.count("\n") == 1
    assert not (lab.folder / "outputs").exists()


def test_a_run_tells_its_spec(lab: Lab) -> None:
    run = lab.train(*TINY)
    spec = read_spec(run)
    assert (spec.name, spec.input_shape, spec.num_outputs) == ("digits", (1, 8, 8), 10)
    assert len(spec.pixel_mean) == len(spec.pixel_std) == 1
    images = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(spec.to_pixels(spec.from_pixels(images)), images)
