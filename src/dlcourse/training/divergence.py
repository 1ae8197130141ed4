"""What to try after a loss, a gradient or a weight that became NaN or infinite, from the config and the data of the run."""

from dlcourse.config.run_config import RunConfig
from dlcourse.errors import DivergedError
from dlcourse.optim.optimizers import OPTIMIZERS
from dlcourse.spec import Data

_FAR_ABOVE = 10.0
_LARGE_INPUT = 100.0
_MOST_EXAMPLES = 1000


def diagnosed(error: DivergedError, config: RunConfig, data: Data) -> DivergedError:
    """The error with its most likely cause, and what to type against it.

    A rate far above the optimizer's default goes back to that: a tenth of it would diverge again, and clipped gradients
    would not help; nor would either help against inputs that are far from 1. In the very first step the rate has hardly
    had its say, but for a GAN's generator.
    """
    name, options = config.optimizer.name, config.optimizer.options
    default = float(OPTIMIZERS.schema(name)["lr"].default)
    lr = float(options.get("lr", default))
    causes, words = [], []
    if lr > _FAR_ABOVE * default:
        causes, words = [f"optimizer.lr={lr:.3g} is far above {name}'s default"], [f"optimizer.lr={default:g}"]
    largest = _largest_input(config, data)
    if largest > _LARGE_INPUT:
        causes, words = [*causes, f"the inputs reach {largest:.3g}"], [*words, "features=standard"]
    if causes:
        return DivergedError(f"{error}; {' and '.join(causes)}; write {' '.join(words)}")
    if error.in_first_step:
        return DivergedError(
            f"{error}; in the very first step the data or the first weights are too large: scale the data"
        )
    clip = "" if config.trainer.clip_norm is not None else " or trainer.clip_norm=1"
    return DivergedError(f"{error}; most likely the learning rate is too large; write optimizer.lr={lr / 10:.3g}{clip}")


def _largest_input(config: RunConfig, data: Data) -> float:
    """The largest size of a number among the first inputs, if a feature map could scale them; else 0."""
    if config.features.name != "none" or len(data.spec.input_shape) != 1 or data.spec.is_tokens:
        return 0.0
    batch = next(iter(data.train.batches(min(_MOST_EXAMPLES, len(data.train)))))
    return float(batch.inputs.abs().max())
