"""Shot2Story-MAGQA: questions about a video that are answered several times, each answer at its own time.

Knows the files of MMDuet, in which it comes, and of models' replies. Does not know videos or who judges.
"""
