"""Checks a certificate and says in words what it shows and what it does not: `unwrite verify`.

Every check is made even when an earlier one failed, unless nothing can be read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audit import report as audit_report
from audit.certificate import Certificate
from audit.envelope import canonical
from audit.errors import CertificateInvalid, ReportInvalid, ReportUnknown
from audit.keys import TrustedKey
from audit.statement import digest, result

KINDS = {"report.json": "the report's JSON", "report.html": "the readable report"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `ok` is None when there was nothing to look at."""

    name: str
    ok: bool | None
    said: str


@dataclass
class Verification:
    """All checks, and what follows from them."""

    checks: list[Check] = field(default_factory=list)
    headline: str = ""
    shown: list[str] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing that was looked at is wrong."""
        return bool(self.checks) and all(check.ok is not False for check in self.checks)


def verify(data: bytes, keys: Sequence[TrustedKey], files: Mapping[str, bytes] | None = None) -> Verification:
    """Check a certificate against trusted keys, and given files (by the name they go by) against it."""
    found = Verification()
    try:
        certificate = Certificate.read(data)
    except CertificateInvalid as error:
        found.checks.append(Check("certificate", False, str(error)))
        return found
    given = files or {}
    for name, look in (
        ("signature", lambda: _signature(certificate, keys)),
        ("log", lambda: _log(certificate, keys)),
    ):
        found.checks.append(_checked(name, look))
    try:
        found.checks += _files(certificate, given)
        if found.holds:
            found.headline = str(certificate.predicate.get("headline", ""))
            found.shown = list(_shown(certificate, found.checks))
            found.not_shown = list(_not_shown(certificate))
    except CertificateInvalid as error:
        found.checks.append(Check("statement", False, str(error)))
    except (LookupError, TypeError, AttributeError):
        found.checks.append(
            Check("statement", False, "what is stated does not have the fields that it should")
        )
    return found


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except CertificateInvalid as error:
        return Check(name, False, str(error))


def _signature(certificate: Certificate, keys: Sequence[TrustedKey]) -> str:
    key = certificate.check_signature(keys)
    said = f"signed with key {key.short}, dated {_minute(certificate.issued_at.isoformat())}"
    return said + ("; the key was retired later" if key.retired_at else "")


def _log(certificate: Certificate, keys: Sequence[TrustedKey]) -> str:
    head = certificate.check_log(keys)
    at = _minute(head.at.isoformat())
    return f"entry {certificate.proof.index + 1} of {head.size}; tree head {head.root[:16]}, signed {at}"


def _files(certificate: Certificate, given: Mapping[str, bytes]) -> Iterator[Check]:
    """Each given file against the digests; then what was signed and not given."""
    names = {sha256: name for name, sha256 in certificate.files.items()}
    seen = set()
    for called, data in given.items():
        name = names.get(digest(data))
        if name is None:
            yield Check(called, False, "not one of the files that were signed, or changed since")
            continue
        seen.add(name)
        yield Check(called, True, f"exactly what was signed as {name}")
        if name == "report.json":
            yield _numbers(certificate, data)
    for name in certificate.files:
        if name not in seen:
            yield Check(name, None, "not given, so not compared")


def _numbers(certificate: Certificate, data: bytes) -> Check:
    """Whether the certificate's figures and verdict follow from the counts in the report."""
    try:
        figures = result(audit_report.validate(data))
    except ReportUnknown:
        return Check(
            "figures", None, "not recomputed: this version does not know the report's schema version"
        )
    except ReportInvalid as error:
        return Check("figures", False, f"they do not hold: {error}")
    same = all(canonical(certificate.predicate.get(key)) == canonical(figures[key]) for key in figures)
    return Check(
        "figures",
        same,
        "verdict and bounds follow from the report's own counts"
        if same
        else "the certificate states other figures than the report",
    )


def _shown(certificate: Certificate, checks: Sequence[Check]) -> Iterator[str]:
    predicate, subjects = certificate.predicate, certificate.statement.get("subject", [])
    yield (
        "The holder of the signing key stated this result in these words, and it was not changed since: "
        f"verdict {predicate.get('verdict')}."
    )
    if len(subjects) > 1:
        names = f"{subjects[0]['name']} … {subjects[-1]['name']}"
        yield f"It is about these states of the memory: {names} ({len(subjects)} keyed digests)."
    compared = {equal for group in predicate["groups"] for equal in group["equalsNeverWritten"]} - {None}
    if compared == {True}:
        yield (
            "For every forget the signer states that the memory was compared with one in which the facts were never "
            "written, and was equal, bit for bit."
        )
    yield (
        "The statement is in the signer's log, at a place and a time that the signed tree head fixes: it cannot "
        "be taken out or dated back without breaking that head."
    )
    for check in checks:
        if check.ok and check.name not in ("signature", "log"):
            yield f"{check.name}: {check.said}."


def _not_shown(certificate: Certificate) -> Iterator[str]:
    yield "That the signer measured rightly or told the truth, and that its clock was right: it vouches for both."
    yield (
        "That the model which answers today is still in the stated state: compare its digest, or ask for a "
        "re-check."
    )
    yield "That the log is the same for everybody: compare tree heads with others who hold certificates."
    yield "That nothing leaks: the stated bound is about this attack, this attacker and these attempts."
    for line in certificate.predicate.get("threatModel", []):
        yield f"Attacker: {line}"


def _minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ") + " UTC"
