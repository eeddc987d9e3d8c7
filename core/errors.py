"""Every error a user can meet, as sentences: expected X, got Y, where.

    TrackSiftError            exit code 2 of every command
      InputError              an argument, expression or file of the user's is not what was expected
        VideoError            frames cannot be read
        AnnotationError       a benchmark's annotation file is malformed
      CheckpointError         weights are missing, of the wrong shape or of a refused format
      OutputError             a place cannot be written
      CacheError              a cache file cannot be used
        CacheCorruptError     truncated, bit-flipped or unfinished
        CacheForeignError     not a TrackSift cache
        CacheVersionError     written by a newer TrackSift
      ScorerMismatchError     a scorer was trained on another tracker or encoder than the cache holds
      ServerError             a server that was asked for does not answer as it should
      StoppedError            a signal ended the work; exit code 128 + signal

Knows no other module.
"""


class TrackSiftError(Exception):
    """Base of all named errors; `scripts` turns it into one sentence on standard error and exit code 2."""


class InputError(TrackSiftError):
    """An argument, expression or file of the user's is not what was expected."""


class VideoError(InputError):
    """Frames cannot be read from a file or folder."""


class AnnotationError(InputError):
    """A benchmark's annotation file is malformed; names file and key."""


class CheckpointError(TrackSiftError):
    """Weights are missing, of the wrong shape or of a refused format."""


class OutputError(TrackSiftError):
    """A place cannot be written."""


class CacheError(TrackSiftError):
    """A cache file cannot be used; names the file, the cause and what to run next."""


class CacheCorruptError(CacheError):
    """The file is truncated, bit-flipped or was never completed."""


class CacheForeignError(CacheError):
    """The file is not a TrackSift cache."""


class CacheVersionError(CacheError):
    """The file was written by a newer TrackSift than this one."""


class ScorerMismatchError(TrackSiftError):
    """A scorer was trained on another tracker or encoder than the one that the cache holds."""


class ServerError(TrackSiftError):
    """A server that was asked for cannot be reached or does not answer as it should."""


class StoppedError(TrackSiftError):
    """A signal ended the work before it was done; says what is kept."""

    def __init__(self, message: str, signal: int) -> None:
        """signal: its number, which 128 is added to for the exit code."""
        super().__init__(message)
        self.signal = signal
