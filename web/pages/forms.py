"""The forms, and how the store's refusals find their way back to the field that caused them.

Flask-WTF gives CSRF and keeps what was typed; the store is the judge of texts, so that the API and the
pages agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import (
    FieldList,
    Form,
    FormField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Regexp

from store.errors import (
    AnswerRequired,
    DuplicateFact,
    FactNotWritten,
    InvalidInput,
    PositionsError,
    StoreError,
)
from store.texts import FactText
from web.wording import KINDS, REGULATIONS

BY_CODE: Mapping[str, tuple[str, str]] = {
    AnswerRequired.code: (
        "answer",
        "Give the answer; without it nobody can check whether the model tells it.",
    ),
    FactNotWritten.code: ("prompt", "The memory holds no fact with exactly this prompt and answer."),
    DuplicateFact.code: ("prompt", "This fact is listed twice, or it is there already."),
}
_NUMBER = re.compile(r"[0-9]{1,9}")
_ROW = re.compile(r"facts-[0-9]{1,9}-")
TOKEN_LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "0": "No expiry"}


def whole_number(text: str) -> int | None:
    """What a field of at most nine ASCII digits says; None for everything else, which `int` may refuse."""
    return int(text) if _NUMBER.fullmatch(text) else None


def choices_of(labels: Mapping[str, str]) -> list[SelectChoice]:
    """The options of a select or radio field, from value and label."""
    return [SelectChoice(value, label) for value, label in labels.items()]


class LoginForm(FlaskForm):  # type: ignore[misc]
    """Sign-in."""

    email = StringField("E-mail", [InputRequired("Give your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Give your password.")])


class FactForm(Form):  # type: ignore[misc]
    """One fact; a row of the forms below."""

    prompt = StringField("Prompt", [InputRequired("Give the prompt.")])
    answer = StringField("Answer", [InputRequired("Give the answer.")])
    subject = StringField("Subject")
    aliases = StringField("Other names of the subject")

    def text(self) -> FactText:
        """The fact as the store takes it."""
        names = tuple(name.strip() for name in (self.aliases.data or "").split(",") if name.strip())
        return FactText(self.prompt.data or "", self.answer.data or "", self.subject.data or "", names)


class FactsForm(FlaskForm):  # type: ignore[misc]
    """Facts to be written into the memory."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """Fields of rows whose number WTForms could not read, such as `facts-²-prompt`, are left out."""

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """What was sent, without those."""
            sent = super().wrap_formdata(form, formdata)
            if sent is None:
                return None
            fields = sent.items(multi=True)
            return MultiDict(
                (name, value) for name, value in fields if _ROW.match(name) or not name.startswith("facts")
            )

    facts = FieldList(FormField(FactForm), min_entries=1)

    def texts(self) -> list[FactText]:
        """All facts of the form."""
        return [entry.form.text() for entry in self.facts.entries]


class RequestForm(FactsForm):
    """A forget or censor order."""

    kind = RadioField("Kind", choices=choices_of(KINDS), default="forget")
    regulation = SelectField("Law", choices=choices_of(REGULATIONS), default="gdpr")
    reference = StringField(
        "Reference",
        [
            Length(max=64, message="A reference has at most 64 characters."),
            Regexp(r"^[A-Za-z0-9._-]*$", message="Use letters, digits, dots, dashes and underscores only."),
        ],
    )


class RecheckForm(FlaskForm):  # type: ignore[misc]
    """How often an audit runs again; the list page also asks for which request."""

    request_id = SelectField("Request", choices=[], validate_choice=False)
    every_days = IntegerField(
        "Every how many days",
        [InputRequired("Give a number of days."), NumberRange(1, 366, "Give a number between 1 and 366.")],
        default=30,
    )


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A new API token."""

    name = StringField("Name", [InputRequired("Give the token a name."), Length(max=100)])
    scopes = SelectMultipleField("Rights", choices=[], validate_choice=False)
    days = SelectField("Expires after", choices=choices_of(TOKEN_LIFETIMES), default="90")


def edit_rows(form: FactsForm, most: int) -> FactsForm | None:
    """The form with a row more or a row less, if one of those buttons was pressed; else None."""
    pressed = request.form.get("remove_fact", "")
    if "add_fact" not in request.form and not pressed:
        return None
    data: dict[str, Any] = form.data
    rows: list[dict[str, Any]] = list(data["facts"])
    removed = whole_number(pressed)
    if removed is not None and removed < len(rows) and len(rows) > 1:
        del rows[removed]
    elif not pressed and len(rows) < most:
        rows.append({})
    data["facts"] = rows
    return type(form)(formdata=None, data=data)


def blame(form: FactsForm, error: StoreError) -> list[tuple[str, str]]:
    """Put a store's refusal on the fields it is about; what has no field is returned for the summary."""
    entries = form.facts.entries
    if isinstance(error, PositionsError) and error.code in BY_CODE:
        name, sentence = BY_CODE[error.code]
        for position in error.positions:
            _add(entries[position].form[name], sentence)
        return []
    if isinstance(error, InvalidInput) and error.position is not None and error.field in FactForm().data:
        _add(entries[error.position].form[error.field], str(error))
        return []
    if isinstance(error, InvalidInput) and error.field in form:
        _add(form[error.field], str(error))
        return []
    return [("", str(error))]


def problems_of(form: FlaskForm) -> list[tuple[str, str]]:
    """(field id, sentence) for everything that is wrong, top to bottom, for the summary above the form."""
    found: list[tuple[str, str]] = []
    for field in form:
        if isinstance(field, FieldList):
            for number, entry in enumerate(field.entries, start=1):
                found += [
                    (part.id, f"Fact {number}: {error}") for part in entry.form for error in part.errors
                ]
        elif field.name != "csrf_token":
            found += [(field.id, str(error)) for error in field.errors]
    return found


def _add(field: Any, sentence: str) -> None:
    field.errors = [*field.errors, sentence]
