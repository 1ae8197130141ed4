"""Pages: a run or a sweep as one HTML file, made of what its folder holds."""
