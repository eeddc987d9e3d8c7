"""Stage 2b: when an expression is meant. A language model over frames gives each moment a relevance, and spans.

Knows `core` and what the caches hold: features of frames, and tokens and boxes of tracks. Does not know tracks' masks,
other scorers, data sets or how answers are fused. `types` is what its parts meet in, `grounder` composes the model.
"""
