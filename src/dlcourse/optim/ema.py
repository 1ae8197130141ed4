"""A running average of a model's weights, which is often better than the weights of any one step."""

import copy

import torch
from torch import Tensor, nn

from dlcourse.state_dict import State


class MovingAverage:
    """An exponential moving average of the parameters of a module without buffers: `model` is the averaged copy.

    After update n it keeps `min(decay, (1 + n) / (10 + n))` of itself, so that the first weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(module)
        self._decay = decay
        self._updates = 0
        self._averages: list[Tensor] = list(self.model.parameters())
        self._latest: list[Tensor] = list(module.parameters())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the module's latest weights."""
        self._updates += 1
        kept = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(self._averages, self._latest, 1 - kept)

    def state_dict(self) -> State:
        """What the next updates depend on besides the weights of `model`."""
        return {"updates": self._updates}

    def load_state_dict(self, state: State) -> None:
        """Continue after as many updates."""
        self._updates = int(state["updates"])
