"""Benchmarks: what studyc costs beside a peer measured in the same run. `make bench`, or `python -m bench NAME`."""
