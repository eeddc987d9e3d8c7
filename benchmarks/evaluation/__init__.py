"""Prediction files of a split against its truth, one module a kind of dataset, all giving one kind of report.

Knows readers, prediction files and metrics. Does not know who predicted, or which dataset goes with which metric:
`benchmarks.registry` does.
"""
