"""The event log as a verifier sees it: entries, signed tree heads, and the proof that a certificate carries.

An entry is the stored `record`: JSON with position, time, kind, the hash of the entry before it, and a salted
commitment to the `details` (who, and numbers). Its leaf hash is both its link in the chain and its leaf in the
Merkle tree. Nothing personal is under the hash: ids are opaque, and without salt and details the commitment says
nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError
from securesystemslib.signer import CryptoSigner

from audit import envelope, merkle
from audit.errors import CertificateInvalid
from audit.keys import TrustedKey
from audit.merkle import Frontier
from audit.results import Record

HEAD_TYPE = "application/vnd.unwrite.tree-head+json"
NO_ENTRY = "0" * 64


class TreeHead(Record):
    """The log at one moment: its first `size` entries have this root (hex)."""

    size: int
    root: str = Field(pattern="^[0-9a-f]{64}$")
    at: AwareDatetime

    def sign(self, signer: CryptoSigner) -> dict[str, Any]:
        """The head in a signed envelope."""
        return envelope.sign(envelope.canonical(self.model_dump(mode="json")), HEAD_TYPE, signer)

    @classmethod
    def verified(cls, signed: object, keys: Sequence[TrustedKey]) -> TreeHead:
        """The head in an envelope that one of these keys signed while valid, or CertificateInvalid."""
        payload = envelope.unpack(signed, HEAD_TYPE)
        assert isinstance(signed, dict)
        if signed.keys() != set(envelope.FIELDS):
            raise CertificateInvalid("the tree head has other fields than an envelope")
        key = envelope.signed_by(signed, keys)
        try:
            head = cls.model_validate_json(payload)
        except ValidationError:
            raise CertificateInvalid("the tree head does not follow its schema") from None
        if refused := key.refuses(head.at):
            raise CertificateInvalid(f"the tree head: {refused}")
        return head


@dataclass(frozen=True)
class Entry:
    """One entry: the record under the hash, and what opens its commitment."""

    record: bytes
    details: bytes
    salt: bytes

    @property
    def leaf(self) -> bytes:
        """Its leaf hash."""
        return merkle.leaf_hash(self.record)

    @property
    def fields(self) -> dict[str, Any]:
        """What the record says; CertificateInvalid when it is no JSON object."""
        return _object(self.record)

    @property
    def at(self) -> datetime:
        """When it was entered, as the record says; CertificateInvalid when it does not."""
        return moment(self.fields.get("at"), "the log entry does not say when it was made")

    @property
    def body(self) -> dict[str, Any]:
        """The numbers and ids that the record commits to; CertificateInvalid when these are not they."""
        commitment = hmac.new(self.salt, self.details, hashlib.sha256).hexdigest()
        if self.fields.get("details") != commitment:
            raise CertificateInvalid("the details are not those that the log entry commits to")
        body = _object(self.details).get("body")
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True)
class LogProof:
    """That an entry is in the log: its place, the path to the root, and the signed root."""

    entry: Entry
    index: int
    path: tuple[bytes, ...]
    head: dict[str, Any]

    @classmethod
    def of_last(cls, entry: Entry, before: Frontier, at: datetime, signer: CryptoSigner) -> LogProof:
        """The proof of the newest entry, given the frontier of the entries before it."""
        after = before.append(entry.leaf)
        head = TreeHead(size=after.size, root=after.root.hex(), at=at)
        return cls(entry, before.size, before.proof_of_next, head.sign(signer))

    def check(self, keys: Sequence[TrustedKey]) -> TreeHead:
        """The signed head that holds the entry; CertificateInvalid when it does not, or nobody trusted signed."""
        head = TreeHead.verified(self.head, keys)
        if not merkle.verify_inclusion(
            self.entry.leaf, self.index, head.size, self.path, bytes.fromhex(head.root)
        ):
            raise CertificateInvalid(
                "the inclusion proof does not lead from the log entry to the signed root"
            )
        return head

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a certificate."""
        return {
            "record": self.entry.record.decode(),
            "details": self.entry.details.decode(),
            "salt": self.entry.salt.hex(),
            "index": self.index,
            "path": [node.hex() for node in self.path],
            "head": self.head,
        }

    @classmethod
    def from_dict(cls, data: object) -> LogProof:
        """Read what `to_dict` wrote; CertificateInvalid."""
        try:
            assert isinstance(data, dict)
            entry = Entry(data["record"].encode(), data["details"].encode(), bytes.fromhex(data["salt"]))
            path = tuple(bytes.fromhex(node) for node in data["path"])
            assert type(data["index"]) is int
            proof = cls(entry, data["index"], path, data["head"])
        except (AssertionError, KeyError, TypeError, ValueError, AttributeError):
            raise CertificateInvalid("the log proof is incomplete") from None
        if proof.to_dict() != data:
            raise CertificateInvalid("the log proof is not written as it should be")
        return proof


def moment(stamp: object, otherwise: str) -> datetime:
    """A time with its zone, from ISO text; CertificateInvalid with these words when it is none."""
    try:
        at = datetime.fromisoformat(str(stamp))
    except ValueError:
        raise CertificateInvalid(otherwise) from None
    if at.tzinfo is None:
        raise CertificateInvalid(otherwise)
    return at


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CertificateInvalid("a log entry is not readable")
    return found
