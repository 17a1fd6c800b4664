"""An audit from the command line: facts of a CSV file, any target, no database.

    larimar            the guarded model: the facts are censored (or written and forgotten) in a bank of its own,
                       and attacked before and after
    hf:ID_OR_PATH      a bare causal LM, as it is
    openai:URL         an OpenAI-compatible endpoint, as it is

A model that is audited as it is needs a `control` for a pass: one that does tell the facts (the model before
the unlearning), or the attack's silence shows nothing. A `twin` that never knew them is told beside it; no guesses
are taken off. Samples go to `samples.jsonl` as they come; the same
command goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import platform
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.attacks import Attack, ProbeSet, RephraseAttack, attack_named, make_probes, registered
from audit.counts import Kind
from audit.detect import ExactDetector, measure, shipped_cases
from audit.errors import AttackImpossible, AuditError
from audit.facts import AuditFact, refusal
from audit.files import of_audit, write_atomically
from audit.journal import FileLog, Journal
from audit.neighbours import neighbour_prompts
from audit.policy import Policy, wordings_wanted
from audit.rephrase import Rephraser
from audit.report import Method, Report, RequestInfo, StateChange, build
from audit.results import NeighbourResult, PhaseName, PhaseResult, joined_attacks
from audit.run import run_phase
from audit.semantic import SemanticDetector, shipped_quality
from audit.target import Sampling, Target
from workers.rephrasers import open_rephraser
from workers.targets import DecoderTarget, MemoryTarget

if TYPE_CHECKING:
    import larimar

NEIGHBOURS = 6
SALT = "request.salt"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, repr=False)
class Plan:
    """What shall be audited, how, and where the files go. No repr: it holds facts, and passwords of URLs perhaps."""

    target: str
    facts: Sequence[AuditFact]
    out: Path
    attacks: tuple[str, ...] = ("rephrase",)
    kind: Kind = "check"
    control: str = ""
    twin: str = ""
    budget: int = 20
    phrasings: int | None = None
    """wordings of each fact that `rephrase` asks in; None: its own, or as many as few facts need for a pass"""
    seed: int = 0
    max_tokens: int = 16
    policy: Policy = field(default_factory=Policy)
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    checkpoint: Path | None = None
    device: str = "auto"
    rephraser: str = "templates"
    """a source that `workers.rephrasers` opens"""

    @property
    def sampling(self) -> Sampling:
        """How completions are drawn."""
        return Sampling(max_tokens=self.max_tokens)

    @property
    def auditable(self) -> list[AuditFact]:
        """The facts that can be audited honestly; the report lists the others as refused."""
        return [fact for fact in self.facts if not refusal(fact, self.max_tokens)]


def open_target(spec: str, plan: Plan) -> Target:
    """The target of `hf:…` or `openai:…`. Raises AuditError for anything else, and what the target raises."""
    how, _, where = spec.partition(":")
    if how == "hf" and where:
        from larimar.precision import present

        return DecoderTarget.load(where, present(plan.device))
    if how == "openai" and where:
        from workers.endpoint import EndpointTarget

        return EndpointTarget(where, plan.model, plan.key_variable)
    raise AuditError("a target is larimar, hf:ID_OR_PATH or openai:URL")


def same_target(first: str, second: str) -> bool:
    """Whether two specs name the same model: the same folder or hub id, the same endpoint."""
    return _plain(first) == _plain(second)


def _plain(spec: str) -> tuple[str, str]:
    how, _, where = spec.partition(":")
    if how == "hf" and Path(where).is_dir():
        return how, str(Path(where).resolve())
    return how, where.rstrip("/").casefold() if how == "openai" else where


def run(plan: Plan, progress: Progress = lambda phase, done, total: None) -> Report:
    """Audit, and write report.json, report.html and samples.jsonl below `plan.out`.

    Raises AuditError, and the errors of larimar and of the target; what was sampled stays for the next run.
    """
    with of_audit(plan.out):
        plan.out.mkdir(parents=True, exist_ok=True)
        request_id = _request_id(plan)
    journal = Journal(FileLog(plan.out / "samples.jsonl"))
    session = Session(plan, journal, progress)
    found = session.guarded() if plan.target == "larimar" else session.as_it_is()
    report = build(
        kind=plan.kind,
        request=RequestInfo(request_id=request_id),
        policy=plan.policy,
        detector_quality=measure(ExactDetector(), shipped_cases()),
        second_quality=shipped_quality(session.second.name) if session.second else None,
        produced_at=datetime.now(UTC),
        method=_method(plan, journal.close(), session.rephraser),
        **found,
    )
    page = report.to_html({fact.id: fact for fact in plan.facts})
    with of_audit(plan.out):
        write_atomically(plan.out / "report.json", report.to_json())
        write_atomically(plan.out / "report.html", page)
    return report


@dataclass
class Session:
    """The phases of one plan over one journal."""

    plan: Plan
    journal: Journal
    progress: Progress
    second: SemanticDetector | None = None
    """the opinion beside the verdict: only where our own embedding model is loaded anyway"""

    def attack(self, phase: PhaseName, target: Target) -> tuple[PhaseResult, list[PhaseResult]]:
        """Run every attack on one target: those that decide, joined, and the others."""
        deciding: list[PhaseResult] = []
        others: list[PhaseResult] = []
        for attack in chosen(self.plan, target):
            attack = self._with_source(attack)
            made = self._probes(attack)
            result, _ = run_phase(
                phase,
                target,
                self.plan.facts,
                attack,
                ExactDetector(),
                sampling=self.plan.sampling,
                seed=self.plan.seed,
                probes=made,
                journal=self.journal,
                second=self.second,
                progress=lambda done, total, key=attack.key: self.progress(f"{phase}: {key}", done, total),  # type: ignore[misc]
            )
            if getattr(target, "own_top_k", False):
                result = result.model_copy(update={"top_k": None})
            (deciding if attack.counts else others).append(result)
        if not deciding:
            raise AuditError("name at least one attack that decides the verdict, such as rephrase")
        return joined_attacks(deciding), others

    def as_it_is(self) -> dict[str, Any]:
        """Attack a model that somebody else changed, beside a control and a twin if there are any."""
        plan = self.plan
        target = open_target(plan.target, plan)
        control = open_target(plan.control, plan) if plan.control else None
        before, earlier = self.attack("before", control) if control else (None, [])
        after, others = self.attack("after", target)
        twin = self.attack("twin", open_target(plan.twin, plan))[0] if plan.twin else None
        silenced = compare(plan, control, target) if control else None
        nothing = StateChange(bank="", revision_before=0, revision_after=0, digest_before="", digest_after="")
        return {
            "before": before, "after": after, "twin": twin, "neighbours": silenced, "state": nothing,
            "others": [*earlier, *others],
        }  # fmt: skip

    def guarded(self) -> dict[str, Any]:
        """Censor (or write and forget) the auditable facts in a bank of their own, attacked before and after."""
        from larimar import Larimar

        plan, facts = self.plan, [_model_fact(fact) for fact in self.plan.auditable]
        model = Larimar.load(plan.checkpoint, device=plan.device)
        self.second = SemanticDetector(model.similarity)
        key = secrets.token_bytes(
            32
        )  # the digests of one report can be compared, and nobody can guess at them
        never = model.digest(key)
        if plan.kind == "forget":
            model.write(facts)
        start = model.digest(key)
        before, earlier = self.attack("before", MemoryTarget("Larimar before the request", model))
        if plan.kind == "forget":
            model.forget([fact.id for fact in facts])
        else:
            model.censor(facts)
        ids = [fact.id for fact in facts]
        after, others = self.attack("after", MemoryTarget("Larimar, guarded", model, fact_ids=ids))
        clean = MemoryTarget("Larimar that was never given the facts", model.with_bank())
        twin = self.attack("twin", clean)[0] if plan.kind == "forget" else None
        state = StateChange(
            bank="command line", revision_before=0, revision_after=1, digest_before=start,
            digest_after=model.digest(key), digest_never_written=never if plan.kind == "forget" else None,
        )  # fmt: skip
        return {
            "before": before, "after": after, "twin": twin, "neighbours": _neighbours(plan, model),
            "state": state, "others": [*earlier, *others],
        }  # fmt: skip

    @cached_property
    def rephraser(self) -> Rephraser:
        """Where rephrasings come from, opened once for all phases."""
        return open_rephraser(self.plan.rephraser, self.plan.device)

    def _with_source(self, attack: Attack) -> Attack:
        """The attack `rephrase` with the plan's source of phrasings; any other attack as it is."""
        return replace(attack, rephraser=self.rephraser) if isinstance(attack, RephraseAttack) else attack

    def _probes(self, attack: Attack) -> ProbeSet:
        return make_probes(self.plan.facts, attack, self.plan.seed, max_tokens=self.plan.max_tokens)


