"""Least squares: the weights of a linear model that no training is needed for, all in one step.

N is a number of training examples, P of features, O of outputs.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from dlcourse.config.options import NonNegative
from dlcourse.device import Device
from dlcourse.errors import ConfigError, MisfitError
from dlcourse.models.feature_map import parts
from dlcourse.models.linear import Affine
from dlcourse.optim.step import MakeOptimizer, require_finite
from dlcourse.spec import Batch, DataSpec
from dlcourse.state_dict import State
from dlcourse.tasks.class_losses import class_targets
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.task import PredictionTask, Scalars

_SMALLEST = torch.finfo(torch.float32).eps
"""Directions in which float32 features vary less than this share of the widest are rounding: weights there stay 0."""


def least_squares(model: nn.Module, spec: DataSpec, device: Device, ridge: NonNegative = 0.0) -> PredictionTask:
    """The task for numbers, or that for classes, which are regressed as 0 and 1 (Belkin et al. 2019)."""
    if spec.target not in ("class", "value"):
        raise MisfitError(
            f"task 'least_squares' needs numbers or classes, and data '{spec.name}' has {spec.target_kind.words}",
            needs="values",
            otherwise=f"task={spec.target_kind.task}",
        )
    if spec.target == "class":
        return LeastSquaresClassification(model, spec, device, ridge)
    return LeastSquaresRegression(model, spec, device, ridge)


class LeastSquares(PredictionTask, ABC):
    """Abstract: one step on the whole training set sets the weights of a linear model, behind any feature map.

    They minimize sum |y - W x - b|^2 + ridge |W|^2; without `ridge`, if several do, they are those of least norm |W|.
    It is Newton's step, which has learning rate 1 and ends where gradient descent from 0 would.
    """

    recordable = ()
    needs_full_batch: ClassVar[bool] = True
    _ridge: float

    @abstractmethod
    def wanted(self, batch: Batch) -> Tensor:
        """What the outputs should be, `(N, O)` in float64."""

    def start(self, make_optimizer: MakeOptimizer) -> None:
        if not all(parameter.requires_grad for parameter in self.model.parameters()):
            raise ConfigError("task 'least_squares' sets all weights of its model at once; write freeze=[]")

    @property
    def lr(self) -> float:
        return 1.0

    def train_step(self, batch: Batch) -> Scalars:
        mapping, affine = parts(self.model)
        assert isinstance(affine, Affine)
        with torch.no_grad():
            features = batch.inputs if mapping is None else mapping(batch.inputs)
            weight, bias = solve(features.flatten(1).cpu(), self.wanted(batch).cpu(), self._ridge)
            affine.linear.weight.copy_(weight)
            affine.linear.bias.copy_(bias)
            losses = self.losses(batch)
            losses.pop("objective", None)
            return {**losses, "weight_norm": weight.norm().to(losses["loss"])}

    def state_dict(self) -> State:
        """Nothing: the step depends on the batch alone."""
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


class LeastSquaresRegression(LeastSquares, Regression):
    """Least squares for targets that are numbers."""

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device, ridge: float) -> None:
        _require_linear(model, spec)
        super().__init__(model, spec, device)
        self._ridge = ridge

    def wanted(self, batch: Batch) -> Tensor:
        return self._scale.standardized(batch.targets.double())


class LeastSquaresClassification(LeastSquares, Classification):
    """Least squares for classes: each output regresses 1 for the examples of its class, 0 for the others."""

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device, ridge: float) -> None:
        _require_linear(model, spec)
        super().__init__(model, spec, device, loss="mse")
        self._ridge = ridge

    def wanted(self, batch: Batch) -> Tensor:
        width = 1 if self.is_binary else self.spec.num_outputs
        return class_targets(torch.empty(0, width, dtype=torch.float64, device=batch.targets.device), batch.targets)


def solve(features: Tensor, wanted: Tensor, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
    """Weights `(O, P)` and intercepts `(O,)` of least squared error, of features `(N, P)` and outputs `(N, O)`.

    In float64, on the CPU. The intercept is not penalized: both sides are centered first. Raises DivergedError if a
    feature is not finite.
    """
    features = features.double()
    require_finite(float(features.sum()), "the sum of the features")
    center, mean = features.mean(0), wanted.mean(0)
    varying, rest = features - center, wanted - mean
    if ridge == 0:
        weights = torch.linalg.lstsq(varying, rest, rcond=_SMALLEST, driver="gelsd").solution  # (P, O)
    elif len(features) < features.shape[1]:
        weights = varying.T @ _ridge_solution(varying @ varying.T, rest, ridge)
    else:
        weights = _ridge_solution(varying.T @ varying, varying.T @ rest, ridge)
    return weights.T, mean - center @ weights


def _ridge_solution(products: Tensor, right: Tensor, ridge: float) -> Tensor:
    """`(products + ridge I)^-1 right`, of products `(M, M)` of all pairs of features or of examples."""
    identity = torch.eye(len(products), dtype=products.dtype, device=products.device)
    return torch.linalg.solve(products + ridge * identity, right)


def _require_linear(model: nn.Module, spec: DataSpec) -> None:
    """Raise ConfigError unless the model is one affine layer, behind a feature map or none."""
    if not isinstance(parts(model)[1], Affine):
        linear = "linreg" if spec.target == "value" else "softmax"
        raise ConfigError(
            f"task 'least_squares' needs a model that is linear behind its features, and this one is "
            f"'{type(parts(model)[1]).__name__}'; write model={linear}"
        )
