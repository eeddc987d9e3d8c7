"""Frozen text encoders behind one protocol: an expression becomes token states, a mask and one pooled vector.

Knows open_clip's text towers and the encoders of transformers (sentence RoBERTa, BERT, the encoder of T5 and their
kin), by folder or hub id. Does not know what the features are for. Axis letters: B texts, L text tokens, C token width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from core.devices import tensor_float_32
from core.errors import CheckpointError, InputError
from core.open_clip_folder import (
    MERGES,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    files_sha256,
    freeze,
    load_open_clip,
    open_clip_sha256,
)
from core.replay import Replay
from core.validators import check_text

# Only what a text encoder reads, and no pickle.
HUB_FILES = (
    "config.json", "tokenizer*", "vocab*", "merges.txt", "spiece.model", "special_tokens_map.json",
    "model*.safetensors*", OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, MERGES,
)  # fmt: skip

LONGEST_REPLAYED = 64  # text tokens


@dataclass(frozen=True)
class TextFeatures:
    """What an encoder says about B texts, on the encoder's device.

    tokens: [B, L, C] float32 last hidden states, zero where `mask` is False.   mask: [B, L] bool, real tokens, special
    ones included.   pooled: [B, C] float32; a sentence encoder's mean over the mask, open_clip's own text embedding
    (its width is then that of the joint image-text space).
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor


class FrozenEncoder(Protocol):
    """What every frozen encoder says of itself."""

    @property
    def name(self) -> str:
        """Folder name or hub id."""

    @property
    def sha256(self) -> str:
        """Hash of weights, configuration and tokenizer; the towers of one model have the same."""

    @property
    def width(self) -> int:
        """Numbers of a feature."""


class TextEncoder(FrozenEncoder, Protocol):
    """A frozen encoder of texts; `width` is C."""

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Features of B texts; L is the longest text's. Raises InputError for blank or too long texts."""


class OpenClipText:
    """The text tower of an open_clip model."""

    def __init__(self, folder: Path, device: str | torch.device) -> None:
        """Read the folder; CheckpointError where it does not fit open_clip's format."""
        self.name = folder.name
        self.model, self.tokenizer = load_open_clip(folder, device)
        self.context = int(self.model.context_length)
        self.width = int(self.model.token_embedding.weight.shape[1])
        self.device = torch.device(device)
        self.sha256 = open_clip_sha256(folder)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """See `TextEncoder`; every text is padded to the context length inside, so that batching changes nothing."""
        _check_texts(texts)
        lengths = [len(self.tokenizer.encode(text)) + 2 for text in texts]
        for text, length in zip(texts, lengths, strict=True):
            if length > self.context:
                raise InputError(f"text {text!r}: expected at most {self.context} tokens, got {length}")
        ids = self.tokenizer(list(texts), context_length=self.context).to(self.device)  # [B, context]
        out = self.model.forward_intermediates(text=ids, text_indices=1, normalize=False, normalize_intermediates=True)
        longest = max(lengths)
        mask = torch.arange(longest, device=self.device) < torch.tensor(lengths, device=self.device)[:, None]
        tokens = out["text_intermediates"][-1][:, :longest].float() * mask[..., None]
        return TextFeatures(tokens, mask, out["text_features"].float())


class HiddenStates:
    """Last hidden states [B, L, C] of a frozen encoder of transformers, from ids [B, L] and the mask of real ones."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        """The model lies on the device."""
        self.model, self.width = model, int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]
        # The kernels of one text take a GPU less time than launching them.
        alone: Callable[..., Sequence[Tensor]] = self._alone
        self._one = Replay(alone, LONGEST_REPLAYED) if device.type == "cuda" else alone
        self._device = device

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """See the class."""
        # Half the time of float32 for one text, and states alike to a cosine of .9999995.
        with tensor_float_32(self._device):
            if len(ids) == 1 and mask.shape[1] <= LONGEST_REPLAYED:  # not padded, so that there is nothing to mask
                return self._one(ids)[0]
            states: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            return states

    def _alone(self, ids: Tensor) -> tuple[Tensor]:
        return (self.model(input_ids=ids).last_hidden_state,)


class SentenceText:
    """An encoder of transformers: last hidden state, and its mean over the attention mask."""

    def __init__(self, folder: Path, name: str, device: str | torch.device) -> None:
        """Read the folder; CheckpointError where configuration, weights or tokenizer are missing or do not fit."""
        from transformers import AutoModel, AutoTokenizer  # slow to import, and the offline default never needs it

        weights = sorted(folder.glob("model*.safetensors"))
        if not (folder / "config.json").is_file() or not weights:
            raise CheckpointError(
                f"{folder}: expected config.json and model*.safetensors (or open_clip files), got no such files"
            )
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
            model = model.get_encoder() if model.config.is_encoder_decoder else model
            self.width = int(model.config.hidden_size)
        except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f"{folder}: expected a transformers sentence encoder, got: {error}") from error
        if self.tokenizer.pad_token is None:
            raise CheckpointError(f"{folder}: expected a tokenizer that can pad, as encoders' can, got one that cannot")
        self.states = HiddenStates(freeze(model, device), torch.device(device))
        self.name = name
        positions = getattr(model.config, "max_position_embeddings", None)  # T5's kin have none
        self.limit = min(int(self.tokenizer.model_max_length), math.inf if positions is None else int(positions) - 2)
        self.device = torch.device(device)
        read = {"config.json", "tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "spiece.model"}
        self.sha256 = files_sha256([*weights, *(path for path in sorted(folder.iterdir()) if path.name in read)])

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """See `TextEncoder`."""
        _check_texts(texts)
        batch = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        mask = batch["attention_mask"].bool()  # [B, L]
        lengths = mask.sum(1)
        if int(lengths.max()) > self.limit:
            text = texts[int(lengths.argmax())]
            raise InputError(f"text {text!r}: expected at most {self.limit} tokens, got {int(lengths.max())}")
        mask = mask.to(self.device)
        tokens = self.states(batch["input_ids"].to(self.device), mask).float() * mask[..., None]
        return TextFeatures(tokens, mask, masked_mean(tokens, mask))


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of tokens [..., L, C] over the True of mask [..., L]: [..., C]; zero for a mask without any."""
    weight = mask[..., None].to(tokens.dtype)
    return (tokens * weight).sum(-2) / weight.sum(-2).clamp(min=1)


def load_text_encoder(spec: str, device: str | torch.device) -> TextEncoder:
    """The encoder in a local folder (open_clip's or transformers' files), or of a hub id ("owner/name")."""
    folder = Path(spec)
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return OpenClipText(folder, device)
    if folder.is_dir():
        return SentenceText(folder, folder.name, device)
    if spec.startswith((".", "/", "~")) or spec.count("/") != 1:
        raise CheckpointError(f"text encoder {spec!r}: expected a folder or a hub id like owner/name, got neither")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        fetched = snapshot_download(spec, allow_patterns=list(HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"text encoder {spec!r}: expected a folder or a reachable hub id, got: {error}"
        ) from error
    if (Path(fetched) / OPEN_CLIP_CONFIG).is_file():
        return OpenClipText(Path(fetched), device)
    return SentenceText(Path(fetched), spec, device)


def _check_texts(texts: Sequence[str]) -> None:
    if not texts:
        raise InputError("texts: expected at least one text to encode, got none")
    for i, text in enumerate(texts):
        check_text(f"text {i}", text)
