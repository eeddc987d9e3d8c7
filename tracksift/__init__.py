"""The composition: `ask()`, the pipelines over a split, and the page of a video.

Knows every stage. Does not know how any of them works inside, nor the miniature world, whose weights it finds by path.
"""
