"""How every command ends: a named error becomes one sentence on standard error and exit code 2, or 128 + signal.

Knows typer and the errors. Does not know any command.
"""

import sys
import warnings

import typer

from core.errors import StoppedError, TrackSiftError


def run(app: typer.Typer) -> None:
    """Run a typer application; TrackSiftError exits with 2, StoppedError with 128 + signal, an interrupt with 130."""
    # Third-party deprecations are for us, who see them in the tests, and not for people who run a command.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        app()
    except StoppedError as stopped:
        sys.stderr.write(f"stopped: {stopped}\n")
        raise SystemExit(128 + stopped.signal) from None
    except TrackSiftError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
