"""The fused kernels of torch.optim, called directly: the same updates to the bit, without a second of imports before them.

To construct or step an optimizer of torch.optim imports torch's compiler. The kernels have private names, so if one is
missing or takes other arguments than these, the optimizer of torch.optim that it belongs to is used.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Group = dict[str, Any]


class Optimizer(Protocol):
    """What a training step asks of an optimizer; those of torch.optim have it, too."""

    param_groups: list[Group]
    state: Any

    def zero_grad(self) -> None: ...

    def step(self) -> Any: ...


@dataclass(frozen=True)
class Kernel:
    """One call that updates many parameters.

    `arguments` are those of torch's schema, by which a changed kernel is known. `state` names what is kept of each
    parameter, in the order in which the kernel takes lists of it; an empty name stands for a list that stays empty.
    `constants` are the arguments that no option sets.
    """

    name: str
    arguments: str
    state: tuple[str, ...]
    constants: Mapping[str, Any]


_ADAM = "self grads exp_avgs exp_avg_sqs max_exp_avg_sqs state_steps lr beta1 beta2 weight_decay eps amsgrad maximize"
_ADAM_STATE = ("exp_avg", "exp_avg_sq", "", "step")
_CONSTANTS = {"maximize": False, "grad_scale": None, "found_inf": None}
KERNELS: dict[type[torch.optim.Optimizer], Kernel] = {
    torch.optim.SGD: Kernel(
        "_fused_sgd_",
        "self grads momentum_buffer_list weight_decay momentum lr dampening nesterov maximize is_first_step",
        ("momentum_buffer",),
        # A buffer of zeros is right at the first step, too: without dampening it becomes the gradient.
        {**_CONSTANTS, "dampening": 0.0, "is_first_step": False},
    ),
    torch.optim.Adagrad: Kernel(
        "_fused_adagrad_",
        "self grads state_sums state_steps lr lr_decay weight_decay eps maximize",
        ("sum", "step"),
        {**_CONSTANTS, "lr_decay": 0.0},
    ),
    torch.optim.Adam: Kernel("_fused_adam_", _ADAM, _ADAM_STATE, {**_CONSTANTS, "amsgrad": False}),
    torch.optim.AdamW: Kernel("_fused_adamw_", _ADAM, _ADAM_STATE, {**_CONSTANTS, "amsgrad": False}),
}


class FusedOptimizer:
    """Updates each group of parameters by one call; `state` is that of the optimizer of torch.optim."""

    def __init__(self, groups: Sequence[Group], kernel: Kernel) -> None:
        self.param_groups = list(groups)
        self.state: dict[nn.Parameter, dict[str, Tensor]] = {p: {} for group in groups for p in group["params"]}
        self._kernel = kernel
        self._function = getattr(torch, kernel.name)

    def zero_grad(self) -> None:
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                gradients = [_laid_out_like(parameter) for parameter in parameters]
                options = {name: value for name, value in group.items() if name != "params"}
                self._function(
                    parameters, gradients, *self._state_lists(parameters), **options, **self._kernel.constants
                )

    def _state_lists(self, parameters: list[nn.Parameter]) -> list[list[Tensor]]:
        """The state of these parameters as the kernel takes it, made at their first gradient, their steps counted."""
        names = [name for name in self._kernel.state if name]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {name: _begun(parameter, name) for name in names}
        states = [self.state[parameter] for parameter in parameters]
        lists = [[state[name] for state in states] if name else [] for name in self._kernel.state]
        if "step" in names:
            torch._foreach_add_(lists[self._kernel.state.index("step")], 1)
        return lists


def fused(official: Any, groups: Sequence[Group], options: Mapping[str, Any]) -> Optimizer:
    """An optimizer that updates as `official(groups, fused=True, **options)` of torch.optim does."""
    kernel, taken = KERNELS[official], dict(options)
    if _arguments(kernel.name) != f"{kernel.arguments} grad_scale found_inf":
        optimizer: Optimizer = official(list(groups), fused=True, **options)
        return optimizer
    if "betas" in taken:
        taken["beta1"], taken["beta2"] = taken.pop("betas")
    if taken.get("momentum") == 0.0:
        kernel = dataclasses.replace(kernel, state=("",))
    return FusedOptimizer([{**taken, **group} for group in groups], kernel)


def _begun(parameter: nn.Parameter, name: str) -> Tensor:
    return torch.zeros((), device=parameter.device) if name == "step" else torch.zeros_like(parameter)


def _laid_out_like(parameter: nn.Parameter) -> Tensor:
    """The gradient, its numbers in the same order in memory as the parameter's: the kernels on a CPU do not look."""
    gradient = parameter.grad
    assert gradient is not None
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def _arguments(kernel: str) -> str:
    """The names of its arguments in this version of torch; empty if it is missing."""
    overloads = getattr(torch.ops.aten, kernel, None)
    return "" if overloads is None else " ".join(argument.name for argument in overloads.default._schema.arguments)
