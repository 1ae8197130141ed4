"""The tasks there are: what a batch means, which loss it has, and how a model is measured on a split."""

from dlcourse.registry import Registry
from dlcourse.tasks.adversarial import Adversarial
from dlcourse.tasks.classification import Classification
from dlcourse.tasks.diffusion import Diffusion
from dlcourse.tasks.language import Language
from dlcourse.tasks.reconstruction import Reconstruction
from dlcourse.tasks.regression import Regression
from dlcourse.tasks.seq2seq import SequenceToSequence
from dlcourse.tasks.task import Task
from dlcourse.tasks.variational import Variational

TASKS: Registry[Task] = Registry(
    "task",
    {
        "classification": Classification,
        "adversarial": Adversarial,
        "regression": Regression,
        "reconstruction": Reconstruction,
        "variational": Variational,
        "language": Language,
        "seq2seq": SequenceToSequence,
        "diffusion": Diffusion,
    },
    run_time=("model", "spec", "device", "descend"),
)
