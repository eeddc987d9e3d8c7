"""The whole composition: pipelines over a split or one video, `ask`, and the page that shows an answer.

Knows every stage by its front door. Does not know training of the miniature, nor command lines.
"""

from tracksift.ask import ask

__all__ = ["ask"]
