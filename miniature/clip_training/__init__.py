"""How the miniature open_clip is trained: vocabulary, rendered views with their facts, losses, evaluation.

Knows the rendered world and open_clip's formats. Does not know the selector that will read the text tower.
"""
