"""Stage 1: frames in, tracks out. Prompts (grid, ground truth) -> SAM2 masklets and object tokens.

Knows SAM2 and the frames of one video at a time. Does not know expressions, datasets, caches or what the tracks are
used for. Imports `core` alone.
"""
