"""The command line: one module a verb, and what stands between Hydra and the user."""
