"""The linear models: linear, logistic and softmax regression, all one affine layer on the flattened input.

B is the batch size, D the number of features of one example, K the number of classes.
"""

from torch import Tensor, nn

from dlcourse.errors import MisfitError
from dlcourse.models.layers import require_numbers
from dlcourse.spec import DataSpec


class Affine(nn.Module):
    """Abstract: `W x + b` of the flattened input, starting at zero where the loss is convex from anywhere."""

    def __init__(self, spec: DataSpec, num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(spec.num_features, num_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs.flatten(1))  # (B, ...) -> (B, D) -> (B, outputs)


class LinearRegression(Affine):
    """Linear regression, y = W x + b, for targets that are numbers, and for the values of moves."""

    def __init__(self, spec: DataSpec) -> None:
        require_numbers(spec, "linreg")
        if spec.target not in ("value", "game", "match"):
            raise MisfitError(
                f"model 'linreg' predicts numbers, and data '{spec.name}' has {spec.num_outputs} classes",
                needs="values",
                otherwise="model=softmax",
            )
        super().__init__(spec, spec.num_outputs)

    def formula(self, feature_names: tuple[str, ...], *, mean: float = 0.0, std: float = 1.0) -> str:
        """The first output, times `std` plus `mean`, written out: `y = 2.001 x + 0.998`."""
        slopes = [std * weight for weight in self.linear.weight[0].tolist()]
        first, *others = [(slope, f" {name}") for slope, name in zip(slopes, feature_names, strict=True)]
        others.append((std * self.linear.bias[0].item() + mean, ""))
        signed = [f"{'-' if number < 0 else '+'} {abs(number):.5g}{name}" for number, name in others]
        return " ".join([f"y = {first[0]:.5g}{first[1]}", *signed])


class LogisticRegression(Affine):
    """Logistic regression: the logit of the second of two classes, or one logit for each of more (softmax regression)."""

    def __init__(self, spec: DataSpec) -> None:
        require_classes(spec, "logreg")
        super().__init__(spec, 1 if spec.num_outputs == 2 else spec.num_outputs)


class SoftmaxRegression(Affine):
    """Softmax regression: one logit W x + b for each class, or for each move of a game."""

    def __init__(self, spec: DataSpec) -> None:
        if not spec.environment:
            require_classes(spec, "softmax")
        super().__init__(spec, spec.num_outputs)


def require_classes(spec: DataSpec, model: str) -> None:
    """Raise ConfigError unless the targets are classes."""
    require_numbers(spec, model)
    if spec.target != "class":
        raise MisfitError(
            f"model '{model}' predicts classes, and the targets of data '{spec.name}' are numbers",
            needs="classes",
            otherwise="model=linreg or model=mlp",
        )
