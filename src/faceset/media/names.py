"""Names of files as text that every output can hold."""

from __future__ import annotations


def readable(name: str) -> str:
    r"""``name`` as valid Unicode: bytes of a file name that are no UTF-8 are spelt ``\xe9``.

    Python holds such bytes as surrogates, which no file and no pipe accepts.

    >>> readable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    >>> readable("café.jpg")
    'café.jpg'
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        pass
    else:
        return name
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair that stands for no byte; Windows allows it in names
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")
