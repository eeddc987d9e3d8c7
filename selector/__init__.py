"""Stage 2a: which cached tracks an expression means.

Knows object tokens, word states and labels; trains, calibrates and applies the track selector. Does not know how tracks
were made, how benchmarks store annotations, nor what an answer looks like.
"""
