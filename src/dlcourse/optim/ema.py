"""Running averages of a model's weights, which are often better than the weights of any one step."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_swa_multi_avg_fn

from dlcourse.state_dict import State

_take_equally: Callable[[Sequence[Tensor], Sequence[Tensor], int], None] = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]


class ExponentialAverage:
    """An exponential moving average of `latest`, kept in `averages`, which begin as copies of them.

    After update n it keeps `min(decay, (1 + n) / (10 + n))` of itself, so that the first weights are soon forgotten.
    """

    def __init__(self, averages: Sequence[Tensor], latest: Sequence[Tensor], decay: float) -> None:
        self.averages, self._latest = list(averages), list(latest)
        self._decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the latest weights."""
        self.updates += 1
        kept = min(self._decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.averages, self._latest, 1 - kept)


class EqualAverage:
    """The mean of `latest` at the moments of the updates, kept in `averages` (Izmailov et al. 2018, arXiv:1803.05407)."""

    def __init__(self, averages: Sequence[Tensor], latest: Sequence[Tensor]) -> None:
        self.averages, self._latest = list(averages), list(latest)
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the latest weights."""
        _take_equally(self.averages, self._latest, self.updates)
        self.updates += 1


class MovingAverage:
    """An exponential moving average of the parameters of a module without buffers: `model` is the averaged copy."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(module)
        self._average = ExponentialAverage(list(self.model.parameters()), list(module.parameters()), decay)

    def update(self) -> None:
        """Take in the module's latest weights."""
        self._average.update()

    def state_dict(self) -> State:
        """What the next updates depend on besides the weights of `model`."""
        return {"updates": self._average.updates}

    def load_state_dict(self, state: State) -> None:
        """Continue after as many updates."""
        self._average.updates = int(state["updates"])
