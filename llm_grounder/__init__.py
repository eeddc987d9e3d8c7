"""Stage 2b: when an expression is meant. A language model over frames gives each moment a relevance, and spans.

Knows `core` and the frame features in `cache`. Does not know tracks' masks, other scorers or how answers are fused.
Nothing is here yet: fusion takes moment scores as an optional input, and works without them.
"""
