"""Photographic clips with exact masks: regions cut from real frames, moved, turned and bent over other real frames.

Knows photographs, regions and motions. Does not know models, prompts or training. The miniature SAM2 is trained on
these beside the rendered world, so that one set of weights also holds on real video.
"""
