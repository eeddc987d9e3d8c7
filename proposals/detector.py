"""GroundingDINO by hub id or local folder: texts and a frame in, scored boxes out, all texts of a frame in one go.

Knows transformers' class and its files. Does not know SAM2, prompts, tracks or videos. Axis letters: B texts,
Q queries, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoProcessor, GroundingDinoForObjectDetection
from transformers.utils import logging

from core.devices import autocast, pick_device
from core.errors import CheckpointError
from core.hashing import file_sha256, json_sha256
from core.hub import first_line, hub_folder
from core.weights import misfits

FILES = ("config.json", "model.safetensors")
WANTED = ["*.json", "*.txt", "model.safetensors"]


@dataclass(frozen=True)
class Detection:
    """A box [x1, y1, x2, y2] in pixels of its frame, within it; its best word's score in 0..1; the words it stands for.

    A box without area is kept here, for the caller to count.
    """

    box: tuple[float, float, float, float]
    score: float
    phrase: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing lies between its sides."""
        x1, y1, x2, y2 = self.box
        return not (x2 > x1 and y2 > y1)


@dataclass(frozen=True)
class Texts:
    """Texts as the model reads them. ids, mask: int64 [B, L].   cut: bool for each, whether it was over the limit of
    tokens and lost its last words.
    """

    ids: Tensor
    mask: Tensor
    cut: tuple[bool, ...]


class Detector:
    """A GroundingDINO in evaluation mode on its device. `sha256` names weights, configuration and word list."""

    def __init__(self, model: GroundingDinoForObjectDetection, processor: Any, name: str, sha256: str) -> None:
        self.model, self.processor, self.name, self.sha256 = model, processor, name, sha256
        self._shared = _SharedBackbone(model.model.backbone)
        model.model.backbone = self._shared

    @property
    def limit(self) -> int:
        """Tokens that a text may have, its start, end and final "." included."""
        return int(self.model.config.max_text_len)

    def read(self, texts: Sequence[str]) -> Texts:
        """Texts in lower case with one final ".": the model does not read a phrase that is not closed."""
        tokenizer = self.processor.tokenizer
        phrases = [text.strip().lower().rstrip(". ") for text in texts]
        rows = tokenizer([f"{phrase}." for phrase in phrases])["input_ids"]
        cut = tuple(len(row) > self.limit for row in rows)
        rows = [[*row[: self.limit - 2], *row[-2:]] if over else row for row, over in zip(rows, cut, strict=True)]
        longest = max((len(row) for row in rows), default=0)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        ids.masked_fill_(mask == 0, tokenizer.pad_token_id or 0)
        return Texts(ids.to(self.model.device), mask.to(self.model.device), cut)

    @torch.inference_mode()
    def detect(
        self, image: NDArray[np.uint8], texts: Texts, box_threshold: float, text_threshold: float, together: int = 16
    ) -> list[list[Detection]]:
        """For each text the boxes whose best word scores above `box_threshold`, best first.

        image: uint8 [H, W, 3] RGB.   text_threshold: a word above it belongs to the box's phrase.
        together: texts that go through the model at once; the image goes through its backbone once for all.
        """
        pixels = self.processor.image_processor(images=image, return_tensors="pt")
        values = pixels["pixel_values"].to(self.model.device)
        whole = pixels["pixel_mask"].to(self.model.device)
        found: list[list[Detection]] = []
        for ids, mask in zip(torch.split(texts.ids, together), torch.split(texts.mask, together), strict=True):
            with autocast(self.model.device):
                out = self.model(
                    pixel_values=values.expand(len(ids), -1, -1, -1), pixel_mask=whole.expand(len(ids), -1, -1),
                    input_ids=ids, attention_mask=mask,
                )  # fmt: skip
            scores = out.logits.float().sigmoid().cpu()  # [B, Q, L], 0 beyond the text
            boxes = out.pred_boxes.float().cpu()
            for row, text in enumerate(ids.cpu()):
                found.append(self._choose(scores[row], boxes[row], text, image.shape, box_threshold, text_threshold))
        self._shared.forget()
        return found

    def _choose(
        self, scores: Tensor, boxes: Tensor, ids: Tensor, shape: tuple[int, ...], least: float, word: float
    ) -> list[Detection]:
        """The detections of one text: scores [Q, L], boxes [Q, 4] as shares of the frame."""
        best = scores.amax(dim=1)
        sides = np.array([shape[1], shape[0]] * 2, dtype=np.float64)
        detections = []
        for query in best.argsort(descending=True, stable=True).tolist():
            if not float(best[query]) > least:
                break
            x, y, w, h = boxes[query].tolist()
            x1, y1, x2, y2 = np.clip(np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * sides, 0, sides).tolist()
            said = ids[1:-1][scores[query, 1 : len(ids) - 1] > word]  # neither the start nor the end
            phrase = self.processor.tokenizer.decode(said, skip_special_tokens=True).strip(" .")
            detections.append(Detection((x1, y1, x2, y2), float(best[query]), phrase))
        return detections


