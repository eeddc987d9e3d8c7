"""What of a dataset is there, missing, unreadable or mismatched, one module a kind.

Knows readers and frames. Does not know scores.
"""
