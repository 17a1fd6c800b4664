"""Checks an Unwrite certificate without Unwrite: Python 3.11 and the package `cryptography`, nothing else.

    python verify.py report.dsse trusted.json [report.html report.json transcript-after.jsonl …]

trusted.json lists the keys that you trust; get it from the signer by a way that you trust. Exit status: 0 all
holds, 1 something does not hold, 2 misuse.
"""

import base64
import hashlib
import hmac
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def need(holds, otherwise):
    if not holds:
        raise ValueError(otherwise)


def decoded(text, decode, encode):
    """Bytes from base64 or hex, in the one spelling that is allowed."""
    data = decode(text)
    need(encode(data) == text, "not in canonical spelling")
    return data


def unbase64(text):
    return decoded(text, base64.b64decode, lambda data: base64.b64encode(data).decode())


def unhex(text):
    return decoded(text, bytes.fromhex, bytes.hex)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def opened(envelope, kind, keys, said_at, *others):
    """The signed payload of a DSSE envelope, and times; its key must have been valid at each of them."""
    payload, [signature] = unbase64(envelope["payload"]), envelope["signatures"]
    key = keys[signature["keyid"]]
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    Ed25519PublicKey.from_public_bytes(unhex(key["public"])).verify(unbase64(signature["sig"]), signed)
    content = json.loads(payload)
    start, *ends = (key["not_before"], key["not_after"], key["retired_at"] or key["not_after"])
    times = [datetime.fromisoformat(at) for at in (said_at(content), *others)]
    need(envelope["payloadType"] == kind and not key["stolen"], "wrong type, or a stolen key")
    end = min(map(datetime.fromisoformat, ends))
    need(datetime.fromisoformat(start) <= min(times) <= max(times) <= end, "key was not valid then")
    return payload, content, times


def included(leaf, node, size, path, root):
    """Whether the path leads from the leaf to the root (RFC 9162, 2.1.3.2)."""
    last = size - 1
    need(0 <= node <= last, "no such log entry")
    for sibling in path:
        need(last > 0, "inclusion proof is too long")
        if node & 1 or node == last:
            leaf = sha256(b"\x01", sibling, leaf)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            leaf = sha256(b"\x01", leaf, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and leaf == root


def check(data, keys, files):
    """The statement, if all holds; raises otherwise."""
    document = json.loads(data)
    compact = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    need(compact.encode() + b"\n" == data, "bytes were changed outside of what is signed")
    log, kinds = document["log"], ("application/vnd.in-toto+json", "application/vnd.unwrite.tree-head+json")
    record, details = log["record"].encode(), log["details"].encode()
    entry = json.loads(record)
    payload, statement, times = opened(
        document, kinds[0], keys, lambda said: said["predicate"]["issuedAt"], entry["at"]
    )
    _, head, signed = opened(log["head"], kinds[1], keys, lambda said: said["at"])
    times += signed
    need(max(times) - min(times) <= timedelta(minutes=10), "statement, log entry or head dated back")
    need(statement["predicateType"] == "urn:unwrite:predicate:unlearning-audit:v1", "wrong kind of statement")
    opening = hmac.new(unhex(log["salt"]), details, "sha256").hexdigest()
    need(entry["details"] == opening, "the log entry commits to other details")
    need(json.loads(details)["body"]["statement"] == sha256(payload).hex(), "log entry of another statement")
    leaf, path = sha256(b"\x00", record), [unhex(node) for node in log["path"]]
    need(included(leaf, log["index"], head["size"], path, unhex(head["root"])), "not in the signed log")
    known = {one["sha256"] for one in statement["predicate"]["files"].values()}
    for name, content in files.items():
        need(sha256(content).hex() in known, f"{name} is not what was signed")
    return statement


def main(names):
    """Read the files, check, say it."""
    try:
        certificate, trusted, *rest = (Path(name).read_bytes() for name in names)
        keys = {key["id"]: key for key in json.loads(trusted)["keys"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(__doc__, "cannot read:", error)
        return 2
    try:
        statement = check(certificate, keys, dict(zip(names[2:], rest, strict=True)))
    except (ValueError, LookupError, TypeError, AttributeError, InvalidSignature, RecursionError) as error:
        print("DOES NOT HOLD:", type(error).__name__, error)
        return 1
    print("HOLDS:", statement["predicate"]["headline"])
    print("Compared:", ", ".join(names[2:]) or "no files; only signature, key and log")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
