"""What a certificate states: an in-toto Statement v1 about states of a memory, with an audit as its predicate.

Subjects are the states of the memory before and after, by keyed digest; the predicate holds the report's numbers,
its policy, the digests of report and transcripts, the threat model and the limits. No text of a fact.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audit.envelope import canonical
from audit.results import PhaseResult
from audit.schema import Group, Report
from audit.wording import THREAT_MODEL

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:unwrite:predicate:unlearning-audit:v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
DIGEST = "hmac-sha256"
SALT_BYTES = 16


def digest(data: bytes) -> str:
    """SHA-256 (hex)."""
    return hashlib.sha256(data).hexdigest()


def salted_page(html: bytes) -> bytes:
    """The page with a random remark at its end: its digest can be published, and nobody can guess the page
    (names, prompts) and try the guess against the digest.
    """
    return html + f"<!-- salt {secrets.token_hex(SALT_BYTES)} -->\n".encode()


def salted_lines(lines: bytes) -> bytes:
    """The same for a transcript of JSON lines: one more line, {"salt": …}."""
    return lines + b'{"salt": "%b"}\n' % secrets.token_hex(SALT_BYTES).encode()


def statement(report: Report, *, report_id: str, files: Mapping[str, str], issued_at: datetime) -> bytes:
    """The bytes to be signed. `files`: SHA-256 (hex) of report and transcripts by file name."""
    predicate = {
        "reportId": report_id,
        "requests": [record.info.request_id for group in report.groups for record in group.requests],
        "issuedAt": issued_at.isoformat(),
        "producedAt": report.produced_at.isoformat(),
        "files": {name: {"sha256": sha256} for name, sha256 in sorted(files.items())},
        "threatModel": threat_model(report),
        "method": report.method.model_dump(mode="json"),
        "stateDigests": "HMAC-SHA-256 under a key of the installation: comparable with each other, not guessable",
        **result(report),
    }
    return canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": _subjects(report),
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
    )


def result(report: Report) -> dict[str, Any]:
    """What the report found, in its own numbers and words."""
    return {
        "verdict": report.verdict,
        "headline": report.headline,
        "policy": report.policy.model_dump(mode="json"),
        "groups": [_numbers(group) for group in report.groups],
        "limits": list(report.limits),
    }


def threat_model(report: Report) -> list[str]:
    """Who the attacker is, in words without mark-up."""
    kinds = sorted({group.kind for group in report.groups})
    return [THREAT_MODEL[key].replace("**", "") for key in ("both", *kinds)]


def _subjects(report: Report) -> list[dict[str, Any]]:
    """Every state that the report speaks of, once, in order of revisions."""
    states: dict[tuple[str, int], str] = {}
    for record in (record for group in report.groups for record in group.requests):
        change = record.state
        states[change.bank, change.revision_before] = change.digest_before
        states[change.bank, change.revision_after] = change.digest_after
    return [
        {"name": f"memory/{bank}@{revision}", "digest": {DIGEST: value}}
        for (bank, revision), value in sorted(states.items())
    ]


def _numbers(group: Group) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "verdict": group.verdict.model_dump(mode="json"),
        "looks": group.looks,
        "equalsNeverWritten": [record.state.equal for record in group.requests],
        "phases": {name: _counts(phase) for name, phase in group.phases.items()},
        "neighbours": None if group.neighbours is None else group.neighbours.model_dump(mode="json"),
    }


def _counts(phase: PhaseResult) -> dict[str, int]:
    return {
        "facts": len(phase.audited),
        "factsLeaked": phase.facts_leaked,
        "samples": phase.scored,
        "samplesLeaked": phase.leaked,
        "unscored": phase.samples - phase.scored,
    }
