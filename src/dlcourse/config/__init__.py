"""What may be said about a run, and its check: options, tables of names, YAML files."""
