"""The shape of a report: typed records that go to JSON and back. No field holds text of a fact.

Built and checked by `audit.report`; shown by `audit.page`.

    python -m audit.schema > audit/data/report.schema.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import Field

from audit.counts import Kind, Rules, Unit
from audit.detect import DetectorQuality
from audit.errors import ReportUnknown
from audit.facts import AuditFact
from audit.policy import Policy
from audit.results import NeighbourResult, PhaseResult, Record
from audit.verdict import Value, Verdict

Version = Literal["1", "2", "3"]
VERSIONS: tuple[str, ...] = get_args(Version)
SCHEMA_VERSION: Version = "3"
"""1: without second opinion and earlier looks. 2: fewer than enough facts were judged by attempts, not by distinct
prompts, and a twin took guesses off a check. A changed sentence is a new version too: `validate` compares words.
"""
SCHEMA_ID = f"urn:unwrite:schema:report:{SCHEMA_VERSION}"


def rules_of(version: Version) -> Rules:
    """The rules by which a report of this version was judged."""
    return 1 if version in ("1", "2") else 2


class RequestInfo(Record):
    """Which request this is about. `reference` is the customer's own opaque reference."""

    request_id: str
    regulation: Literal["gdpr", "ccpa", "other"] = "other"
    reference: str = ""
    received_at: datetime | None = None
    decided_at: datetime | None = None


class StateChange(Record):
    """What was done to the memory. Digests are keyed: guessable facts cannot be tried against them."""

    bank: str
    revision_before: int
    revision_after: int
    digest_before: str
    digest_after: str
    digest_never_written: str | None = None
    entries_before: int | None = None
    entries_after: int | None = None
    restated: tuple[str, ...] = ()
    """ids of facts in the memory that state again what was removed; the never-written memory is without them"""

    @property
    def equal(self) -> bool | None:
        """Whether the memory is the one in which the facts were never written; None when not compared."""
        return None if self.digest_never_written is None else self.digest_after == self.digest_never_written


class RepairRound(Record):
    """A certification that still found leaks, and how many phrasings then joined the scope."""

    round: int
    facts_leaking: int
    phrasings_added: int


class Method(Record):
    """With what the audit was made: enough to make it again. What was measured «before» by an earlier audit of the
    request was drawn with the seeds in that one's report.
    """

    model: str
    decoder: str = ""
    checkpoint: str = ""
    device: str = ""
    rephraser: str = ""
    transcript: str = ""
    """digest of the last line of the record of samples"""
    software: Mapping[str, str] = Field(default_factory=dict)
    seeds: Mapping[str, int] = Field(default_factory=dict)

    @staticmethod
    def words() -> tuple[str, ...]:
        """The names of the fields that are plain words."""
        return ("model", "decoder", "checkpoint", "device", "rephraser")


class Look(Record):
    """What one audit of a request counted: attempts beyond guesses, and phrasings with at least one of them.

    `repaired`: the model was changed between the look before and this one.
    """

    at: datetime
    verdict: Value
    leaked: int = Field(ge=0)
    attempts: int = Field(ge=0)
    phrasings_leaked: int = Field(ge=0)
    phrasings: int = Field(ge=0)
    attack: str = ""
    detector: str = ""
    repaired: bool = False


class TrendPoint(Record):
    """A look with its bounds: `upper` from this look alone, `anytime` from all since counting began.

    `anew`: counting begins with this look, because the model was repaired, or attacked or judged in another way.
    `anytime` holds at all looks together (betting, `audit.eprocess`), `upper` (Clopper-Pearson) at one only.
    """

    look: Look
    anew: bool
    rate: float
    upper: float
    leaked_so_far: int
    attempts_so_far: int
    anytime: float
    anytime_by_phrasing: float


