"""The Lightning loop started by Hydra, as its templates start theirs; for the time until the first step."""

import sys
from dataclasses import asdict

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from bench.contests import Figures, Work


def run(work: Work) -> Figures:
    """Train."""
    found: list[Figures] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="bench")
    def main(config: DictConfig) -> None:
        from bench.loops import lightning

        found.append(lightning.run(Work(**{str(name): value for name, value in config.items()})))

    ConfigStore.instance().store("bench", asdict(work))
    sys.argv[1:] = []  # which Hydra would take for its own
    main()
    return found[0]
