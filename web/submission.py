"""From what a caller sent to what the store takes: fact texts, with the limits and holidays of the installation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sqlalchemy.orm import Session

from store import facts, requests
from store.models import Fact, Job, Request
from store.texts import FactText, Limits
from web.context import services
from web.identity import caller


class FactLike(Protocol):
    """The fields of a fact, wherever they came from."""

    prompt: str
    answer: str
    subject: str
    aliases: list[str]


def fact_texts(given: Iterable[FactLike]) -> list[FactText]:
    """The facts as the store takes them; it strips and checks them."""
    return [FactText(fact.prompt, fact.answer, fact.subject, tuple(fact.aliases)) for fact in given]


def limits() -> Limits:
    """How long and how many, from the settings."""
    settings = services().settings
    return Limits(
        max_fact_chars=settings.max_fact_chars, max_facts_per_request=settings.max_facts_per_request
    )


def submit(session: Session, submission: requests.Submission) -> Request:
    """Take a request of the caller in, by the installation's rules. Raises what `store.requests.submit` raises."""
    return requests.submit(
        session,
        services().vault,
        submission,
        actor=caller().user_id,
        limits=limits(),
        holidays=services().settings.holidays,
    )


def register(session: Session, texts: list[FactText]) -> tuple[list[Fact], Job]:
    """Queue facts of the caller for the memory, by the installation's rules.

    Raises what `store.facts.register` raises.
    """
    settings = services().settings
    return facts.register(
        session,
        services().vault,
        settings.bank,
        texts,
        actor=caller().user_id,
        limits=limits(),
        max_attempts=settings.max_attempts,
    )
