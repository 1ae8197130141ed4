"""Starting from another run's weights, and freezing by name."""

import copy

import pytest
import torch
from safetensors.torch import load_file

from dlcourse.cli.main import main
from dlcourse.data.split import TensorSplit
from dlcourse.device import cpu
from dlcourse.models.cnn import CNN
from dlcourse.runs.reopen import read_spec
from dlcourse.spec import DataSpec
from dlcourse.tasks.classification import Classification
from dlcourse.training.evaluate import evaluate
from dlcourse.training.transfer import freeze
from lab import Lab
from plain_sgd import plain_sgd

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


SMALL = [*TINY, "model=cnn", "model.channels=[4]", "model.head=[8]", "model.dropout=0"]


def test_frozen_batch_norm_keeps_its_running_statistics(lab: Lab) -> None:
    first = lab.train(*SMALL)
    run = lab.train(*SMALL, "data.classes=[3,5]", f"init_from={first}", "init_skip=[head.5.*]", "freeze=[blocks.*]")
    before, after = load_file(first / "weights.safetensors"), load_file(run / "weights.safetensors")
    frozen = [name for name in before if name.startswith("blocks.")]
    assert {"blocks.1.running_mean", "blocks.1.running_var", "blocks.1.num_batches_tracked"} <= set(frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["head.2.weight"], after["head.2.weight"])


def other_data() -> TensorSplit:
    """Images far from mean 0 and deviation 1, which the running statistics below are of."""
    generator = torch.Generator().manual_seed(0)
    images = 3 + 5 * torch.randn(24, 1, 8, 8, generator=generator)
    return TensorSplit(images, torch.randint(0, 3, (24,), generator=generator))


def cnn_on_other_data(frozen: tuple[str, ...] = ("blocks.*",)) -> Classification:
    """A classifier whose batch norms have seen data of another kind."""
    torch.manual_seed(0)
    spec = DataSpec("other", (1, 8, 8), 3, "class", ("a", "b", "c"))
    model = CNN(spec, channels=(4, 4), head=(8,), dropout=0.0)
    for _ in range(20):
        model(torch.randn(24, 1, 8, 8))
    freeze(model, frozen)
    task = Classification(model, spec, cpu(), top_k=1)
    task.start(plain_sgd())
    return task


def is_tested_as_trained(task: Classification, split: TensorSplit) -> bool:
    """Whether the loss of a training step is that of an evaluation on the same examples."""
    (batch,) = split.batches(len(split))
    tested = evaluate(task, split, 7).scalars["loss"]
    task.model.train()
    return float(task.train_step(batch)["loss"].detach()) == pytest.approx(tested, rel=1e-5)


def test_a_network_with_frozen_batch_norm_is_tested_as_it_is_trained() -> None:
    task, split = cnn_on_other_data(), other_data()
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    assert all(is_tested_as_trained(task, split) for _ in range(3))
    after = task.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items() if name.startswith("blocks."))
    assert not torch.equal(before["head.2.weight"], after["head.2.weight"])
    assert not is_tested_as_trained(cnn_on_other_data(frozen=("blocks.0.*",)), split)


def test_frozen_batch_norm_outlives_train_and_copies() -> None:
    images = other_data().inputs
    frozen = cnn_on_other_data().model.blocks.eval()
    expected = frozen(images)
    again = cnn_on_other_data().model  # as a resumed run builds it
    again.load_state_dict(cnn_on_other_data().model.state_dict())
    for blocks in (frozen, copy.deepcopy(frozen), again.blocks):
        torch.testing.assert_close(blocks.eval().train()(images), expected)


def test_a_resumed_run_keeps_its_batch_norm_frozen(lab: Lab) -> None:
    source = lab.train(*SMALL)
    words = [*SMALL, "data.label_noise=0.5", f"init_from={source}", "freeze=[blocks.*]"]
    words = [*(word for word in words if word != "trainer.epochs=1"), "scheduler=constant"]
    whole = load_file(lab.train(*words, "trainer.epochs=2") / "weights.safetensors")
    run = lab.train(*words, "trainer.epochs=1")
    assert main(["resume", str(run), "trainer.epochs=2"]) == 0
    resumed = load_file(run / "weights.safetensors")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    before = load_file(source / "weights.safetensors")
    assert all(torch.equal(before[name], resumed[name]) for name in before if name.startswith("blocks."))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init_from=nowhere"], "init_from=nowhere does not exist; expected the folder of a run"),
        (["init_from=empty"], "init_from=empty has no weights.safetensors"),
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
