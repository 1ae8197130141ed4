"""A finished run's model as files that run without dlcourse: one module for each format."""
