"""Fetch one file whose size and sha256 are known beforehand."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from faceset import settings
from faceset.errors import DownloadError

DownloadProgress = Callable[[int, int | None], None]
"""Called with the bytes read so far and the bytes there are (None = not known)."""

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without any byte
_UNKNOWN_LIMIT = 4 << 30  # nothing here is larger than 4 GiB


def download(
    url: str, target: Path, *, sha256: str, size: int = 0, name: str = "", progress: DownloadProgress | None = None
) -> None:
    """Fetch ``url`` into ``target``, a path that does not exist yet; it is there afterwards only if it is right.

    Args:
        url: http or https; redirects to these are followed.
        target: where to write; the folder exists.
        sha256: the digest the bytes must have.
        size: their number; 0 = not known.
        name: what is fetched, for messages.
        progress: see :data:`DownloadProgress`.

    Raises:
        DownloadError: FACESET_OFFLINE is set, the server cannot be reached or refuses, the bytes are others than
            promised, or they cannot be written.
    """
    what = f"model {name!r}" if name else url
    by_hand = f"fetch {url} by hand and `faceset models import FILE` it"
    if settings.offline():
        raise DownloadError(f"{what} is not fetched because FACESET_OFFLINE is set; unset it, or {by_hand}")
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{what}: only http and https are fetched, but its url is {url}")
    opener = urllib.request.build_opener(_WebOnly())
    request = urllib.request.Request(url, headers={"User-Agent": "faceset"})  # noqa: S310 (scheme checked above)
    try:
        with opener.open(request, timeout=_TIMEOUT) as reply:
            found, count = _copy(reply, target, what, size, progress)
        if size and count != size:
            raise DownloadError(f"{what}: {url} gave {count} bytes where {size} were promised; try again later")
        if found != sha256:
            raise DownloadError(
                f"{what}: {url} gave a file with sha256 {found}, not {sha256}; nothing was kept. Try again; if it "
                "stays so, the file there was replaced, and must not be trusted under this name"
            )
    except DownloadError:
        target.unlink(missing_ok=True)
        raise
    except urllib.error.HTTPError as e:
        target.unlink(missing_ok=True)
        raise DownloadError(f"{what}: {url} answered {e.code} {e.reason}; try again later, or {by_hand}") from e
    except (OSError, http.client.HTTPException) as e:  # URLError is an OSError
        target.unlink(missing_ok=True)
        reason = getattr(e, "reason", None) or e
        raise DownloadError(f"{what}: {url} could not be fetched ({reason}); check the network, or {by_hand}") from e
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(reply: IO[bytes], target: Path, what: str, size: int, progress: DownloadProgress | None) -> tuple[str, int]:
    """Write the reply to a file; gives its sha256 and length."""
    promised = int(getattr(reply, "headers", {}).get("Content-Length") or 0)
    total = size or promised or None
    limit = size or _UNKNOWN_LIMIT
    digest, count = hashlib.sha256(), 0
    with target.open("wb") as file:
        while block := reply.read(_BLOCK):
            count += len(block)
            if count > limit:
                raise DownloadError(f"{what}: the server sends more than the {limit} bytes promised; nothing was kept")
            digest.update(block)
            try:
                file.write(block)
            except OSError as e:
                raise DownloadError(
                    f"{what}: {target.parent} cannot be written ({e.strerror or e}); free some space, or set "
                    "FACESET_CACHE to another folder"
                ) from e
            if progress is not None:
                progress(count, total)
    if promised and count < promised:
        raise DownloadError(f"{what}: the connection broke after {count} of {promised} bytes; try again")
    return digest.hexdigest(), count


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only (urllib would also follow ftp)."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.lower().startswith(("https://", "http://")):
            raise DownloadError(f"{req.full_url} redirects to {newurl}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
