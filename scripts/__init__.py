"""Doors: thin commands over the pipelines, one file each; imported by nothing.

Knows flags, tables and the last JSON line. Does not know tensors.
"""
