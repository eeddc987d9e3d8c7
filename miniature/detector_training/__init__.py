"""The training of the miniature GroundingDINO: words, frames, batches, forward pass, losses, figures.

Knows the rendered world and transformers' GroundingDINO. Does not know commands or files of the repository.
"""
