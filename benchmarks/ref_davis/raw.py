"""Reads Ref-DAVIS17 as it was released: four text files of expressions beside DAVIS 2017's own folders.

    <root>/davis_text_annotations/Davis17_annot{1,2}{,_full_video}.txt   lines `SEQUENCE OBJECT "expression"`
    <root>/ImageSets/2017/<split>.txt, JPEGImages/480p/<sequence>/, Annotations/480p/<sequence>/

Either root may be the folder DAVIS itself. The files of annotator 2 are Latin-1. Three names are written otherwise in
the texts than in DAVIS; here all names are DAVIS's. Gives the same reader as the converted form. T frames.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from benchmarks.protocol import BenchmarkVideo
from benchmarks.ref_davis.reader import FPS
from benchmarks.ref_youtube_vos.reader import RefVosReader
from benchmarks.tracking_protocol import frame_files
from core.errors import AnnotationError, InputError
from core.types import Expression

TEXTS: Final = "davis_text_annotations"
FILES: Final = (
    ("Davis17_annot1.txt", "utf-8"),
    ("Davis17_annot1_full_video.txt", "utf-8"),
    ("Davis17_annot2.txt", "latin-1"),
    ("Davis17_annot2_full_video.txt", "latin-1"),
)
RENAMED: Final = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
_LINE: Final = re.compile(r'(\S+)\s+([1-9]\d{0,2})\s+"?(.*?)"?\s*')

_Texts = dict[str, dict[int, list[str]]]  # sequence -> object -> the texts of FILES, in order


def open_raw_ref_davis(root: Path, split: str = "val") -> RefVosReader:
    """Open a split; expressions are numbered from 0 in each video, by object and then in the order of FILES.

    Raises:
        InputError: when the texts or the list of the split are not there.
        AnnotationError: where a line is malformed, or an object of the split has no text in one of the files.
    """
    root = Path(root)
    base = next((p for p in (root, root / "DAVIS") if (p / "ImageSets" / "2017").is_dir()), None)
    texts = next((p / TEXTS for p in (root, *([base] if base else [])) if (p / TEXTS).is_dir()), None)
    if base is None or texts is None:
        raise InputError(f"{root}: expected {TEXTS}/ and ImageSets/2017/ of DAVIS, found not both")
    listing = base / "ImageSets" / "2017" / f"{split}.txt"
    if not listing.is_file():
        raise InputError(f"{listing}: expected the list of sequences, found no such file")
    said = _read(texts)
    names = [line.strip() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip()]
    listed = {name: _video(texts, name, said.get(name, {}), base / "JPEGImages" / "480p" / name) for name in names}
    return RefVosReader(base, split, listed, "ref_davis", base / "Annotations" / "480p")


def _read(folder: Path) -> _Texts:
    found: _Texts = {}
    for number, (name, encoding) in enumerate(FILES):
        path = folder / name
        try:
            lines = path.read_bytes().decode(encoding).splitlines()
        except OSError as error:
            raise AnnotationError(f"{path}: expected a readable file, got {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise AnnotationError(f"{path}: byte {error.start}: expected UTF-8 text, got {error.reason}") from error
        for place, line in enumerate(lines, start=1):
            match = _LINE.fullmatch(line)
            if line.strip() and (match is None or not match[3].strip()):
                raise AnnotationError(f'{path}: line {place}: expected SEQUENCE OBJECT "text", got {line[:80]!r}')
            if match is not None:
                texts = found.setdefault(RENAMED.get(match[1], match[1]), {}).setdefault(int(match[2]), [])
                if len(texts) != number:
                    raise AnnotationError(
                        f"{path}: line {place}: expected each object once in every file, got {match[1]} {match[2]}"
                    )
                texts.append(match[3].strip())
    return found


def _video(folder: Path, name: str, objects: dict[int, list[str]], frames: Path) -> BenchmarkVideo:
    wrong = [i for i, texts in objects.items() if len(texts) != len(FILES)]
    if not objects or wrong:
        raise AnnotationError(
            f"{folder}: expected texts of every object of {name!r} in four files, got {wrong or 'none'}"
        )
    pairs = [(i, text) for i in sorted(objects) for text in objects[i]]
    expressions = tuple(Expression(str(n), text, (str(i),)) for n, (i, text) in enumerate(pairs))
    return BenchmarkVideo(name, frames, frame_files(frames), FPS, expressions, tuple(str(i) for i in sorted(objects)))
