"""Ground floor: the types, validators, errors, ids, mask codec, video frames and frozen encoders that all others share.

Knows arrays and files. Does not know trackers, selectors, grounders, datasets or caches, and imports none of them.

Axis letters, everywhere in the project:
    N tracks, T frames, H W pixels, D object-token width, L text tokens, C text width, B batch, O ground-truth objects.
"""
