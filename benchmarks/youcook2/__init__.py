"""YouCook2: dense captions of cooking videos.

Knows the two forms in which its splits travel, and prediction files. Does not know how captions are scored.
"""
