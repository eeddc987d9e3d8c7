"""A text encoder that remembers on disk what it has encoded, so that a training does not encode its texts twice.

Knows texts, features and files. Does not know encoders. `<root>/<hash of the encoder>/` holds a file for every call
that had something new to encode, whole or not at all; several processes may write there at once. Files that cannot be
read are encoded again. Axis letters: B texts, L text tokens, C token width, U texts of a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.atomic import atomic_path
from core.hashing import json_sha256
from core.text import TextEncoder, TextFeatures

_TEXTS = "texts"  # the name of a file's list of texts and lengths among its metadata
Known = tuple[Tensor, Tensor]
"""A text's real token states [L, C] and its pooled vector, on the CPU."""


class StoredText:
    """`encoder` with a memory in `root`; the same features to the bit as were encoded first."""

    def __init__(self, encoder: TextEncoder, root: Path) -> None:
        """Read what is there; the folder is made by the first text that is new."""
        self.encoder = encoder
        self.name, self.sha256, self.width = encoder.name, encoder.sha256, encoder.width
        self.folder = root / encoder.sha256
        self._known: dict[str, Known] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self._known |= _read(path)

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """See `TextEncoder`; on the CPU. Raises OutputError when new features cannot be written."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new or not texts:
            found = _split(new, self.encoder.encode(new))
            self._write(found)
            self._known |= found
        known = [self._known[text] for text in texts]
        longest = max(len(tokens) for tokens, _ in known)
        mask = torch.arange(longest) < torch.tensor([len(tokens) for tokens, _ in known])[:, None]
        tokens = torch.nn.utils.rnn.pad_sequence([tokens for tokens, _ in known], batch_first=True)
        return TextFeatures(tokens, mask, torch.stack([pooled for _, pooled in known]))

    def _write(self, found: Mapping[str, Known]) -> None:
        tokens, pooled = zip(*found.values(), strict=True)
        about = json.dumps([[text, len(states)] for text, (states, _) in found.items()])
        with atomic_path(self.folder / f"{json_sha256(list(found))[:32]}.safetensors") as path:
            save_file({"tokens": torch.cat(tokens), "pooled": torch.stack(pooled)}, path, metadata={_TEXTS: about})


def _split(texts: Sequence[str], features: TextFeatures) -> dict[str, Known]:
    """Each text's own features."""
    rows = zip(texts, features.tokens.cpu(), features.mask.cpu(), features.pooled.cpu(), strict=True)
    return {text: (tokens[mask].clone(), pooled.clone()) for text, tokens, mask, pooled in rows}


def _read(path: Path) -> dict[str, Known]:
    """The texts of one file; none where it cannot be read, since nothing is lost by encoding again."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[_TEXTS])
            tokens, pooled = file.get_tensor("tokens"), file.get_tensor("pooled")
        parts = torch.split(tokens, [length for _, length in about])
        return {text: (part, one) for (text, _), part, one in zip(about, parts, pooled, strict=True)}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return {}
