"""Entries of the user's own, in folders that are named on the command line: found, checked, loaded, and recorded."""
