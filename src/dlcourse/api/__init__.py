"""dlcourse from Python: what `dlcourse.train`, `dlcourse.load` and `dlcourse.Run` are."""
