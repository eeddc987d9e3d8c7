"""What evaluation servers and toolkits take: written, and checked before it is sent.

Knows the files of submissions. Does not know who answered, nor how servers score.
"""
