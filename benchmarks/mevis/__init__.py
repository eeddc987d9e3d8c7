"""MeViS and everything written in its layout, the rendered world included.

Knows MeViS's files. Does not know the other datasets.
"""
