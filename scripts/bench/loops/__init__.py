"""The competitors, a module each: `run(work)` trains and returns its figures, in a process of its own (bench/child.py)."""

NEEDS = {
    "lightning": ("lightning", "torchmetrics"),
    "lightning_hydra": ("lightning", "torchmetrics", "hydra"),
    "keras_jax": ("keras", "jax"),
    "skorch": ("skorch",),
}
"""The packages of the extra `bench` that a loop imports."""
