"""A trained selector as files and as something that scores: caches and expressions in, `TrackScores` out.

Knows the files of a selector (weights as `.safetensors`, beside them a record of the same name as `.json`), who may
compete, and what the scorer was trained on. Does not know training, masks or answers. Axis letters: N tracks, T frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from cache import CacheFile
from core.atomic import atomic_path
from core.candidates import candidates
from core.errors import CheckpointError, InputError, ScorerMismatchError
from core.hashing import file_sha256
from core.text import TextEncoder
from core.types import Expression, TrackScores, TrackSet
from core.weights import load_strictly
from selector.calibration import Calibration
from selector.data import encode_texts
from selector.inputs import VideoTracks, read_tracks
from selector.modules import Module, build
from selector.settings import Settings, module_name, settings_from_json

WEIGHTS = "selector.safetensors"
FORMAT = 2
TOKENS_AT_ONCE = 1 << 17  # track tokens (N x T) a pass, which bounds memory


@dataclass(frozen=True)
class Selector:
    """A selector ready to score; `tracker`, `text_encoder` and `look` are hashes of what it was trained on.

    `look` is "" where no looks are read. `sha256` names its weights, `calibration` its thresholds, `record` everything
    else that its file tells.
    """

    model: Module
    calibration: Calibration
    tracker: str
    text_encoder: str
    look: str
    sha256: str
    record: Mapping[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def threshold(self) -> float:
        """Fusion's threshold on a track's probability."""
        return self.calibration.threshold

    @property
    def no_target_threshold(self) -> float:
        """Fusion's threshold on the probability of no target."""
        return self.calibration.no_target_threshold

    def score(
        self,
        source: CacheFile | TrackSet,
        expressions: Sequence[Expression],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
    ) -> list[TrackScores]:
        """Probabilities of a video's tracks for each expression; 0 for tracks that do not compete.

        Args:
            source: a cache file, or tracks in memory.
            expressions: one or more.
            encoder: the text encoder that the selector was trained with.
            competing: indices of the tracks that compete, for each expression; `core.candidates` when None. Tracks
                are scored in the company of just these.

        Raises:
            ScorerMismatchError: when the tracks come from another tracker, their looks are missing or of another
                encoder, or the text encoder is another.
        """
        return self.score_tracks(self.read(source), expressions, encoder, competing)

    def read(self, source: CacheFile | TrackSet) -> VideoTracks:
        """What the selector reads of a video's tracks, for who asks about them more than once; raises as `score`."""
        settings = self.model.settings
        return read_tracks(source, geometry=settings.geometry, looks=settings.look_width > 0)

    def score_tracks(
        self,
        tracks: VideoTracks,
        expressions: Sequence[Expression],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
    ) -> list[TrackScores]:
        """`score` of tracks that `read` has read."""
        self.check(tracks, encoder)
        if competing is None:
            competing = [candidates(tracks.sources, tracks.prompted_for, e.id, tracks.detected) for e in expressions]
        logits = self.logits(tracks, [e.text for e in expressions], encoder, competing)
        return [
            self._scores(tracks, expression, able, values)
            for expression, able, values in zip(expressions, competing, logits, strict=True)
        ]

    def check(self, tracks: VideoTracks, encoder: TextEncoder) -> None:
        """Refuse tracks of another tracker, looks of another encoder, and another text encoder than the training's."""
        if tracks.tracker != self.tracker and len(tracks.values):
            raise ScorerMismatchError(
                f"video {tracks.video_id!r}: expected tracks of the tracker {self.tracker[:12]}, which the selector "
                f"was trained on, got {tracks.tracker[:12] or 'one without a name'}; generate the cache with that "
                "tracker, or train a selector for this one"
            )
        if tracks.look != self.look and len(tracks.values):
            raise ScorerMismatchError(
                f"video {tracks.video_id!r}: expected looks of the image encoder {self.look[:12]}, which the selector "
                f"was trained on, got {tracks.look[:12] or 'one without a name'}; run `tracksift generate --looks` "
                "with that encoder, or train a selector for this one"
            )
        if encoder.sha256 != self.text_encoder:
            raise ScorerMismatchError(
                f"text encoder {encoder.name!r}: expected {self.text_encoder[:12]}, which the selector was trained "
                f"with, got {encoder.sha256[:12]}"
            )

    @torch.no_grad()
    def logits(
        self, tracks: VideoTracks, texts: Sequence[str], encoder: TextEncoder, competing: Sequence[NDArray[np.intp]]
    ) -> list[NDArray[np.float64]]:
        """Logits of the competing tracks of each text, in the order of `competing`; float32 on the model's device."""
        if len(competing) != len(texts):
            raise InputError(
                f"competing tracks: expected one list for each of {len(texts)} texts, got {len(competing)}"
            )
        device = self.device
        if not texts:
            return []
        words, word_mask = (x.to(device) for x in encode_texts(list(texts), encoder))
        found: list[NDArray[np.float64]] = [np.zeros(0)] * len(texts)
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, able in enumerate(competing):
            groups.setdefault(tuple(int(k) for k in able), []).append(i)
        for tracks_able, members in groups.items():
            if not tracks_able:
                continue
            values = torch.from_numpy(tracks.values[list(tracks_able)]).to(device).float()  # [N, T, D]
            count, frames = values.shape[:2]
            videos: Any = self.model.encode(values[None], None, None)
            step = max(1, TOKENS_AT_ONCE // (count * frames))
            for part in (members[i : i + step] for i in range(0, len(members), step)):
                read = self.model.read(words[part], word_mask[part])
                video = torch.zeros(len(part), dtype=torch.int64, device=device)
                logits, _ = self.model.select(videos, video, read, None, word_mask[part])
                for i, row in zip(part, logits.double().cpu().numpy(), strict=True):
                    found[i] = row
        return found

    def _scores(
        self, tracks: VideoTracks, expression: Expression, able: NDArray[np.intp], logits: NDArray[np.float64]
    ) -> TrackScores:
        probability = np.zeros(len(tracks.sources))
        probability[able] = self.calibration.probability(logits)
        presence = self.calibration.presence(logits)
        return TrackScores(tracks.video_id, expression.id, probability, presence, self.sha256, tracks.cache)


def save_selector(
    path: Path, model: Module, calibration: Calibration, tracker: str, text_encoder: str,
    record: Mapping[str, Any], look: str = "",
) -> None:  # fmt: skip
    """Write weights (float16; buffers as they are) to `path` and the record beside it, which names the weights' hash.

    tracker, text_encoder, look: hashes of what it was trained on; look is "" for a selector that reads none.
    record: JSON-able facts about the training, kept under their own names.
    """
    buffers = {name for name, _ in model.named_buffers()}
    state = {
        name: (tensor if name in buffers else tensor.half()).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary)
    values = {
        "format": FORMAT,
        "module": module_name(model.settings),
        "settings": asdict(model.settings),
        "calibration": asdict(calibration),
        "tracker_sha256": tracker,
        "text_encoder_sha256": text_encoder,
        "look_sha256": look,
        "weights_sha256": file_sha256(path),
        **record,
    }
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def load_selector(path: Path, device: str | torch.device = "cpu") -> Selector:
    """The selector whose weights are `path` (or, in a folder, `selector.safetensors`), with the record beside them.

    Raises:
        CheckpointError: where either is missing, damaged, or does not belong to the other.
    """
    path = path / WEIGHTS if path.is_dir() else path
    record = _read_record(path.with_suffix(".json"))
    try:
        settings: Settings = settings_from_json(record["module"], record["settings"])
        calibration = _calibration(record["calibration"])
        tracker, encoder, look, weights = (
            str(record[k]) for k in ("tracker_sha256", "text_encoder_sha256", "look_sha256", "weights_sha256")
        )
        if bool(look) != (settings.look_width > 0):
            raise InputError(f"look_width {settings.look_width} with look_sha256 {look!r}")
    except (InputError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path.with_suffix('.json')}: expected the record of a selector, got: {error}"
        ) from error
    with torch.device("meta"):
        model = build(settings)
    model = model.to_empty(device="cpu")
    load_strictly(model, path)
    sha256 = file_sha256(path)
    if sha256 != weights:
        raise CheckpointError(f"{path}: expected the weights {weights[:12]} that its record names, got {sha256[:12]}")
    model = model.to(device).eval().requires_grad_(False)
    return Selector(model, calibration, tracker, encoder, look, sha256, record)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the JSON record of a selector, got: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointError(f"{path}: expected a selector's record of format {FORMAT}, got another")
    return record


def _calibration(values: Mapping[str, Any]) -> Calibration:
    known = {field.name for field in fields(Calibration)}
    if set(values) != known:
        raise InputError(f"calibration: expected exactly {sorted(known)}, got {sorted(values)}")
    return Calibration(**{name: float(value) for name, value in values.items()})
