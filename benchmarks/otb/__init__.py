"""OTB: a folder a sequence.

Knows these files. Does not know the other datasets.
"""
