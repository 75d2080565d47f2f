"""Benchmarks: each prints ratios to a limit or a peer, measured in the same run. `make bench` runs them all."""
