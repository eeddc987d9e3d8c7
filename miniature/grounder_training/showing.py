"""What a grounder's front ends are taught by the films' own truth: of patches, of tracks, and the words for tracks.

Knows films, their truth and the grounder's inputs. Does not know requests, optimisers or steps. Axis letters: N
tracks, T frames, P patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from llm_grounder.grounder import Grounder
from llm_grounder.masklets import read_tracks
from miniature.grounder_training.films import Film
from miniature.grounder_training.lessons import clip_of
from miniature.grounder_training.patch_lessons import PatchLessons, patch_truth, track_truth
from miniature.grounder_training.settings import Settings
from miniature.grounder_training.shown import NOTHING
from miniature.grounder_training.word_lessons import AT_ONCE, WordLessons
from tracksift.clips import see

STRETCH = 64  # frames of a film in which the front end learns what patches show, at most


class Showing(nn.Module):
    """Lessons of one grounder's front ends, `seen` by name: `patches`, and `tracks` of one that reads them.

    Their heads are trained along; what a film shows is kept as long as the film.
    """

    def __init__(self, settings: Settings, grounder: Grounder) -> None:
        """The grounder is not a part of this module."""
        super().__init__()
        self._settings, self._grounder = settings, [grounder]
        widths = {"patches": settings.grounder.visual_width}
        if settings.grounder.track_width:
            widths["tracks"] = settings.grounder.object_width
            self.words = WordLessons(grounder.backbone)
        self.seen = nn.ModuleDict({name: PatchLessons(width) for name, width in widths.items()})
        self._truths: WeakKeyDictionary[Film, dict[str, Tensor]] = WeakKeyDictionary()

    def losses(
        self, films: Sequence[Film], rng: np.random.Generator, most: int
    ) -> dict[str, Tensor]:  # fmt: skip
        """By name: of a stretch of frames of a few of the films, `most` frames in all, and of all tracks, whose words
        too.
        """
        losses = self._of_patches(films, rng, most)
        if "tracks" in self.seen:
            states, truth = self._of_tracks(films)
            own: dict[str, Tensor] = self.seen["tracks"](states, truth)
            losses |= {f"tracks.{name}": value for name, value in own.items()}
            losses["tracks.words"] = self._said(states, truth, rng)
        return losses

    def _of_patches(self, films: Sequence[Film], rng: np.random.Generator, most: int) -> dict[str, Tensor]:
        length = min(STRETCH, *(film.frames for film in films))
        shown, truth = [], []
        for film in films[: max(1, most // length)]:
            start = int(rng.integers(film.frames - length + 1))
            frames = slice(start, start + length)
            shown.append(film.patches[frames])
            truth.append(self._known(film, "patches", self._truth_of_patches)[frames])
        # In float32, since autocast to bfloat16 knows no float16.
        clips = torch.stack([see(patches.float(), self._settings.motion) for patches in shown])
        patches = self._grounder[0].inputs.patches(clips)
        found: dict[str, Tensor] = self.seen["patches"](patches.flatten(0, 1), torch.cat(truth).long())
        return found

    def _of_tracks(self, films: Sequence[Film]) -> tuple[Tensor, Tensor]:
        """States [N, T, W] of all films' tracks, and what they show [N, T, kinds]."""
        device = films[0].patches.device
        states = read_tracks(
            self._grounder[0].inputs.tracks, [clip_of(film, motion=False) for film in films], device
        ).states
        told = [self._known(film, "tracks", track_truth) for film in films]
        truth = torch.full((*states.shape[:2], told[0].shape[-1]), NOTHING, device=device)
        row = 0
        for each in told:
            truth[row : row + len(each), : each.shape[1]] = each
            row += len(each)
        return states, truth

    def _said(self, states: Tensor, truth: Tensor, rng: np.random.Generator) -> Tensor:
        """What some tracks in some frames say, against the words of what they show."""
        chosen = torch.from_numpy(rng.integers(states.shape[0] * states.shape[1], size=AT_ONCE))
        chosen = chosen.to(states.device, non_blocking=True)
        naming, backbone = self._grounder[0].naming, self._grounder[0].backbone
        assert naming is not None  # there are tracks
        logits = backbone.logits(naming.says(states.flatten(0, 1)[chosen]))
        return torch.as_tensor(self.words(logits, truth.flatten(0, 1)[chosen]))

    def _truth_of_patches(self, film: Film) -> Tensor:
        return patch_truth(film, slice(0, film.frames), self._settings.grid)

    def _known(self, film: Film, name: str, tell: Callable[[Film], Tensor]) -> Tensor:
        """What a film's patches or tracks show, int8."""
        kept = self._truths.setdefault(film, {})
        if name not in kept:
            kept[name] = tell(film).to(torch.int8)
        return kept[name]
