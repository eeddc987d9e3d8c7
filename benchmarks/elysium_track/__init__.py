"""ElysiumTrack-1M and RSOT: JSON lines of boxes as shares of the picture.

Knows these files. Does not know the other datasets.
"""
