"""Tiny trainings of every task, with every option that carries a state from one step to the next."""

from pathlib import Path

from dlcourse.config.run_config import RunConfig
from tiny_data import tiny_data
from torture.warm import TINY, compose

_DIGITS = ("data=digits", "data.subset=160")
_FAMILIES: dict[str, tuple[str, ...]] = {
    "mlp": (*_DIGITS, "model=mlp", "model.hidden=[24]", "model.dropout=0.3"),
    "accumulate": (*_DIGITS, "model=mlp", "model.hidden=[16]", "model.dropout=0.2", "trainer.accumulate=4"),
    "patience": (
        *_DIGITS,
        *("model=softmax", "optimizer=rmsprop", "optimizer.lr=0.3", "trainer.epochs=9", "trainer.patience=2"),
    ),
    "cnn": (
        *("data=shapes", "data.train_size=120", "data.test_size=40", "data.resize=12", "data.augment.crop=2"),
        *("data.augment.flip=true", "data.augment.hue=0.1", "model=cnn", "model.channels=[4,4]", "model.head=[8]"),
        *(
            "optimizer=momentum",
            "scheduler=step",
            "scheduler.every=1",
            "scheduler.gamma=0.5",
            "trainer.checkpoint.steps=5",
        ),
    ),
    "resnet": (
        *("data=glyphs", "data.train_size=80", "data.test_size=40", "data.resize=8", "model=resnet", "model.width=4"),
        *("scheduler=one_cycle", "trainer.checkpoint.steps=2", "trainer.weights=last"),
    ),
    "frozen": (*_DIGITS, "model=mlp", "model.hidden=[24,24]", "freeze=[layers.1.*]", "optimizer=adadelta"),
    "line": ("data=line", "data.size=60", "model=linreg", "trainer=full_batch", "trainer.epochs=30"),
    "regression": (
        *("data=sine", "data.size=120", "model=lstm", "model.hidden=8", "trainer.clip_norm=0.5", "scheduler=warmup"),
        "optimizer=adagrad",
    ),
    "polynomial": (
        *("data=curve", "data.size=160", "model=linreg", "features=polynomial", "optimizer=rmsprop"),
        *("task.loss=huber", "trainer.eval_every=2", "trainer.epochs=5"),
    ),
    "tokens": ("data=word_order", "data.subset=160", "model=gru", "model.hidden=8", "optimizer=sgd"),
    "language": (
        "data.windows=120",
        "model=transformer",
        "model.width=16",
        "model.heads=2",
        "model.layers=1",
        "optimizer=adamw",
    ),
    "skip_gram": ("data=grammar", "data.sentences=200", "data.windows=120", "model=embedding", "model.size=8"),
    "preference": ("data.size=160", "model=gru", "model.hidden=8"),
    "seq2seq": (
        *("data=reverse", "data.size=160", "data.length=4", "data.min_length=2", "model=transformer"),
        *("model.width=16", "model.heads=2", "model.layers=1"),
    ),
    "autoencoder": (*_DIGITS, "model=autoencoder", "model.hidden=[16]", "model.latent=4"),
    "vae": (*_DIGITS, "model=vae", "model.hidden=[16]", "model.latent=2", "task.kl_warmup=20", "task.samples=2"),
    "gaussian": (
        *("data=moons", "data.size=160", "model=vae", "model.hidden=[16]", "model.latent=2", "task.samples=2"),
        *("task.kl_warmup=15", "trainer.accumulate=2"),
    ),
    "gan": (
        *("data=ring", "data.size=200", "model=gan", "model.hidden=[16]", "model.latent=4", "model.norm=spectral"),
        *("task.samples=50", "task.gradient_penalty=0.1"),
    ),
    "wasserstein": (
        *("data=ring", "data.size=200", "model=gan", "model.hidden=[16]", "model.latent=4", "model.conditional=true"),
        *("task.loss=wasserstein", "task.critic_steps=3", "task.samples=50", "trainer.accumulate=2"),
    ),
    "dqn": (
        *("data=cartpole", "data.size=33", "data.held_out=4", "model=mlp", "model.hidden=[16]", "trainer.batch_size=4"),
        *("task.memory=20", "task.replay=8", "task.sync=4", "task.explore=60"),
    ),
    "table": (
        *("data=cliff", "data.size=12", "model=linreg", "task=q_learning", "task.replay=0", "task.explore=20"),
        *("freeze=[linear.bias]", "trainer.batch_size=2", "task.on_policy=true"),
    ),
    "actor_critic": (
        *("data=cartpole", "data.size=33", "data.held_out=4", "model=policy_and_value", "model.hidden=[8]"),
        "trainer.batch_size=4",
    ),
    "diffusion": (
        *("data=moons", "data.size=200", "model=diffusion", "model.hidden=[16,16]", "model.conditional=true"),
        *("task.samples=40", "task.sample_steps=3", "task.steps=50"),
    ),
    "images": ("model=cnn", "model.channels=[4]", "model.head=[]", "data.augment.flip=true", "trainer.batch_size=4"),
    "averages": (
        *(
            "data=glyphs",
            "data.train_size=80",
            "data.test_size=40",
            "data.resize=8",
            "model=cnn",
            "model.channels=[4,4]",
        ),
        *(
            "model.head=[8]",
            "trainer.ema=0.9",
            "trainer.swa=0.5",
            "trainer.watch=true",
            "freeze=[blocks.0.*,blocks.1.*]",
        ),
    ),
    "csv": ("model=mlp", "trainer.batch_size=4", "model.hidden=[8]", "model.dropout=0.1"),
}
_WITH_DROPOUT = ("language", "seq2seq")
_FROM_FILES = {"language": "text", "preference": "preferences", "images": "images", "csv": "csv"}

NAMES = (*_FAMILIES, "transfer")


def family(name: str, place: Path, warm: Path) -> RunConfig:
    """The config of a family, without a run folder; files of its data lie in `place`, `warm` is a run to start from."""
    if name == "transfer":
        words = ("data=glyphs", "data.train_size=80", "data.test_size=20", "model=cnn", "model.channels=[4]")
        return compose(*TINY, *words, "model.head=[]", f"init_from={warm}", "scheduler=constant")
    (place / name).mkdir(parents=True, exist_ok=True)
    words = tuple(tiny_data(_FROM_FILES[name], place / name)) if name in _FROM_FILES else ()
    words += ("model.dropout=0.1",) if name in _WITH_DROPOUT else ()
    own = _FAMILIES[name]
    return compose(*TINY, *words, *own)
