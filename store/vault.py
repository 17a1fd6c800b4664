"""The vault: AES-256-GCM under per-subject keys, which a master key outside the database wraps.

Layout of every sealed value: one version byte, a 12-byte random nonce, then ciphertext and tag. The
additional data of a column binds table, column and row, so that a value copied to another place does not
open. All other keys are derived from the master key by HKDF-SHA-256, one label a purpose.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.errors import VaultError

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12
_WRAP_PLACE = b"subject_key:wrapped_key"
_SEAL_PLACE = b"master_key_seal:sealed"
_SEAL_TEXT = b"unwrite master key"
_WRONG_KEY = (
    "This master key does not open the database's keys. Use the master key that the database was made with."
)


def normalise(text: str) -> str:
    """The form in which two spellings of a text are the same: Unicode's compatibility caseless match (D146)
    and single spaces.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return " ".join(unicodedata.normalize("NFKD", folded.casefold()).split())


class Vault:
    """Seals and opens personal data; holds the master key and nothing else."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise VaultError(f"The master key must be {KEY_BYTES} bytes long.")
        self._wrapping = self._derive(master_key, b"unwrite/wrap/v1")
        self._index = self._derive(master_key, b"unwrite/blind-index/v1")
        self._digest = self._derive(master_key, b"unwrite/digest/v1")
        self._blinding = self._derive(master_key, b"unwrite/blind-answers/v1")
        self._bodies = self._derive(master_key, b"unwrite/request-bodies/v1")

    def __repr__(self) -> str:
        """Never show keys."""
        return "Vault(…)"

    def new_subject_key(self) -> tuple[bytes, bytes]:
        """A fresh data key: (plain, wrapped). Store only the wrapped form."""
        plain = os.urandom(KEY_BYTES)
        return plain, _seal(self._wrapping, plain, _WRAP_PLACE)

    def unwrap(self, wrapped: bytes) -> bytes:
        """The plain data key; `VaultError` under another master key."""
        return _open(self._wrapping, wrapped, _WRAP_PLACE, _WRONG_KEY)

    def encrypt(self, key: bytes, plaintext: bytes, *, table: str, column: str, row: str) -> bytes:
        """Seal a value for exactly this place."""
        return _seal(key, plaintext, _place(table, column, row))

    def decrypt(self, key: bytes, sealed: bytes, *, table: str, column: str, row: str) -> bytes:
        """Open a value of exactly this place; `VaultError` if a single bit of it or of the place differs."""
        message = (
            f"A value of {table}.{column} cannot be opened: it was changed or moved, or has another key."
        )
        return _open(key, sealed, _place(table, column, row), message)

    def blind_index(self, bank_id: str, prompt: str, answer: str) -> str:
        """A keyed fingerprint (hex) by which the same fact is found again without reading any text."""
        message = json.dumps([bank_id, normalise(prompt), normalise(answer)]).encode()
        return hmac.new(self._index, message, hashlib.sha256).hexdigest()

    def blind_key(self, salt: bytes, row: str) -> bytes:
        """The key of the blind digests of one fact's answer: not stored anywhere, and gone with its random salt."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=row.encode()).derive(self._blinding)

    def body_digest(self, body: bytes) -> str:
        """A keyed fingerprint (hex) of what a program sent, by which the same body is recognised."""
        return hmac.new(self._bodies, body, hashlib.sha256).hexdigest()

    def digest_key(self) -> bytes:
        """The key under which digests of a bank are computed."""
        return self._digest

    def seal(self) -> bytes:
        """A known sentence under this master key, to recognise the key by."""
        return _seal(self._wrapping, _SEAL_TEXT, _SEAL_PLACE)

    def check_seal(self, sealed: bytes) -> None:
        """Raise `VaultError` unless `sealed` was made with this master key."""
        _open(self._wrapping, sealed, _SEAL_PLACE, _WRONG_KEY)

    @staticmethod
    def _derive(master_key: bytes, label: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label).derive(master_key)


def _place(table: str, column: str, row: str) -> bytes:
    return json.dumps([table, column, row]).encode()


def _seal(key: bytes, plaintext: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, place)


def _open(key: bytes, sealed: bytes, place: bytes, message: str) -> bytes:
    if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + 16:
        raise VaultError(message)
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, place)
    except InvalidTag:
        raise VaultError(message) from None
