"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.bandits import bandits
from dlcourse.lectures.cat_or_dog import cat_or_dog
from dlcourse.lectures.criterion import criterion
from dlcourse.lectures.diffusion import diffusion, diffusion_images
from dlcourse.lectures.games import cartpole, cliff, self_play
from dlcourse.lectures.gan import gan
from dlcourse.lectures.landscapes import landscape
from dlcourse.lectures.loop import loop
from dlcourse.lectures.optimizers import optimizers
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.lectures.speed import hardware, parallel
from dlcourse.lectures.units import units
from dlcourse.lectures.vae import vae
from dlcourse.lectures.weight_sharing import weight_sharing
from dlcourse.lectures.worked_cnn import lecture_cnn48
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bandits": bandits,
        "bars": bars,
        "cartpole": cartpole,
        "cat_or_dog": cat_or_dog,
        "cliff": cliff,
        "criterion": criterion,
        "curves": curves,
        "diffusion": diffusion,
        "diffusion_images": diffusion_images,
        "evaluated": evaluated,
        "gan": gan,
        "hardware": hardware,
        "lecture_cnn48": lecture_cnn48,
        "loop": loop,
        "vae": vae,
        "weight_sharing": weight_sharing,
        "landscape": landscape,
        "optimizers": optimizers,
        "parallel": parallel,
        "self_play": self_play,
        "units": units,
    },
    run_time=("runs",),
)
