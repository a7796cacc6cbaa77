"""API keys: made once, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from faceset.errors import InputError
from faceset.writing import write_whole

_PREFIX = "fs"
_FORMAT = "faceset keys"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, without its secret.

    Attributes:
        id: public part of the key, 8 hexadecimal digits.
        name: what its owner called it.
        created: ISO 8601, UTC.
        digest: sha256 of the secret part, hexadecimal. The secret has 256 random bits, so that no slow hash is needed.
    """

    id: str
    name: str
    created: str
    digest: str


class KeyStore:
    """The keys in a file, which only its owner may read. Another process may change it at any time.

    Args:
        path: the file; missing means no keys.

    Raises:
        InputError: the file is damaged or foreign.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self._known = False
        self.valid()

    @property
    def needed(self) -> bool:
        """Whether calls need a key: there has been a file of keys, even if all of them are revoked since.

        To revoke a key must never open the service to everybody.
        """
        return self._known

    def valid(self) -> tuple[Key, ...]:
        """All keys that are valid now, oldest first."""
        with self._lock:
            try:
                stat = self.path.stat()
            except FileNotFoundError:
                self._stamp, self._keys = None, ()
                return ()
            except OSError as error:
                raise InputError(
                    f"{self.path} cannot be looked at ({error.strerror or error}); give a folder that can be read "
                    "as --data"
                ) from error
            self._known = True
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = self._read(), stamp
            return self._keys

    def create(self, name: str) -> str:
        """A new key; what is returned cannot be had again.

        Raises:
            InputError: the name is empty, too long, or taken.
        """
        name = name.strip()
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise InputError(f"a key needs a name of 1 to 100 printable characters, but got {name!r}")
        keys = self.valid()
        if any(key.name == name for key in keys):
            raise InputError(f"there is a key named {name!r} already; revoke it first, or choose another name")
        number, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self._write((*keys, Key(number, name, moment, _digest(secret))))
        return f"{_PREFIX}_{number}_{secret}"

    def revoke(self, id_or_name: str) -> Key:
        """Take a key back; a running service refuses it from now on.

        Raises:
            InputError: there is no such key.
        """
        keys = self.valid()
        gone = next((key for key in keys if id_or_name in (key.id, key.name)), None)
        if gone is None:
            raise InputError(f"there is no key {id_or_name!r}; `faceset keys list` shows all")
        self._write(tuple(key for key in keys if key != gone))
        return gone

    def check(self, presented: str) -> Key | None:
        """The key that was presented, or None; takes as long for a wrong one as for a right one."""
        parts = presented.split("_", 2)
        secret = parts[2] if len(parts) == 3 and parts[0] == _PREFIX else ""
        digest = _digest(secret)
        found = None
        for key in self.valid():
            same = hmac.compare_digest(digest, key.digest)
            if same and hmac.compare_digest(parts[1].encode(), key.id.encode()):
                found = key
        return found

    def _read(self) -> tuple[Key, ...]:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
            if held["format"] != _FORMAT or held["version"] != _VERSION:
                raise ValueError("another format")
            return tuple(Key(**{name: str(one[name]) for name in Key.__slots__}) for one in held["keys"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is no key file of this version ({error}); put back a copy, or remove it and make new keys"
            ) from error

    def _write(self, keys: tuple[Key, ...]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps({"format": _FORMAT, "version": _VERSION, "keys": [asdict(key) for key in keys]}, indent=2)
        write_whole(self.path, f"{text}\n".encode(), mode=0o600)
        with self._lock:
            self._stamp = None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
