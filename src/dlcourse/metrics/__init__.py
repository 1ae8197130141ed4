"""Numbers about outputs: no model, no file, no drawing."""