class RequestRecord(Record):
    """One request with what was done for it."""

    info: RequestInfo
    state: StateChange
    repairs: tuple[RepairRound, ...] = ()
    facts: tuple[str, ...] = ()
    earlier_audits: int = Field(ge=0, default=0)
    """looks before this audit: each earlier audit of the request that attacked after the removal, finished or not,
    and each of its repairs"""
    history: tuple[Look, ...] = ()
    """what the earlier audits counted, as far as their reports say, oldest first"""
    unreported: int = Field(ge=0, default=0)
    """earlier audits that attacked after the removal and are not in `history`: they were stopped or failed, or their
    report cannot be read"""


class Rate(Record):
    """A share with its lower and its upper bound, each one-sided at the policy's confidence."""

    leaked: int
    total: int
    rate: float
    lower: float
    upper: float


class PhaseFigures(Record):
    """What one phase showed. `identifying` counts only probes that say who is meant; None without any."""

    by_fact: Rate
    by_attempt: Rate
    identifying: Rate | None
    leak_at_k: tuple[float, ...]
    correlation: float | None
    design_effect: float | None
    sources: Mapping[str, int]
    unscored: int
    empty: int
    by_attack: Mapping[str, Rate] = Field(default_factory=dict)
    """facts that leaked under each attack"""
    by_prompt: Rate | None = None
    """distinct prompts with a sample that leaked; None in schema versions 1 and 2"""
    doubted: Rate | None = None
    """of the outputs without the answer's words, those that the second opinion holds for leaks; None: not asked"""

    def by(self, unit: Unit) -> Rate:
        """The rate in the unit of a verdict."""
        return (
            {"facts": self.by_fact, "attempts": self.by_attempt}.get(unit)
            or self.by_prompt
            or self.by_attempt
        )


class Group(Record):
    """All facts of one kind of request, judged together."""

    kind: Kind
    requests: tuple[RequestRecord, ...] = Field(min_length=1)
    before: PhaseResult | None
    after: PhaseResult
    twin: PhaseResult | None
    neighbours: NeighbourResult | None
    looks: int
    others: tuple[PhaseResult, ...] = ()
    """attacks that do not decide the verdict: white-box, part of the answer, membership, storage"""
    figures: Mapping[str, PhaseFigures]
    verdict: Verdict
    trend: tuple[TrendPoint, ...] = ()
    """this look after the earlier ones; only for a group of one request that was audited before"""

    @property
    def phases(self) -> dict[str, PhaseResult]:
        """The phases that were run, in the order of telling."""
        named = {"before": self.before, "after": self.after, "twin": self.twin}
        return {name: phase for name, phase in named.items() if phase is not None}


class Report(Record):
    """The report of one request or of many."""

    schema_version: Version = SCHEMA_VERSION
    produced_at: datetime
    verdict: Value
    policy: Policy
    method: Method
    detector_quality: DetectorQuality | None
    second_quality: DetectorQuality | None = None
    groups: tuple[Group, ...] = Field(min_length=1)
    headline: str
    limits: tuple[str, ...]

    def to_json(self) -> bytes:
        """Canonical JSON without personal data, UTF-8, ending in a line feed."""
        data = self.model_dump(mode="json")
        return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    def to_html(self, texts: Mapping[str, AuditFact] | None = None) -> bytes:
        """One self-contained page. With `texts` it names the prompts; answers are blacked out always."""
        from audit.page import render

        return render(self, texts or {})


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report, for readers in other languages; shipped as `data/report.schema.json`."""
    made = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **made}


def schema_document() -> bytes:
    """The bytes of `data/report.schema.json`."""
    return (json.dumps(json_schema(), indent=1, sort_keys=True) + "\n").encode()


def check_version(data: bytes) -> None:
    """ReportUnknown when another version is named; a report without a readable one is left to the schema."""
    try:
        version = json.loads(data)["schema_version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    if isinstance(version, str) and version not in VERSIONS:
        raise ReportUnknown("the report does not follow the schema at: schema_version (another version's)")


if __name__ == "__main__":
    sys.stdout.buffer.write(schema_document())
