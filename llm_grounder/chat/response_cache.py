"""What chat models said, kept by the hash of model and question, so that no question is paid for twice.

A folder of small JSON files, written whole or not at all. Knows hashes and files. Does not know what is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.atomic import atomic_path, check_folder
from core.errors import InputError
from core.hashing import json_sha256
from core.reporting import Progress
from llm_grounder.chat.asking import Ask, ChatModel, ChatReply, ask_sha256

FORMAT: Final = 1


class CachedChat:
    """Implements `ChatModel`: asks `model` only what `folder` does not hold, a batch at a time.

    at_once: questions after which what was said is written.   asked, found: how many went to the model and how many did
    not.
    """

    def __init__(self, model: ChatModel, folder: Path, at_once: int = 32) -> None:
        """OutputError where the folder could not be written."""
        check_folder(folder)
        self.model, self.folder, self.at_once = model, folder, max(1, at_once)
        self.asked = self.found = 0

    @property
    def sha256(self) -> str:
        """The model's."""
        return self.model.sha256

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[ChatReply]:
        """See `ChatModel`. Raises InputError for a kept reply that is malformed; names its file."""
        keys = [json_sha256({"model": self.model.sha256, "question": ask_sha256(ask)}) for ask in asks]
        known: dict[str, ChatReply] = {}
        for key in keys:
            kept = self._read(key)
            if kept is not None:
                known[key] = kept
        missing = list({key: ask for key, ask in zip(keys, asks, strict=True) if key not in known}.items())
        self.found += len(asks) - len(missing)
        for start in range(0, len(missing), self.at_once):
            batch = missing[start : start + self.at_once]
            replies = self.model.answer([ask for _, ask in batch])
            for (key, _), reply in zip(batch, replies, strict=True):
                self._write(key, reply)
                known[key] = reply
            self.asked += len(batch)
            if progress is not None:
                progress(len(asks) - len(missing) + start + len(batch), len(asks))
        return [known[key] for key in keys]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _write(self, key: str, reply: ChatReply) -> None:
        line = {"format": FORMAT, "model": self.model.sha256, "text": reply.text, "cut": reply.cut}
        with atomic_path(self._path(key)) as temporary:
            temporary.write_text(json.dumps(line), encoding="utf-8")

    def _read(self, key: str) -> ChatReply | None:
        path = self._path(key)
        try:
            line = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected a kept reply as JSON, got {error}; delete the file") from error
        whole = isinstance(line, dict) and line.get("format") == FORMAT
        if not whole or type(line.get("text")) is not str or type(line.get("cut")) is not bool:
            raise InputError(f"{path}: expected a kept reply of format {FORMAT}, got {str(line)[:60]}; delete the file")
        return ChatReply(line["text"], line["cut"])
