"""Metrics, one a file: masks and decisions in, figures in 0..1 out.

Knows the official definitions, each named where it is computed. Does not know datasets or who predicted.
"""
