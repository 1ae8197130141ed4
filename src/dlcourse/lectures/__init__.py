"""The figures of the four lectures: ordinary runs, and drawings of what they left."""
