"""Whether margins hold what they promise: tests of coverage."""