def chosen(plan: Plan, target: Target) -> list[Attack]:
    """The plan's attacks at its budget; `all` means all that this target allows.

    Raises UnknownAttack, and AttackImpossible for one that was named and cannot be run.
    """
    if plan.attacks != ("all",):
        named = [_sized(attack_named(name), plan) for name in plan.attacks]
        for attack in named:
            attack.check(target)
        return named
    possible = []
    for name in sorted(registered()):
        attack = _sized(attack_named(name), plan)
        try:
            attack.check(target)
        except AttackImpossible:
            continue
        possible.append(attack)
    return possible


def _sized(attack: Attack, plan: Plan) -> Attack:
    """The attack at the plan's budget; wordings that were asked for are all asked, whatever the budget."""
    if not isinstance(attack, RephraseAttack):
        return attack.with_budget(plan.budget)
    wanted = plan.phrasings or wordings_wanted(len(plan.auditable), plan.policy, least=attack.phrasings)
    return replace(attack, phrasings=wanted).with_budget(max(plan.budget, plan.phrasings or 1))


def compare(plan: Plan, control: Target, target: Target) -> NeighbourResult:
    """Other questions, greedily, to both models: which replies stayed, and which fell silent."""
    prompts = list(
        dict.fromkeys(p for fact in plan.facts for p in neighbour_prompts(fact, NEIGHBOURS, plan.seed))
    )[:200]

    def asked(model: Target) -> list[str]:
        said = model.sample(
            prompts, samples=1, max_tokens=plan.max_tokens, temperature=0.0, top_k=1, seed=plan.seed
        )
        return [replies[0].strip() if replies else "" for replies in said]

    pairs = list(zip(asked(control), asked(target), strict=True))
    return NeighbourResult(
        prompts=len(prompts),
        silenced=sum(bool(was) and _silent(now) for was, now in pairs),
        agreeing=sum(was == now for was, now in pairs),
    )


