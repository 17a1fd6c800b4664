"""The bank's page (counts, revision, digest, facts without text) and the form that writes facts."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from store import facts, ledger
from store.clocks import now
from store.errors import InvalidInput, StoreError, UnknownBank
from store.models import Bank, Fact
from store.texts import FactText
from web import queries
from web.context import reading, services, wake_after_commit
from web.identity import page
from web.once import done_once
from web.pages import pages
from web.pages.forms import FactsForm, blame, edit_rows, problems_of
from web.submission import register
from web.wording import plural


@pages.get("/facts")
@page("facts:read")
def fact_list() -> ResponseReturnValue:
    """What the bank holds."""
    name = services().settings.bank
    with reading() as session:
        try:
            bank = ledger.bank(session, name)
        except UnknownBank:
            bank = Bank(id="", name=name, revision=0, digest="", updated_at=now())
        counts = queries.fact_counts(session, bank.id)
        write_job = queries.newest_write_job(session, bank.id)
        items: tuple[Fact, ...] = ()
        next_cursor = None
        if bank.id:
            try:
                found = facts.list_facts(session, name, cursor=request.args.get("cursor"))
            except InvalidInput:
                return redirect(url_for("pages.fact_list"))
            items, next_cursor = found.items, found.next_cursor
    return render_template(
        "facts.html",
        section="pages.fact_list",
        bank=bank,
        counts=counts,
        items=items,
        next_cursor=next_cursor,
        write_job=write_job,
    )


@pages.get("/facts/new")
@page("facts:write")
def new_facts() -> ResponseReturnValue:
    """The empty form."""
    return _form(FactsForm(formdata=None))


@pages.post("/facts/new")
@page("facts:write")
def write_facts() -> ResponseReturnValue:
    """Queue the facts for a worker, or add and remove rows."""
    form = FactsForm()
    edited = edit_rows(form, services().settings.max_facts_per_request)
    if edited is not None:
        return _form(edited)
    if not form.validate():
        return _form(form), 422
    texts = form.texts()
    try:
        place = done_once(lambda session: _register(session, texts))
    except StoreError as error:
        if error.status >= 500:
            raise
        return _form(form, tuple(blame(form, error))), error.status
    flash(f"{plural(len(texts), 'fact')} queued. A worker writes them into the memory.", "good")
    return redirect(place)


def _register(session: Session, texts: list[FactText]) -> str:
    _, job = register(session, texts)
    wake_after_commit(job)
    return url_for("pages.fact_list")


def _form(form: FactsForm, extra: tuple[tuple[str, str], ...] = ()) -> str:
    problems = [*problems_of(form), *extra]
    return render_template("facts_new.html", section="pages.fact_list", form=form, problems=problems)
