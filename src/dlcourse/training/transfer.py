"""Start from another run's weights, and keep parameters frozen: fine-tuning and transfer."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import Tensor, nn

from dlcourse.errors import ConfigError, DataError
from dlcourse.models.target_scale import NAMES as TARGET_SCALE
from dlcourse.runs.find import find_run
from dlcourse.runs.folder import WEIGHTS
from dlcourse.runs.reopen import stated_checksum
from dlcourse.runs.weights import read_tensors
from dlcourse.tasks.value_losses import LOG_SIGMA

_MOST_NAMED = 4


def start_from(model: nn.Module, folder: str, skip: Iterable[str]) -> str:
    """Copy a run's weights into a model, less those whose names match `skip`; returns what was done, in words.

    The scale of its targets and the deviation of their noise stay behind: those are facts of its data, and this run
    finds its own.
    Raises ConfigError if no run is found or tensors do not fit, DataError if its weights cannot be read.
    """
    run = find_run(folder, "init_from")
    try:
        theirs = read_tensors(run / WEIGHTS, stated_checksum(run))
    except DataError as error:
        raise DataError(f"init_from={folder}: {error}") from None
    patterns = tuple(skip)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in theirs):
            raise ConfigError(f"init_skip: no tensor matches '{pattern}'; there are {_few(list(theirs))}")
    theirs.pop(LOG_SIGMA, None)
    scale = [theirs.pop(name) for name in TARGET_SCALE if name in theirs]
    theirs = {name: tensor for name, tensor in theirs.items() if not _matches(name, patterns)}
    if not theirs:
        raise ConfigError(f"init_skip={list(patterns)} leaves nothing of init_from={folder}")
    ours = {name: tensor for name, tensor in model.state_dict().items() if not _matches(name, patterns)}
    misfits = _misfits(ours, theirs)
    if misfits:
        pattern = misfits[0].partition(" ")[0].rpartition(".")[0] + ".*"
        raise ConfigError(
            f"init_from={folder}: {len(misfits)} tensors do not fit: {_few(misfits)}; choose the model and the options "
            f"in {run / 'config.yaml'}, or leave tensors out by name, as init_skip=[{pattern}] does"
        )
    model.load_state_dict(theirs, strict=False)
    rescaled = "; targets are standardized by this run's own training set" if scale else ""
    return f"{len(theirs)} of {len(model.state_dict())} tensors from {run}{rescaled}"


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> str:
    """Leave matching parameters as they are; returns what was done, in words.

    A batch norm whose parameters are all frozen normalizes with its running statistics while training, as it does in
    evaluation, and leaves them as they are: the network that is trained is the one that is tested.

    Raises ConfigError if a pattern matches none, or nothing is left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"freeze: no parameter matches '{pattern}'; there are {_few(names)}")
    frozen = [parameter for name, parameter in model.named_parameters() if _matches(name, patterns)]
    if len(frozen) == len(names):
        raise ConfigError(f"freeze={list(patterns)} leaves nothing to train")
    for parameter in frozen:
        parameter.requires_grad_(False)
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not any(p.requires_grad for p in own):
            module.register_forward_pre_hook(_in_evaluation_mode)
    return f"{sum(parameter.numel() for parameter in frozen):,} parameters frozen"


def _in_evaluation_mode(module: nn.Module, inputs: object) -> None:
    """Before each forward pass, as `model.train()` comes at any time, and hooks are copied with the model."""
    module.training = False


def _few(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _misfits(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[str]:
    """`name (what is there, what is here)` of each tensor that is missing on one side or has another shape."""
    found = []
    for name in ours | theirs:
        there, here = (tuple(side[name].shape) if name in side else "none" for side in (theirs, ours))
        if there != here:
            found.append(f"{name} ({there} there, {here} here)")
    return found
