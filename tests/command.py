"""Running the command line, within the tests' own process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

import pytest


def here(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``faceset`` in this process, which need not load anything anew; it must end with ``code``."""
    from faceset.cli import main

    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["faceset", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    assert (stopped.value.code or 0) == code, err.getvalue()
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def apart(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``faceset`` in a process of its own, which loads everything anew; it must end with ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "faceset", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done
