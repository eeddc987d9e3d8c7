"""A world for tests of the selector: a channel of a track's tokens is its colour, and words are one-hot."""

from dataclasses import dataclass

import numpy as np
import torch

from core.text import TextFeatures, masked_mean
from core.types import Expression, Labels, Source, TrackSet
from selector.settings import RelationalSettings, SolaSettings, TrainingSettings
from tests.factories import make_track, make_video, moving_masks

WORDS = ("the", "red", "green", "blue", "moving", "still", "one", "and")


@dataclass(frozen=True)
class WordEncoder:
    """One-hot words: the smallest thing that keeps the protocol."""

    name: str = "words"
    sha256: str = "a" * 64
    width: int = len(WORDS)

    def encode(self, texts):
        rows = [[WORDS.index(word) for word in text.split()] for text in texts]
        longest = max(len(row) for row in rows)
        mask = torch.tensor([[i < len(row) for i in range(longest)] for row in rows])
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        tokens = torch.nn.functional.one_hot(ids, self.width).float() * mask[..., None]
        return TextFeatures(tokens, mask, masked_mean(tokens, mask))


SMALL = SolaSettings(
    token_width=4, text_width=len(WORDS), embed_width=32, heads=4, motion_widths=(16, 32), motion_kernels=(3, 1),
    motion_strides=(2, 1), layers=2, negatives=4, groups=4, dropout=0.0, motion_dropout=0.0,
)  # fmt: skip
TINY = RelationalSettings(
    token_width=4, text_width=len(WORDS), look_width=3, embed_width=32, heads=2, text_layers=1, frame_layers=1, layers=2
)
FAST = TrainingSettings(
    epochs=8, batch=16, learning_rate=3e-3, schedule="cosine", warm_up=0.1, truth_share=0.5, seed=0
)  # fmt: skip


def colour_video(seed, video_id, tracks=3, *, looks=False):
    """Track i's channel of its colour is high all the time; track 0 comes once more as a ground-truth track.

    With `looks` the colour is in the looks alone, and the tokens are noise.

    Returns the track set, its labels, and three expressions: one of a colour that is there, one of two, one of none.
    """
    rng = np.random.default_rng(seed)
    colours = rng.permutation(3)[: tracks - 1].tolist()
    colours = [*colours, colours[0]]  # the last two-coloured expression has two targets
    frames = int(rng.integers(5, 9))
    made = []
    for i, (colour, source) in enumerate([(c, Source.GRID) for c in colours] + [(colours[0], Source.GROUND_TRUTH)]):
        track = make_track(moving_masks(i, frames, (16, 20)), source=source, width=4, seed=seed * 10 + i)
        tokens = (track.tokens * 0.1).astype(np.float16)
        if looks:
            object.__setattr__(track, "look", np.eye(3, dtype=np.float16)[colour])
        else:
            tokens[:, colour] += 2
        object.__setattr__(track, "tokens", tokens)
        made.append(track)
    objects = tuple(str(i) for i in range(len(colours)))
    iou = np.concatenate([np.eye(len(colours)), np.eye(len(colours))[:1]]).astype(np.float32) * 0.9
    labels = Labels(objects, iou, iou, iou)
    names = WORDS[1:4]
    expressions = tuple(
        Expression(str(c), f"the {names[c]} one", tuple(objects[i] for i, k in enumerate(colours) if k == c))
        for c in range(3)
    )
    video = make_video(frames=frames, video_id=video_id)
    facts = {"tracker_sha256": "1" * 64} | ({"look_sha256": "3" * 64} if looks else {})
    return TrackSet(video, tuple(made), facts), labels, expressions