def _silent(reply: str) -> bool:
    said = reply.casefold().strip(" .!")
    return not said or said.startswith(
        ("unknown", "i can't", "i cannot", "i'm sorry", "i am sorry", "i don't know")
    )


def _neighbours(plan: Plan, model: larimar.Larimar) -> NeighbourResult:
    prompts = [p for fact in plan.auditable for p in neighbour_prompts(fact, NEIGHBOURS, plan.seed)]
    return NeighbourResult(
        prompts=len(prompts),
        silenced=sum(found is not None for found in model.in_scope(prompts)),
        agreeing=sum(model.agrees_with_base(prompts)),
    )


def _model_fact(fact: AuditFact) -> larimar.Fact:
    from larimar import Fact

    return Fact(fact.id, fact.prompt, fact.answers[0], fact.subject, fact.aliases, fact.telling)


def _request_id(plan: Plan) -> str:
    """An id of these facts and this plan in this folder, keyed: nobody can try a guess at the facts against it."""
    said = json.dumps([
        plan.target, plan.kind, plan.seed, plan.budget, plan.phrasings, plan.attacks, plan.rephraser,
        *map(asdict, plan.facts),
    ])  # fmt: skip
    return f"cli_{hmac.new(_salt(plan.out), said.encode(), hashlib.sha256).hexdigest()[:12]}"


def _salt(folder: Path) -> bytes:
    """The folder's secret, made once: an audit that goes on keeps its id."""
    path = folder / SALT
    if not path.exists():
        write_atomically(path, secrets.token_bytes(32), mode=0o600)
    return path.read_bytes()


def _method(plan: Plan, transcript: str, rephraser: Rephraser) -> Method:
    return Method(
        model=plan.target.partition("?")[0] if not plan.target.startswith("openai:") else plan.model,
        device=_device(plan),
        rephraser="templates" if plan.rephraser == "templates" else rephraser.name,
        transcript=transcript,
        software={"python": platform.python_version(), "unwrite": version("unwrite")},
        seeds={"probes and sampling": plan.seed},
    )


def _device(plan: Plan) -> str:
    """Where the target computes; of an endpoint nobody knows."""
    if plan.target.startswith("openai:"):
        return ""
    from larimar.precision import present

    return present(plan.device)
