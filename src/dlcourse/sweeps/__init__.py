"""Sweeps: the list of runs, the processes that do them, and the table of what they reached."""
