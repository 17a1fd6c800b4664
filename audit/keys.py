"""Signing keys: one public and one private file a key, in one folder or two, and the list of keys to trust.

    <id>.json   the public key with its times; the list of them all is what a verifier is given
    <id>.pem    the private Ed25519 key (PKCS#8), readable by its owner only; never leaves its folder

A key is named by the SHA-256 of its public bytes. What it signed while it was valid stays valid when it expires
or is retired; nothing it signed counts once it was stolen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import AwareDatetime, Field, ValidationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from audit.errors import KeyProblem
from audit.files import write_atomically
from audit.results import Record

DEFAULT_DAYS = 365
SHORT = 16


class TrustedKey(Record):
    """A public key (hex of its 32 bytes) and the time in which its signatures count."""

    id: str
    public: str = Field(pattern="^[0-9a-f]{64}$")
    not_before: AwareDatetime
    not_after: AwareDatetime
    retired_at: AwareDatetime | None = None
    stolen: bool = False

    @property
    def short(self) -> str:
        """The id as people see it."""
        return self.id[:SHORT]

    def refuses(self, at: datetime) -> str:
        """Why a signature made at that time does not count; empty when it does."""
        if self.stolen:
            return "the key was stolen: nothing it signed counts"
        if at < self.not_before:
            return "it is dated before the key was made (a clock was set back?)"
        if self.retired_at is not None and at > self.retired_at:
            return "it is dated after the key was retired"
        return "it is dated after the key expired" if at > self.not_after else ""

    def verifier(self) -> SSlibKey:
        """The key in the library's form. ValueError when the bytes are no Ed25519 key."""
        return SSlibKey.from_crypto(
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)), keyid=self.id
        )


def public_list(keys: Iterable[TrustedKey]) -> bytes:
    """The file that verifiers are given."""
    data = {"keys": [key.model_dump(mode="json") for key in keys]}
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def read_public_list(data: bytes) -> list[TrustedKey]:
    """Read such a file; KeyProblem when it is none, or names a key by an id that is not its own."""
    try:
        keys = [TrustedKey.model_validate_json(json.dumps(one)) for one in json.loads(data)["keys"]]
    except (ValueError, KeyError, TypeError, ValidationError):
        raise KeyProblem('The list of keys cannot be read: expected {"keys": […]} as JSON.') from None
    if any(key_id(key.public) != key.id for key in keys):
        raise KeyProblem("The list of keys names a key by an id that is not its own.")
    return keys


def key_id(public: str) -> str:
    """SHA-256 (hex) of the 32 public bytes, which are given as hex."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


@dataclass(frozen=True)
class KeyRing:
    """The keys of an installation."""

    folder: Path
    private: Path | None = None
    """the folder of the private files; None: the same. Who only hands out public keys needs no right to read it"""

    def public(self) -> list[TrustedKey]:
        """All keys, oldest first; empty when the folder does not exist. KeyProblem when a file is damaged."""
        files = sorted(self.folder.glob("[0-9a-f]*.json"))
        keys = [key for file in files for key in read_public_list(b'{"keys": [%b]}' % _read(file))]
        return sorted(keys, key=lambda key: (key.not_before, key.id))

    def new(self, now: datetime, days: int = DEFAULT_DAYS) -> TrustedKey:
        """Make a key that is valid from now on. KeyProblem when it cannot be written; nothing stays then."""
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw().hex()
        key = TrustedKey(
            id=key_id(public),
            public=public,
            not_before=now,
            not_after=now + timedelta(days=days),
        )
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            for folder in (self.folder, self._private(key).parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._private(key), secret, mode=0o600)
            self._write(key)
        except OSError as error:
            self._private(key).unlink(missing_ok=True)
            raise KeyProblem(f"The key could not be written to {error.filename}: {error.strerror}.") from None
        return key

    def retire(self, name: str, now: datetime, *, stolen: bool = False) -> TrustedKey:
        """Let a key sign no more (`name`: its id or the beginning of it); KeyProblem unless exactly one fits."""
        found = [key for key in self.public() if name and key.id.startswith(name)]
        if len(found) != 1:
            raise KeyProblem(f"{len(found)} keys have an id that begins so; see: unwrite keys list")
        since = found[0].retired_at or now
        key = found[0].model_copy(update={"retired_at": since, "stolen": stolen or found[0].stolen})
        try:
            self._write(key)
        except OSError as error:
            raise KeyProblem(f"The key could not be written to {self.folder}: {error.strerror}.") from None
        return key

    def signer(self, at: datetime) -> tuple[TrustedKey, CryptoSigner]:
        """The newest key that is valid at that time, ready to sign. KeyProblem says why there is none."""
        reasons = []
        for key in reversed(self.public()):
            refused = key.refuses(at)
            if not refused and self._private(key).is_file():
                return key, self._load(key)
            reasons.append(f"{key.short}: {refused or 'its private file is missing'}")
        told = "; ".join(reasons) or f"there are no keys in {self.folder}"
        raise KeyProblem(f"No key can sign now ({told}). Make one with: unwrite keys new")

    def _load(self, key: TrustedKey) -> CryptoSigner:
        try:
            private = load_pem_private_key(_read(self._private(key)), password=None)
        except (ValueError, TypeError):
            raise KeyProblem(f"The private file of key {key.short} is damaged.") from None
        if (
            not isinstance(private, Ed25519PrivateKey)
            or private.public_key().public_bytes_raw().hex() != key.public
        ):
            raise KeyProblem(f"The private file of key {key.short} holds another key.")
        return CryptoSigner(private, key.verifier())

    def _private(self, key: TrustedKey) -> Path:
        return (self.private or self.folder) / f"{key.id}.pem"

    def _write(self, key: TrustedKey) -> None:
        write_atomically(self.folder / f"{key.id}.json", key.model_dump_json(indent=1).encode() + b"\n")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
