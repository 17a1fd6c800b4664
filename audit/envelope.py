"""Signed bytes: DSSE envelopes with one Ed25519 signature (github.com/secure-systems-lab/dsse).

DSSE signs the payload's bytes together with their type, so nothing needs to be re-serialised to be checked. We
are stricter than DSSE about what surrounds the payload: an envelope that is not exactly as we write it is
refused, so that one flipped byte anywhere is found.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Sequence
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner

from audit.errors import CertificateInvalid
from audit.keys import TrustedKey

FIELDS = ("payload", "payloadType", "signatures")


def canonical(value: Any) -> bytes:
    """JSON as this package writes what is hashed or signed: sorted, compact, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sign(payload: bytes, payload_type: str, signer: CryptoSigner) -> dict[str, Any]:
    """The envelope as a JSON object."""
    envelope = Envelope(payload, payload_type, {})
    envelope.sign(signer)
    made: dict[str, Any] = envelope.to_dict()
    return made


def unpack(envelope: object, payload_type: str) -> bytes:
    """The payload of an envelope of that type, **not verified**. CertificateInvalid when it is none."""
    if not isinstance(envelope, dict) or envelope.get("payloadType") != payload_type:
        raise CertificateInvalid(f"this is not a signed document of the type {payload_type}")
    return _bytes(envelope.get("payload"))


def signed_by(envelope: dict[str, Any], keys: Sequence[TrustedKey]) -> TrustedKey:
    """The one of these keys that signed; CertificateInvalid when none did. Says nothing about times."""
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise CertificateInvalid("it does not carry exactly one signature")
    if signatures[0].keys() != {"keyid", "sig"}:
        raise CertificateInvalid("its signature has other fields than keyid and sig")
    _bytes(signatures[0]["sig"])
    known = {key.id: key for key in keys}
    key = known.get(str(signatures[0]["keyid"]))
    if key is None:
        raise CertificateInvalid("it was signed with a key that is not among the trusted ones")
    try:
        plain = {name: copy.deepcopy(envelope[name]) for name in FIELDS}  # from_dict changes what it is given
        Envelope.from_dict(plain).verify([key.verifier()], 1)
    except (VerificationError, ValueError, KeyError, TypeError):
        raise CertificateInvalid("the signature does not fit: content or signature was changed") from None
    return key


def _bytes(text: object) -> bytes:
    """The bytes behind base64 in its only canonical spelling."""
    try:
        data = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != text:
        raise CertificateInvalid("a field is not base64 as it should be")
    return data
