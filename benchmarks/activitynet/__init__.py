"""ActivityNet Captions: moments and dense captions of one set of annotations.

Knows its files val_1, val_2 and train, and the submission format of densevid_eval. Does not know videos.
"""
