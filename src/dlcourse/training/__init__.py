"""From a config to a finished run: build, fit, evaluate, report."""
