"""Optimizers, learning-rate schedules, and the step that uses them."""
