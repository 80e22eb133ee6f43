"""Benchmarks of cuarray against other array libraries; ``python -m benchmarks --help``."""
