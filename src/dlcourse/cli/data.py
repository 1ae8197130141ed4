"""`dlcourse data`: lists, shows, downloads and verifies data sets, and checks and adds the user's own."""

import importlib

from dlcourse.config.options import suggestion
from dlcourse.errors import ConfigError
from dlcourse.signals import Stop
from dlcourse.terminal import print_help

HELP = """\
dlcourse data list [NAME ...]       the data sets: examples, shape, targets, and whether they are downloaded
dlcourse data show NAME             what dlcourse train sees: splits, classes, columns, and everything odd
dlcourse data show PATH             the same for your own files: a folder or archive of images, .csv, .npz, .txt
dlcourse data get NAME              download a data set and check it
dlcourse data add PATH --as NAME    check your own files and copy them into the data folder
dlcourse data verify NAME           check that files are as published, or unchanged since you added them
  data.OPTION=VALUE                 options of the data set, as for dlcourse train
  --out FILE.png                    for show: a picture of examples, also as augmented, and the class balance

For example:
  dlcourse data show mnist --out mnist.png
  dlcourse data show cifar10 data.augment.rotation=15 --out cifar10.png
  dlcourse data show houses.csv data.target=price
  dlcourse data add photos.zip --as photos

The data folder is ~/.cache/dlcourse, or the one that the environment variable DLCOURSE_DATA names.
"""

ACTIONS = {
    "list": ("data_list", "main"),
    "show": ("data_show", "main"),
    "get": ("data_files", "get"),
    "add": ("data_add", "main"),
    "verify": ("data_files", "verify"),
}
"""The actions: the module in this package and the function in it that does each."""


def main(words: list[str]) -> int:
    """Do what the words behind `data` ask for; raises UserError."""
    if "--help" in words or "-h" in words:
        print_help(HELP)
        return 0
    if not words:
        raise ConfigError(f"an action is missing; write dlcourse data with one of: {', '.join(ACTIONS)}")
    action, *rest = words
    if action not in ACTIONS:
        raise ConfigError(f"unknown action '{action}' of dlcourse data{suggestion(action, ACTIONS)}")
    module, function = ACTIONS[action]
    with Stop():  # so that a signal removes what is unfinished
        return int(getattr(importlib.import_module(f"dlcourse.cli.{module}"), function)(rest))
