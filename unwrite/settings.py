"""Settings, read from `UNWRITE_…` environment variables; a leaf module that every room may import.

Everything embedded (SQLite, broker folder, master key) lives below `home`, so that one folder is the whole
installation. Production sets `UNWRITE_DATABASE_URL`, `UNWRITE_BROKER_URL` and `UNWRITE_MASTER_KEY`.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MASTER_KEY_BYTES = 32


class SettingsError(ValueError):
    """The installation is set up wrongly; the message says what to do."""


def default_home() -> Path:
    """`$XDG_DATA_HOME/unwrite`, or `~/.local/share/unwrite`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "unwrite"


class Settings(BaseSettings):
    """All that an operator can set. Times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix="UNWRITE_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    home: Path = Field(default_factory=default_home)
    database_url: str = ""
    broker_url: str = ""
    master_key_file: Path | None = None
    master_key_base64: SecretStr | None = Field(default=None, validation_alias="UNWRITE_MASTER_KEY")
    signing_keys: Path | None = None  # the folder of the keys that sign certificates
    private_keys: Path | None = None  # their private files, where these lie apart
    checkpoint: Path | None = None
    device: str = "auto"
    bank: str = "default"

    lease_s: float = Field(default=60, gt=0)
    heartbeat_s: float = Field(default=10, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    sweep_s: float = Field(default=10, gt=0)

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    trusted_proxies: int = Field(default=0, ge=0)  # how many X-Forwarded-… hops to believe
    allow_self_approval: bool = False  # may the person who submitted a request approve it too
    holidays: Annotated[frozenset[date], NoDecode] = frozenset()  # no answer falls due on them

    audit_attacks: str = "rephrase,resample,distractor,frame,alias,few-shot"  # in this order
    audit_budget: int = Field(default=6, ge=1)  # samples a fact for each attack except rephrase
    audit_phrasings: int = Field(default=4, ge=1)
    audit_samples: int = Field(default=5, ge=1)
    audit_max_tokens: int = Field(default=16, ge=1)
    rephraser: str = Field(default="mixed", pattern=r"^(templates|mixed(:.+)?)$")  # whose phrasings certify
    leak_threshold: float = Field(default=0.15, gt=0, lt=1)
    repair_rounds: int = Field(default=2, ge=0)

    max_fact_chars: int = Field(default=400, ge=1)
    max_facts_per_request: int = Field(default=100, ge=1)

    @field_validator("holidays", mode="before")
    @classmethod
    def _days(cls, value: object) -> object:
        return (
            [date.fromisoformat(day.strip()) for day in value.split(",")] if isinstance(value, str) else value
        )

    @model_validator(mode="after")
    def _heartbeat_fits_in_lease(self) -> Self:
        if self.heartbeat_s >= self.lease_s:
            raise ValueError("UNWRITE_HEARTBEAT_S must be smaller than UNWRITE_LEASE_S")
        return self

    @property
    def embedded(self) -> bool:
        """True while both the database and the broker live in `home`: one machine, nothing else to run."""
        return not self.database_url and not self.broker_url

    def resolved_database_url(self) -> str:
        """The database to use: the given one, or SQLite below `home` (which is created)."""
        return self.database_url or f"sqlite:///{self.ensure_home() / 'unwrite.db'}"

    def database_files(self) -> list[Path]:
        """The files of an embedded database, for those who search them for traces; none on a server."""
        if self.database_url:
            return []
        path = self.ensure_home() / "unwrite.db"
        return [found for found in (path, path.with_name("unwrite.db-wal")) if found.exists()]

    def ensure_home(self) -> Path:
        """The home folder as an absolute path, created for this user only."""
        home = self.home.expanduser().absolute()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return home

    def resolved_signing_keys(self) -> Path:
        """The folder of the signing keys: the given one, or `keys` below `home`. It need not exist."""
        return self.signing_keys or self.home.expanduser().absolute() / "keys"

    def resolved_private_keys(self) -> Path:
        """The folder of the private halves of the signing keys: the given one, or that of the keys."""
        return self.private_keys or self.resolved_signing_keys()

    def master_key(self) -> bytes:
        """The 32-byte key that wraps all others: from the environment, or the key file (made on first use).

        Raises SettingsError when what is there is not base64 of 32 bytes.
        """
        if self.master_key_base64 is not None:
            return _decode_key(self.master_key_base64.get_secret_value(), "UNWRITE_MASTER_KEY")
        path = self.master_key_file or self.ensure_home() / "master.key"
        if not path.exists():
            _create_key_file(path)
        return _decode_key(path.read_text(encoding="ascii", errors="replace"), str(path))


def _decode_key(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise SettingsError(f"{source} must hold base64 of 32 bytes; make one with: openssl rand -base64 32")
    return key


def _create_key_file(path: Path) -> None:
    """Write a fresh key, mode 0600; when two processes race the first wins and both read the same key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
