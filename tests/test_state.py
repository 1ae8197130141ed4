import json

import pytest
import torch

from dlcourse.errors import DataError
from dlcourse.state_dict import load_tensors, pack, unpack


def test_a_state_comes_back_through_json_and_tensors() -> None:
    state = {"a": [torch.tensor([1.0, 2.0]), {"b": torch.tensor(3)}], "n": 1, "x": 0.1, "t": "text", "none": None}
    packed, tensors = pack(state)
    found = unpack(json.loads(json.dumps(packed)), tensors)
    assert set(tensors) == {"a.0", "a.1.b"}
    assert torch.equal(found["a"][0], state["a"][0]) and found["a"][1]["b"].item() == 3
    assert {key: found[key] for key in ("n", "x", "t", "none")} == {"n": 1, "x": 0.1, "t": "text", "none": None}


def test_an_optimizer_goes_on_as_if_it_had_never_stopped() -> None:
    def stepped(optimizer: torch.optim.Optimizer, weight: torch.Tensor) -> list[float]:
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
        return weight.tolist()

    one = torch.tensor([1.0, 2.0], requires_grad=True)
    first = torch.optim.Adam([one], lr=0.1)
    stepped(first, one)
    packed, tensors = pack(first.state_dict())
    two = one.detach().clone().requires_grad_()
    second = torch.optim.Adam([two], lr=0.5)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    state = unpack(json.loads(json.dumps(packed)), tensors)
    second.load_state_dict(state | {"state": {int(key): value for key, value in state["state"].items()}})
    assert stepped(second, two) == stepped(first, one)


def test_a_tensor_that_is_missing_is_named() -> None:
    with pytest.raises(DataError, match=r"^tensor 'a\.0' is missing$"):
        unpack({"a": ["tensor:a.0"]}, {})


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        ({"w": torch.zeros(2)}, "tensor names do not match"),
        (None, "tensor names do not match"),
        ({"w": torch.zeros(3), "b": torch.zeros(1)}, "tensor 'w' has another shape"),
        ({"w": [0.0, 0.0], "b": torch.zeros(1)}, "tensor 'w' has another shape"),
    ],
)
def test_tensors_that_do_not_fit_are_told(saved: object, reason: str) -> None:
    with pytest.raises(DataError, match=f"^the average: {reason}"):
        load_tensors({"w": torch.zeros(2), "b": torch.zeros(1)}, saved, "the average")
