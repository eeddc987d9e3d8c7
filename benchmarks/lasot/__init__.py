"""LaSOT: as downloaded, or as its evaluation toolkit ships the annotations.

Knows these files. Does not know the other datasets.
"""
