"""METEOR 1.5 and the Penn Treebank tokeniser, run by Java where Java and their files are found.

Both are programs of others: `meteor-1.5.jar` (with its `data`) and `stanford-corenlp-3.4.1.jar`, as the package
`pycocoevalcap` carries them. Looked for in the folder TRACKSIFT_CAPTION_JARS and in that package; nothing stands in for
them where they are absent. Knows how to talk to them. Does not know videos.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

METEOR_JAR: Final = "meteor-1.5.jar"
TOKENISER_JAR: Final = "stanford-corenlp-3.4.1.jar"
FOLDER: Final = "TRACKSIFT_CAPTION_JARS"
REMEMBERED: Final = 50_000  # pairs, some 20 MB
PUNCTUATION: Final = frozenset(
    ("''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";")
)

Pair = tuple[str, str]
"""What is scored, and the one reference it is scored against."""


class PairScorer(Protocol):
    """A metric of sentence pairs with a figure for all of them that need not be their mean."""

    def score(self, pairs: Sequence[Pair]) -> tuple[float, NDArray[np.float64]]:
        """(figure of all pairs together, figure of each pair [n]), in 0..1."""


class Meteor:
    """METEOR 1.5 (Denkowski and Lavie, 2014), English, normalised. A context manager around one Java process."""

    def __init__(self) -> None:
        """Start Java; it loads its tables at the first pair, some seconds.

        Raises:
            InputError: when Java or the jar is not found; says what to do.
        """
        jar = find_jar(METEOR_JAR)
        command = [
            _java(),
            "-Dfile.encoding=UTF-8",
            "-Xmx2G",
            "-jar",
            jar.name,
            "-",
            "-",
            "-stdio",
            "-l",
            "en",
            "-norm",
        ]
        self._process = subprocess.Popen(
            command, cwd=jar.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._statistics: dict[Pair, str] = {}

    def score(self, pairs: Sequence[Pair]) -> tuple[float, NDArray[np.float64]]:
        """(METEOR of the corpus of all pairs, METEOR of each pair [n]); the first is not the mean of the others."""
        if not pairs:
            raise InputError("METEOR: expected at least one pair, got none")
        counts = [self._count(pair) for pair in pairs]
        self._say("EVAL ||| " + " ||| ".join(counts))
        each = np.array([float(self._hear()) for _ in pairs])
        return float(self._hear()), each

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Meteor:
        """The scorer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def _count(self, pair: Pair) -> str:
        # The same pair comes again at every threshold: matching it is what takes time.
        if len(self._statistics) >= REMEMBERED:
            self._statistics.clear()
        if pair not in self._statistics:
            hypothesis, reference = (" ".join(text.replace("|||", "").split()) for text in pair)
            self._say(f"SCORE ||| {reference} ||| {hypothesis}")
            self._statistics[pair] = self._hear()
        return self._statistics[pair]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise InputError(f"METEOR: expected a running Java process, got {error.strerror or error}") from error

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise InputError("METEOR: expected a figure from Java, got an end of its output")
        return line


def treebank_tokens(sentences: Sequence[str]) -> list[str]:
    """Each sentence in lower case, its tokens parted by blanks, punctuation left out; one Java call for all.

    As in coco-caption, brackets stay (as "-lrb-"): the list of what to leave out has them in capitals alone.

    Raises:
        InputError: when Java or the jar is not found, or it answers other than a line a sentence.
    """
    if not sentences:
        return []
    jar = find_jar(TOKENISER_JAR)
    program = ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    # An empty line could be lost on the way; a full stop is dropped with the rest of the punctuation.
    text = "\n".join(" ".join(s.split()) or "." for s in sentences) + "\n"
    done = subprocess.run(
        [_java(), "-Dfile.encoding=UTF-8", "-cp", str(jar), *program],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    if done.returncode or len(lines) != len(sentences):
        raise InputError(f"tokeniser: expected {len(sentences)} lines from Java, got {len(lines)}")
    return [" ".join(word for word in line.split() if word not in PUNCTUATION) for line in lines]


def find_jar(name: str) -> Path:
    """Where a jar is: in the folder TRACKSIFT_CAPTION_JARS or below, or in the package `pycocoevalcap`.

    Raises:
        InputError: when it is in neither.
    """
    folders = [Path(os.environ[FOLDER])] if os.environ.get(FOLDER) else []
    spec = find_spec("pycocoevalcap")
    folders += [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        found = next(iter(sorted(folder.rglob(name))), None)
        if found is not None:
            return found
    raise InputError(
        f"{name}: expected it in the folder {FOLDER} or in the package pycocoevalcap (pip install pycocoevalcap), "
        "found it in neither"
    )


def missing() -> str | None:
    """Why METEOR and the tokeniser cannot run here, a sentence; None where they can."""
    try:
        _java()
        find_jar(METEOR_JAR)
        find_jar(TOKENISER_JAR)
    except InputError as error:
        return str(error)
    return None


def _java() -> str:
    found = shutil.which("java")
    if found is None:
        raise InputError("METEOR: expected Java on the PATH, found none")
    return found
