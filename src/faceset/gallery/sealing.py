"""Vectors and pictures of faces encrypted at rest: AES-256-GCM, one random nonce a value, each bound to its place.

Encrypted are ``template.vector`` and ``face.feature``, ``.landmarks`` and ``.crop``; everything else stays readable.
A stored value is nonce (12 bytes), ciphertext, tag (16). The associated data name table, column, the opaque id of the
medium or person, and what else the row says, so that a value put into another row does not decrypt.

The key of a gallery is HKDF-SHA256 of the user's key and a random salt (16) of the gallery: two galleries of one user
key share no key. ``meta.key_check`` is the salt and the tag of an empty text, which proves the key.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from faceset import settings
from faceset.errors import GalleryError, InputError, MissingExtraError
from faceset.gallery.failures import damaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED = ("feature", "landmarks", "crop")
"""Columns of table ``face`` that are encrypted."""
OPTION = "faceset_seal"
"""The execution option by which a connection knows the seal of its gallery."""

_KEY, _SALT, _NONCE = 32, 16, 12
_PROOF = b"faceset gallery 1: proof of the key"
_FACE = struct.Struct("<3q6d")


class Seal:
    """Encrypts what goes into a gallery and decrypts what comes out; without a cipher both pass through.

    Attributes:
        check: the proof of the key, as stored in ``meta.key_check``; None without a key.
    """

    def __init__(self, path: Path | None = None, cipher: AESGCM | None = None, check: bytes | None = None) -> None:
        self.path = path
        self.check = check
        self._cipher = cipher

    @property
    def plain(self) -> bool:
        """Whether nothing is encrypted."""
        return self._cipher is None

    def seal_face(self, values: Mapping[str, Any], medium_uid: str) -> dict[str, Any]:
        """The columns of a row of ``face``, those of :data:`SEALED` encrypted."""
        return self._face(values, medium_uid, self._close)

    def open_face(self, values: Mapping[str, Any], medium_uid: str) -> dict[str, Any]:
        """What :meth:`seal_face` was given.

        Raises:
            GalleryError: a value was changed, or stood in another row.
        """
        return self._face(values, medium_uid, self._open)

    def seal_vector(self, vector: bytes, person_uid: str, aggregator: str) -> bytes:
        """The vector of a template, encrypted."""
        return self._close(vector, _place("template.vector", person_uid, aggregator))

    def open_vector(self, vector: bytes, person_uid: str, aggregator: str) -> bytes:
        """What :meth:`seal_vector` was given.

        Raises:
            GalleryError: as :meth:`open_face`.
        """
        return self._open(vector, _place("template.vector", person_uid, aggregator))

    def seal_value(self, value: bytes, column: str, uid: str) -> bytes:
        """A value of another file than a gallery, encrypted."""
        return self._close(value, _place(column, uid, ""))

    def open_value(self, value: bytes, column: str, uid: str) -> bytes:
        """What :meth:`seal_value` was given.

        Raises:
            GalleryError: as :meth:`open_face`.
        """
        return self._open(value, _place(column, uid, ""))

    def _face(self, values: Mapping[str, Any], medium_uid: str, turn: Any) -> dict[str, Any]:
        turned = dict(values)
        if self._cipher is None:
            return turned
        # SQLite keeps no sign of zero: adding 0.0 takes it away here too.
        boxes = (values[name] + 0.0 for name in ("time", "x0", "y0", "x1", "y1", "score"))
        row = _FACE.pack(values["track"], values["shot"], values["frame"], *boxes)
        for column in SEALED:
            if turned.get(column) is not None:
                place = _place(f"face.{column}", medium_uid, values["scheme"] or "") + row
                turned[column] = turn(turned[column], place)
        return turned

    def _close(self, value: bytes, place: bytes) -> bytes:
        if self._cipher is None:
            return value
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, place)

    def _open(self, value: bytes, place: bytes) -> bytes:
        if self._cipher is None:
            return value
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(value[:_NONCE], value[_NONCE:], place)
        except (InvalidTag, ValueError, TypeError) as error:
            raise damaged(self.path or Path(), "an encrypted value was changed, or belongs to another row") from error


PLAIN = Seal()
"""The seal of a gallery that is not encrypted."""


def of(connection: Connection) -> Seal:
    """The seal of the gallery that a connection is to."""
    seal: Seal = connection.get_execution_options().get(OPTION, PLAIN)
    return seal


def new(path: Path, key: bytes | None) -> Seal:
    """A seal for a gallery that nothing is in yet."""
    if key is None:
        return PLAIN
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    cipher = _cipher(key, salt)
    return Seal(path, cipher, salt + nonce + cipher.encrypt(nonce, b"", _PROOF))


def prove(path: Path, key: bytes | None, check: bytes | None) -> Seal:
    """The seal of a gallery whose proof is ``check``.

    Raises:
        GalleryError: the key is missing, is another's, or there is one and the gallery is not encrypted.
    """
    if check is None:
        if key is None:
            return PLAIN
        raise GalleryError(
            f"{path}: a key is set (FACESET_KEY), but this gallery is not encrypted; encrypt it with `faceset gallery "
            f"seal {path.name}`, or unset FACESET_KEY"
        )
    if key is None:
        raise GalleryError(
            f"{path}: this gallery is encrypted and no key was given; set FACESET_KEY, or FACESET_KEY_FILE, to the key "
            "it was made with"
        )
    from cryptography.exceptions import InvalidTag

    cipher = _cipher(key, check[:_SALT])
    try:
        cipher.decrypt(check[_SALT : _SALT + _NONCE], check[_SALT + _NONCE :], _PROOF)
    except (InvalidTag, ValueError) as error:
        raise GalleryError(
            f"{path}: this gallery is encrypted with another key; set FACESET_KEY, or FACESET_KEY_FILE, to the key it "
            "was made with"
        ) from error
    return Seal(path, cipher, check)


def current_key() -> bytes | None:
    """The key of the settings; None when none is set.

    Raises:
        InputError: what is set is no key.
        MissingExtraError: there is a key and the package that encrypts is not installed.
    """
    found = settings.key_text()
    if found is None:
        return None
    key = parse_key(*found)
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401 - found missing before a file is made
    except ImportError as error:
        raise MissingExtraError(
            f"{found[1]} asks for encryption, which needs the package cryptography; install the extra: "
            "pip install 'faceset[service]'"
        ) from error
    return key


def parse_key(text: str, what: str) -> bytes:
    """32 bytes from 64 hexadecimal digits or from base64 (either alphabet, with or without padding).

    Raises:
        InputError: it is neither; the text is not repeated. A passphrase is refused, because it can be guessed.
    """
    text = text.strip()
    try:
        if len(text) == 2 * _KEY:
            key = bytes.fromhex(text)
        else:
            padded = text.replace("-", "+").replace("_", "/").rstrip("=")
            key = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY or len(set(key)) < _KEY // 4:
        raise InputError(
            f"{what} is no key: it must be 32 random bytes, as 64 hexadecimal digits or base64; a passphrase will not "
            "do, because it can be guessed. Make a key with `faceset gallery key`, and keep a copy: without it the "
            "gallery cannot be read"
        )
    return key


def new_key() -> str:
    """A key for FACESET_KEY: 64 hexadecimal digits."""
    return secrets.token_hex(_KEY)


def refuse_for(url: str) -> None:
    """Refuse a database server while a key is set.

    Raises:
        GalleryError: a key is set.
    """
    if settings.key_text() is None:
        return
    import sqlalchemy

    shown = sqlalchemy.make_url(url).render_as_string(hide_password=True)
    raise GalleryError(
        f"{shown}: a key is set (FACESET_KEY), but the server must see the vectors to search them, so a gallery in "
        "PostgreSQL cannot be encrypted by faceset; unset FACESET_KEY and encrypt the server's disk, or use a gallery "
        "file"
    )


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), _KEY, salt, b"faceset gallery 1: values").derive(key))


def _place(column: str, uid: str, rest: str) -> bytes:
    """Column, id and the rest, told apart by their lengths."""
    parts = [part.encode() for part in (column, uid, rest)]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)
