"""Opaque identifiers: a prefix and 130 random bits, e.g. `req_` + 26 characters of lower-case base32."""

from __future__ import annotations

import base64
import secrets

LENGTH = 26


def new_id(prefix: str) -> str:
    """A fresh identifier such as `req_abcdefghijklmnopqrstuvwxyz`; it says nothing about what it names."""
    letters = base64.b32encode(secrets.token_bytes(17)).decode("ascii").lower()
    return f"{prefix}_{letters[:LENGTH]}"
