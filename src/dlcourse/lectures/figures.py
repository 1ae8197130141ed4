"""The drawings of the lectures' figures by name."""

from dlcourse.config.registry import Registry
from dlcourse.lectures.bandits import bandits
from dlcourse.lectures.cat_or_dog import cat_or_dog
from dlcourse.lectures.classifiers import deep_wide, logistic, pca
from dlcourse.lectures.criterion import criterion
from dlcourse.lectures.diffusion import diffusion, diffusion_images
from dlcourse.lectures.embeddings import embeddings
from dlcourse.lectures.games import cartpole, cliff, self_play
from dlcourse.lectures.gan import gan
from dlcourse.lectures.gpt import few_shot, pretraining, scaling
from dlcourse.lectures.hypotheses import many_hypotheses, no_free_lunch
from dlcourse.lectures.landscapes import landscape, resnet_depth
from dlcourse.lectures.loop import loop
from dlcourse.lectures.memory import gates
from dlcourse.lectures.next_words import next_word, reverse
from dlcourse.lectures.optimizers import optimizers
from dlcourse.lectures.overfitting import benign, double_descent, holdout
from dlcourse.lectures.regression import fit, likelihood, polynomial, two_heads
from dlcourse.lectures.regularization import ablation, batch_norm, dropout, random_labels
from dlcourse.lectures.rlhf import rlhf
from dlcourse.lectures.several import against, bars, curves, evaluated
from dlcourse.lectures.small_networks import activations, backprop, universal
from dlcourse.lectures.speed import hardware, parallel
from dlcourse.lectures.tasks_of_learning import tasks
from dlcourse.lectures.units import units
from dlcourse.lectures.vae import vae
from dlcourse.lectures.weight_sharing import weight_sharing
from dlcourse.lectures.worked_cnn import lecture_cnn48
from dlcourse.metrics.report import Report

FIGURES: Registry[Report] = Registry(
    "lecture",
    {
        "ablation": ablation,
        "activations": activations,
        "against": against,
        "backprop": backprop,
        "bandits": bandits,
        "bars": bars,
        "batch_norm": batch_norm,
        "benign": benign,
        "cartpole": cartpole,
        "cat_or_dog": cat_or_dog,
        "cliff": cliff,
        "criterion": criterion,
        "curves": curves,
        "deep_wide": deep_wide,
        "diffusion": diffusion,
        "diffusion_images": diffusion_images,
        "double_descent": double_descent,
        "dropout": dropout,
        "embeddings": embeddings,
        "evaluated": evaluated,
        "few_shot": few_shot,
        "gan": gan,
        "gates": gates,
        "hardware": hardware,
        "holdout": holdout,
        "landscape": landscape,
        "lecture_cnn48": lecture_cnn48,
        "likelihood": likelihood,
        "line": fit,
        "logistic": logistic,
        "loop": loop,
        "many_hypotheses": many_hypotheses,
        "next_word": next_word,
        "no_free_lunch": no_free_lunch,
        "optimizers": optimizers,
        "parallel": parallel,
        "pca": pca,
        "polynomial": polynomial,
        "pretraining": pretraining,
        "random_labels": random_labels,
        "resnet_depth": resnet_depth,
        "reverse": reverse,
        "rlhf": rlhf,
        "scaling": scaling,
        "self_play": self_play,
        "tasks": tasks,
        "two_heads": two_heads,
        "units": units,
        "universal": universal,
        "vae": vae,
        "weight_sharing": weight_sharing,
    },
    run_time=("runs",),
)
