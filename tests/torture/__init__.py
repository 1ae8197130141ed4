"""Harnesses that kill, damage and attack real runs; the suite runs them briefly, `scripts/torture` at full length."""
