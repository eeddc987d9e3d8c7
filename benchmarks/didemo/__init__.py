"""DiDeMo: moments of 5-second chunks in Flickr videos, each from four annotators or more.

Knows its JSON. Does not know videos.
"""
