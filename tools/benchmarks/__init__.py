"""What ``tools/benchmark.py`` times: a module a benchmark, with a function that gives its pairs."""
