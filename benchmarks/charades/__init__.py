"""Charades-STA: moments in home videos.

Knows its native text file, the same split as JSON lines or COCO-like JSON, and the prediction files scored against it.
"""
