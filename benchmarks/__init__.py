"""Borders: one reader per dataset, one metric per file.

Knows annotation files, their ground truth and the official definitions of scores. Does not know trackers or scorers:
readers give the shared types of `core`, metrics take masks.
"""
