"""`python -m dlcourse` is the `dlcourse` command."""

import os
import sys

# Python puts the working folder first on the path; a `yaml.py` or a `hydra_plugins` folder in it must not be imported.
sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd())]

from dlcourse.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
