"""Ref-DAVIS17: the layout of Ref-YouTube-VOS with four annotators.

Knows these files. Does not know the other datasets.
"""
