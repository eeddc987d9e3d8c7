"""Model folders of the Hugging Face hub, fetched once into its local copy, and what is said where that fails.

Knows ids and files. Does not know models.
"""

from collections.abc import Sequence
from pathlib import Path

from core.errors import CheckpointError


def hub_folder(part: str, spec: str, wanted: Sequence[str], expected: str = "it") -> Path:
    """The local folder of hub id `spec` ("owner/name") with the files that fit the patterns `wanted`.

    Args:
        part: what it is ("tracker"), for the sentence, as is `expected` ("an EdgeTAM").
        spec: the id.
        wanted: patterns of file names; nothing else is fetched, so that no pickle is.

    Raises:
        CheckpointError: where the id is unknown or malformed, or neither the hub nor a local copy can be reached.
    """
    from huggingface_hub import snapshot_download  # slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(spec, allow_patterns=list(wanted)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{part} {spec!r}: expected {expected} from the hub or its local copy, got {type(error).__name__}; "
            "without a network, give local files"
        ) from error


def first_line(error: Exception) -> str:
    """What a package said, short enough for a sentence; the kind of error where it said nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
