"""The command ``faceset``: parse, one library call, print.

Exit codes: 0 done or "yes", 1 "no" where the answer is yes or no, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; every expected error becomes one line on standard error and exit code 2."""
    from faceset.cli.app import app
    from faceset.errors import FacesetError

    try:
        app(prog_name="faceset")
    except FacesetError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's own output
        sys.exit(2)
    except BrokenPipeError:  # the reader, for example `head`, has gone
        sys.stderr.close()
        sys.exit(0)
