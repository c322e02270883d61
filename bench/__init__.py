"""The benchmark: Sampan and, beside it in the same run, Debian's Docker. `bench/run` starts it and writes docs/benchmarks.md.

Measures time what a client sees. Not a test: it asserts nothing but that the work was really done.
"""
