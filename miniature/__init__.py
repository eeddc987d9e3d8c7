"""The whole system in small: a rendered world with exact ground truth, tiny models trained on it, their weights.

Knows every stage below it. Does not know commands. All figures made here are miniature figures: they say whether the
code works, not how it does on real video.
"""