def load_detector(spec: str, device: str = "cpu") -> Detector:
    """A detector by hub id (`IDEA-Research/grounding-dino-tiny`) or by a folder with its configuration, processor and
    `model.safetensors`. Weights are read as safetensors alone and widened to float32.

    Raises:
        CheckpointError: for a folder that lacks a file, weights of other keys or shapes, or another model's.
        InputError: for a device that this machine does not have.
    """
    place = pick_device(device)
    folder = _locate(spec)
    try:
        with quiet():
            model, report = GroundingDinoForObjectDetection.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"detector {spec!r}: expected a GroundingDINO that transformers reads, got: {first_line(error)}"
        ) from error
    check_loading(spec, report)
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise CheckpointError(f"detector {spec!r}: expected a tokenizer and an image processor beside the weights")
    model = model.to(place).eval().requires_grad_(False)
    return Detector(model, processor, spec if spec != str(folder) else folder.name, folder_sha256(folder))


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own bars and load reports, which say on the terminal what our errors say in a sentence."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def check_loading(spec: str, report: dict[str, Any], part: str = "detector") -> None:
    """Refuse weights of a model's `part` that were missing, left over or of another shape, naming the first few."""
    missing, unexpected, wrong = (
        [str(name[0] if isinstance(name, tuple) else name) for name in report.get(key, ())]
        for key in ("missing_keys", "unexpected_keys", "mismatched_keys")
    )
    if complaint := misfits(missing, unexpected, wrong):
        raise CheckpointError(f"{part} {spec!r}: expected the tensors of its configuration, got {complaint}")


def folder_sha256(folder: Path) -> str:
    """One hash of all that decides the answers: weights, configuration, word list, image processing."""
    decisive = sorted(
        path for path in folder.iterdir()
        if path.name in FILES or path.name.endswith(("processor_config.json", "tokenizer.json", "vocab.txt"))
    )  # fmt: skip
    return json_sha256({path.name: file_sha256(path) for path in decisive})


def _locate(spec: str) -> Path:
    """The folder of a spec; a hub's goes through its local copy."""
    folder = Path(spec)
    if folder.is_dir():
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            pickled = ", but a pickle, which is never read" if any(folder.glob("*.bin")) else ""
            raise CheckpointError(f"detector {spec!r}: expected {' and '.join(FILES)}, got no {missing[0]}{pickled}")
        return folder
    if folder.is_absolute() or spec.startswith(".") or spec.count("/") != 1:
        raise CheckpointError(
            f"detector {spec!r}: expected a folder or a hub id such as IDEA-Research/grounding-dino-tiny"
        )
    return hub_folder("detector", spec, WANTED)


class _SharedBackbone(nn.Module):
    """The image backbone for a batch of one image with many texts: it runs once, and all rows read the same maps."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self._held: Any = None

    @property
    def position_embedding(self) -> nn.Module:
        """The package asks the backbone for it, for the coarsest level."""
        return self.inner.get_submodule("position_embedding")

    def forget(self) -> None:
        """Let the image go."""
        self._held = None

    def forward(self, pixel_values: Tensor, pixel_mask: Tensor) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        """Maps with their masks, and position codes, of the first row for every row."""
        if self._held is None:
            self._held = self.inner(pixel_values[:1], pixel_mask[:1])
        maps, codes = self._held
        rows = len(pixel_values)
        return (
            [(found.expand(rows, -1, -1, -1), mask.expand(rows, -1, -1)) for found, mask in maps],
            [code.expand(rows, -1, -1, -1) for code in codes],
        )
