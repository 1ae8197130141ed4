"""`debug=...`: short trainings that look for faults, run through everything once, or measure where the time goes."""
