"""The tasks there are: what a batch means, which loss it has, and how a model is measured on a split."""

import inspect
from typing import Any, get_type_hints

from torch import nn

from dlcourse.config.registry import Choice, Registry
from dlcourse.device import Device
from dlcourse.spec import DataSpec
from dlcourse.tasks.actor_critic import ActorCritic
from dlcourse.tasks.adversarial import Adversarial
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.closed_form import least_squares
from dlcourse.tasks.diffusion import Diffusion
from dlcourse.tasks.language import Language
from dlcourse.tasks.monte_carlo import MonteCarlo
from dlcourse.tasks.policy_gradient import PolicyGradient
from dlcourse.tasks.preference import Preference
from dlcourse.tasks.q_learning import QLearning
from dlcourse.tasks.reconstruction import Reconstruction
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.rlhf import RLHF
from dlcourse.tasks.self_play import SelfPlay
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tasks.skip_gram import SkipGram
from dlcourse.tasks.task import PredictionTask, Task
from dlcourse.tasks.variational import Variational


def choose(choice: Choice, spec: DataSpec) -> Choice:
    """The task with its options; for `auto` the one that goes with the data set's targets, with its defaults."""
    if choice.name != "auto":
        return choice
    name = spec.target_kind.task
    return Choice(name, {option: parameter.default for option, parameter in TASKS.schema(name).items()})


def _auto(model: nn.Module, spec: DataSpec, device: Device) -> Task:
    """The task that goes with the data set's targets."""
    return TASKS.build(choose(Choice("auto"), spec), model=model, spec=spec, device=device)


TASKS: Registry[Task] = Registry(
    "task",
    {
        "auto": _auto,
        "classification": Classification,
        "adversarial": Adversarial,
        "regression": Regression,
        "least_squares": least_squares,
        "reconstruction": Reconstruction,
        "variational": Variational,
        "language": Language,
        "skip_gram": SkipGram,
        "seq2seq": SequenceToSequence,
        "preference": Preference,
        "rlhf": RLHF,
        "diffusion": Diffusion,
        "q_learning": QLearning,
        "monte_carlo": MonteCarlo,
        "policy_gradient": PolicyGradient,
        "actor_critic": ActorCritic,
        "self_play": SelfPlay,
    },
    run_time=("model", "spec", "device"),
)


def takes_features(name: str) -> bool:
    """Whether a feature map may stand in front of the models of a task; what `auto` chooses may take one, too."""
    builder: Any = TASKS[name]
    made = builder if inspect.isclass(builder) else get_type_hints(builder)["return"]
    return name == "auto" or issubclass(made, PredictionTask)
