"""QVHighlights: moments and highlights of 2-second clips, with the official submission format and figures.

Knows the JSON lines of its authors. Does not know videos or models.
"""
