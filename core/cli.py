"""How every command ends: a named error becomes one sentence on standard error and exit code 2.

Knows typer and the errors. Does not know any command.
"""

import sys
import warnings

import typer

from core.errors import TrackSiftError


def run(app: typer.Typer) -> None:
    """Run a typer application; TrackSiftError exits with 2, an interrupt with 130."""
    # Third-party deprecations are for us, who see them in the tests, and not for people who run a command.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        app()
    except TrackSiftError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
