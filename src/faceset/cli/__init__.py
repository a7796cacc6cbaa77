"""The command ``faceset``: parse, one library call, print.

Exit codes: 0 done or "yes", 1 "no" where the answer is yes or no, 2 bad input or a failure, 130 interrupted, 141 the
reader of the output has gone.
"""

from __future__ import annotations

import os
import sys
import traceback


def main() -> None:
    """Run the command line; every expected error becomes one line on standard error and exit code 2."""
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _say("interrupted", 130)
    except BrokenPipeError:  # the reader, for example `head`, has gone
        code = 141
    except OSError as error:
        code = _say(f"error: {error}", 2)
    except Exception:  # a fault of ours must not look like the answer "no", which is 1
        traceback.print_exc()
        code = _say("error: this is a fault of faceset; please report it with the lines above", 2)
    if code:
        _drop_output()
    sys.exit(code)


def _run() -> int:
    from faceset.cli.app import app
    from faceset.errors import FacesetError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that this terminal cannot show must not end the command
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="faceset", standalone_mode=False)
    except SystemExit:  # so Click answers a closed pipe, with 1, which here means "no"
        return 141
    except FacesetError as error:
        return _say(f"error: {error}", 2)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # wrong usage, as Click tells it
            error.show()
            return int(error.exit_code)
        if type(error).__name__ == "Abort":
            return _say("aborted", 130)
        raise
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    from faceset.cli.output import plain

    sys.stderr.write(plain(message) + "\n")
    return code


def _drop_output() -> None:
    """Keep the interpreter from complaining, at its end, of output that nobody can take any more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
