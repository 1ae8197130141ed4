"""`python -m dlcourse` is the `dlcourse` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working folder: a `yaml.py` or a `hydra_plugins` folder in it must not be imported

from dlcourse.cli.main import command

if __name__ == "__main__":
    command()
