"""Telling addresses from paths, and showing addresses without what is secret in them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from faceset.errors import InputError

STREAM_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")


def scheme_of(source: str) -> str:
    """The scheme of an address in small letters; empty for a path (``C:\\x`` is one)."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", source)
    if match is None:
        return ""
    scheme = match[1].lower()
    return scheme if source[match.end() :].startswith("//") or scheme == "file" else ""


def local_path(address: str) -> str:
    """The path that a ``file:`` address names."""
    rest = address[len("file:") :]
    if not rest.startswith("//"):
        return rest
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise InputError(f"{address}: a file address must name a file of this machine: file:///folder/name.mp4")
    return url2pathname(parts.path) or unquote(parts.path)


def shown(address: str) -> str:
    """The address without user, password, query and fragment, any of which may be secret.

    >>> shown("rtsp://me:secret@camera.lan:554/live?token=1")
    'rtsp://camera.lan:554/live'
    """
    scheme, _, rest = address.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        rest = host.rpartition("@")[2] + rest[len(host) :]
    elif "@" in rest and re.search(r":(?!\d*$)", host.rpartition("]")[2]):
        # No port looks like this: it is the start of a password with an unquoted / ? or # in it.
        rest = rest.rpartition("@")[2]
    return f"{scheme.lower()}://" + re.split(r"[?#]", rest, maxsplit=1)[0]
