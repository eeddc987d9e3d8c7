"""Stage 1 timed beside what exists: the official predictor, SOLA's way, and the arithmetic that cannot be avoided.

Knows trackers, random weights and clips made for timing. Does not know datasets, quality or command lines.
"""
