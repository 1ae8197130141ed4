"""dlcourse: a command-line lab bench for learning deep learning."""

__version__ = "0.1.0"
