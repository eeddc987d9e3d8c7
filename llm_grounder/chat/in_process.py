"""A chat model of transformers in this process, asked through its processor's own chat template.

Greedy, so that a question has one reply. Knows transformers' image-text-to-text models. Does not know what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from core.errors import CheckpointError, InputError
from core.hub import first_line, hub_folder
from core.open_clip_folder import files_sha256
from core.reporting import Progress
from llm_grounder.chat.asking import Ask, ChatReply

FILES: Final = ("*.json", "*.jinja", "model*.safetensors", "merges.txt", "vocab*", "tokenizer*")


class InProcessChat:
    """Implements `ChatModel`.   at_once: questions in a batch."""

    def __init__(self, model: Any, processor: Any, sha256: str, at_once: int = 1) -> None:
        if at_once < 1:
            raise InputError(f"chat model: expected one question or more at once, got {at_once}")
        self.model, self.processor, self.sha256, self.at_once = model.eval(), processor, sha256, at_once
        processor.tokenizer.padding_side = "left"  # so that all replies of a batch begin at the same place

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[ChatReply]:
        """See `ChatModel`."""
        replies: list[ChatReply] = []
        for start in range(0, len(asks), self.at_once):
            replies += self._batch(asks[start : start + self.at_once])
            if progress is not None:
                progress(len(replies), len(asks))
        return replies

    @torch.no_grad()
    def _batch(self, asks: Sequence[Ask]) -> list[ChatReply]:
        texts = self.processor.apply_chat_template([messages(ask) for ask in asks], add_generation_prompt=True)
        pictures = [Image.fromarray(picture) for ask in asks for picture in ask.pictures]
        inputs = self.processor(text=texts, images=pictures or None, padding=True, return_tensors="pt")
        inputs = inputs.to(self.model.device, dtype=self.model.dtype)  # the pictures; token ids stay whole numbers
        room = max(ask.most for ask in asks)
        out = self.model.generate(
            **inputs, max_new_tokens=room, do_sample=False, temperature=None, top_p=None, top_k=None
        )
        said = out[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._reply(tokens, ask.most) for tokens, ask in zip(said, asks, strict=True)]

    def _reply(self, tokens: list[int], most: int) -> ChatReply:
        """A reply up to its closing token; cut where there is none within its room."""
        closing = self.model.generation_config.eos_token_id
        ends = {closing} if isinstance(closing, int) else set(closing or ())
        end = next((i for i, token in enumerate(tokens[:most]) if token in ends), None)
        text = self.processor.tokenizer.decode(tokens[: most if end is None else end], skip_special_tokens=True)
        return ChatReply(text.strip(), cut=end is None)


def messages(ask: Ask) -> list[dict[str, Any]]:
    """A question as the messages that chat templates take, each picture as its place."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in ask.parts]
    system = [{"role": "system", "content": [{"type": "text", "text": ask.system}]}] if ask.system else []
    return [*system, {"role": "user", "content": content}]


def load_chat_model(
    spec: str, device: str | torch.device, *, dtype: torch.dtype = torch.bfloat16, attention: str = "sdpa",
    at_once: int = 1,
) -> InProcessChat:  # fmt: skip
    """A chat model by hub id or local folder; nothing remote runs, and weights are safetensors.

    Raises:
        CheckpointError: where it cannot be fetched or read, or has no chat template.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor  # slow to import

    folder = Path(spec) if Path(spec).is_dir() else hub_folder("chat model", spec, FILES, "a chat model")
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, attn_implementation=attention, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise CheckpointError(
            f"chat model {spec!r}: expected one that reads pictures, with safetensors, got: {first_line(error)}"
        ) from error
    if not getattr(processor, "chat_template", None):
        raise CheckpointError(f"chat model {spec!r}: expected a processor with a chat template, got none")
    names = {path for pattern in FILES for path in folder.glob(pattern) if path.is_file()}
    return InProcessChat(model.to(device), processor, files_sha256(sorted(names)), at_once)
