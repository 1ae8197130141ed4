"""The run folder: what is in it, how it is written and opened again."""
