"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.criterion import criterion
from dlcourse.lectures.diffusion import diffusion, diffusion_images
from dlcourse.lectures.gan import gan
from dlcourse.lectures.loop import loop
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.lectures.vae import vae
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "against": against,
        "bars": bars,
        "criterion": criterion,
        "curves": curves,
        "diffusion": diffusion,
        "diffusion_images": diffusion_images,
        "evaluated": evaluated,
        "gan": gan,
        "loop": loop,
        "vae": vae,
    },
    run_time=("runs",),
)
