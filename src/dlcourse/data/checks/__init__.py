"""What is odd about data, all of it at once: checks that return a list of findings and refuse nothing."""
