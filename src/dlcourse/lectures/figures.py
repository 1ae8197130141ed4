"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.cat_or_dog import cat_or_dog
from dlcourse.lectures.criterion import criterion
from dlcourse.lectures.diffusion import diffusion, diffusion_images
from dlcourse.lectures.embeddings import embeddings
from dlcourse.lectures.gan import gan
from dlcourse.lectures.gpt import few_shot, pretraining, scaling
from dlcourse.lectures.landscapes import landscape
from dlcourse.lectures.loop import loop
from dlcourse.lectures.memory import gates
from dlcourse.lectures.next_words import next_word, reverse
from dlcourse.lectures.optimizers import optimizers
from dlcourse.lectures.rlhf import rlhf
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.lectures.units import units
from dlcourse.lectures.vae import vae
from dlcourse.lectures.weight_sharing import weight_sharing
from dlcourse.lectures.worked_cnn import lecture_cnn48
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bars": bars,
        "cat_or_dog": cat_or_dog,
        "criterion": criterion,
        "curves": curves,
        "diffusion": diffusion,
        "diffusion_images": diffusion_images,
        "embeddings": embeddings,
        "evaluated": evaluated,
        "few_shot": few_shot,
        "gan": gan,
        "gates": gates,
        "lecture_cnn48": lecture_cnn48,
        "loop": loop,
        "vae": vae,
        "weight_sharing": weight_sharing,
        "landscape": landscape,
        "next_word": next_word,
        "optimizers": optimizers,
        "pretraining": pretraining,
        "reverse": reverse,
        "rlhf": rlhf,
        "scaling": scaling,
        "units": units,
    },
    run_time=("runs",),
)
