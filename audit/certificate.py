"""The certificate of a report: `report.dsse`, one line of JSON.

    payload, payloadType, signatures    the signed statement (DSSE; any DSSE tool reads it)
    log                                 the log entry that names this statement's digest, its inclusion proof
                                        and the signed tree head (DSSE readers ignore fields they do not know)

The log part is outside of the signed payload because the entry holds the payload's digest; it proves itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner

from audit import envelope
from audit.errors import CertificateInvalid
from audit.keys import TrustedKey
from audit.log import LogProof, TreeHead, moment
from audit.statement import PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, digest

ENTRY_KIND = "certificate.issued"
NAMED = "statement"
"""the field of the log entry's body that holds the SHA-256 of the signed payload"""
TOLERANCE = timedelta(minutes=10)
"""how far statement, log entry and tree head may lie apart: one transaction takes all three times, moments apart"""


def write(payload: bytes, proof: LogProof, signer: CryptoSigner) -> bytes:
    """Sign the statement and put the proof beside it."""
    made = envelope.sign(payload, PAYLOAD_TYPE, signer) | {"log": proof.to_dict()}
    return envelope.canonical(made) + b"\n"


@dataclass(frozen=True)
class Certificate:
    """A certificate that was read, **not verified yet**: `check_…` raise CertificateInvalid."""

    document: dict[str, Any]
    payload: bytes
    proof: LogProof

    @classmethod
    def read(cls, data: bytes) -> Certificate:
        """Take the bytes apart. CertificateInvalid unless they are exactly as `write` makes them."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            raise CertificateInvalid("it is no JSON: cut off, or another kind of file") from None
        if not isinstance(document, dict) or document.keys() != {*envelope.FIELDS, "log"}:
            raise CertificateInvalid("it does not have the fields of a certificate")
        payload = envelope.unpack(document, PAYLOAD_TYPE)
        found = cls(document, payload, LogProof.from_dict(document["log"]))
        try:
            same = envelope.canonical(document) + b"\n" == data
        except ValueError:  # half of a surrogate pair
            same = False
        if not same:
            raise CertificateInvalid("its bytes were changed outside of what is signed")
        return found

    def check_signature(self, keys: Sequence[TrustedKey]) -> TrustedKey:
        """The key that signed a statement of ours; it was valid at the stated time and at the log entry's."""
        key = envelope.signed_by(self.document, keys)
        if self.statement.get("_type") != STATEMENT_TYPE or (
            self.statement.get("predicateType") != PREDICATE_TYPE
        ):
            raise CertificateInvalid("what is signed is not a statement about an unlearning audit, version 1")
        if refused := key.refuses(self.issued_at):
            raise CertificateInvalid(refused)
        if refused := key.refuses(self.proof.entry.at):
            raise CertificateInvalid(f"the log entry: {refused}")
        return key

    def check_log(self, keys: Sequence[TrustedKey]) -> TreeHead:
        """The signed head of the log that holds this very statement, entered when it was issued."""
        if self.proof.entry.fields.get("kind") != ENTRY_KIND:
            raise CertificateInvalid("the log entry is about something else")
        if self.proof.entry.body.get(NAMED) != digest(self.payload):
            raise CertificateInvalid("the log entry names another statement")
        head = self.proof.check(keys)
        times = (self.issued_at, self.proof.entry.at, head.at)
        if max(times) - min(times) > TOLERANCE:
            raise CertificateInvalid(
                "statement, log entry and tree head are of different times: one was dated back"
            )
        return head

    @property
    def statement(self) -> dict[str, Any]:
        """The statement; CertificateInvalid when the payload holds none."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("predicate"), dict):
            raise CertificateInvalid("the signed payload is not a statement")
        return found

    @property
    def predicate(self) -> dict[str, Any]:
        """What is stated."""
        found: dict[str, Any] = self.statement["predicate"]
        return found

    @property
    def issued_at(self) -> datetime:
        """When, by the signer's word."""
        return moment(self.predicate.get("issuedAt"), "it does not say when it was issued")

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 (hex) of report and transcripts by file name."""
        try:
            return {name: str(one["sha256"]) for name, one in self.predicate["files"].items()}
        except (KeyError, TypeError, AttributeError):
            raise CertificateInvalid("it names no files") from None
