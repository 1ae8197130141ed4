"""The bench: `dlcourse train` against loops by hand and other libraries, on the same work; run it with scripts/bench/run."""
