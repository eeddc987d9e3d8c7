"""TimeLens-Bench: Charades-STA, ActivityNet and QVHighlights with windows that people corrected.

Knows its JSON and the form in which its results are handed in. Does not know videos.
"""
