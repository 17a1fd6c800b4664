"""The people who work with Unwrite: accounts, passwords (argon2id), browser sessions, API tokens, roles and
scopes.

Only SHA-256 of session and token secrets is stored: the secrets have 256 random bits. Looking up whom a secret
speaks for (`session_user`, `token_user`) only reads; `touch_session` and `touch_token` note the use.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from store import clocks, events
from store.database import changed, insert_or_ignore
from store.errors import EmailTaken, InvalidInput, UnknownUser
from store.ids import new_id
from store.models import ApiToken, User, UserSession

TOKEN_PREFIX = "unw_"
SESSION_LIFETIME = timedelta(hours=12)  # after the last use
SESSION_CAP = timedelta(days=7)  # after the sign-in, however often it is used
MAX_FAILURES = 10
LOCK_FOR = timedelta(minutes=15)
MIN_PASSWORD_CHARS = 10
SCOPES = (
    "requests:write",
    "requests:read",
    "requests:decide",
    "facts:write",
    "facts:read",
    "reports:read",
    "admin",  # everything: a token that has it has all of these
)
ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "requester": frozenset({"requests:write", "requests:read", "reports:read"}),
        "reviewer": frozenset(SCOPES) - {"admin"},
        "auditor": frozenset({"requests:read", "facts:read", "reports:read"}),
        "admin": frozenset(SCOPES),
    }
)
_TOUCH_TOKEN_EVERY = timedelta(minutes=1)
_TOUCH_SESSION_EVERY = timedelta(minutes=5)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")
_hasher = PasswordHasher()


@dataclass(frozen=True)
class TokenIdentity:
    """Who a token speaks for, and what it may do (its scopes that the user's role still permits)."""

    user: User
    token_id: str
    scopes: frozenset[str]
    touch_due: bool = False


def permits(role: str, scope: str) -> bool:
    """Whether the role holds the scope."""
    return scope in ROLES.get(role, frozenset())


def create_user(
    session: Session, email: str, name: str, role: str, password: str, *, actor: str = "cli"
) -> User:
    """A new account; `InvalidInput` names the field, `EmailTaken`."""
    address = _clean_email(email)
    _check_role(role)
    if not 1 <= len(name.strip()) <= 200:
        raise InvalidInput("A name has 1 to 200 characters.", field="name")
    user_id = new_id("usr")
    made = insert_or_ignore(
        session,
        User,
        id=user_id,
        email=address,
        name=name.strip(),
        role=role,
        password_hash=_hash_password(password),
        active=True,
        failed_attempts=0,
        created_at=clocks.now(),
    )
    if not made:
        raise EmailTaken("An account with this e-mail address exists already.")
    events.append(session, "user.created", actor=actor, body={"user": user_id, "role": role})
    return session.get_one(User, user_id)


def get_user(session: Session, user_id: str) -> User:
    """The user; `UnknownUser`."""
    user = session.get(User, user_id)
    if user is None:
        raise UnknownUser("There is no user with this id.")
    return user


def user_by_email(session: Session, email: str) -> User | None:
    """The user with this address, or None."""
    return session.scalars(sa.select(User).where(User.email == email.strip().lower())).one_or_none()


def list_users(session: Session) -> list[User]:
    """All users by address."""
    return list(session.scalars(sa.select(User).order_by(User.email)))


def check_password(session: Session, email: str, password: str) -> User | None:
    """The user, or None for a wrong password, an unknown, locked or inactive account: one answer for all.

    Counts failures in the database, so let the transaction commit also when the answer is None. Ten failures
    lock the account for 15 minutes.
    """
    query = sa.select(User).where(User.email == email.strip().lower()).with_for_update(key_share=True)
    user = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if user is None:
        _matches(_DUMMY_HASH, password)  # as slow as for a known address
        return None
    right = _matches(user.password_hash, password)
    at = clocks.now()
    if not user.active or (user.locked_until is not None and user.locked_until > at):
        return None
    if not right:
        _count_failure(session, user, at)
        return None
    user.failed_attempts, user.locked_until = 0, None
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    session.flush()
    return user


def set_password(session: Session, user_id: str, password: str, *, actor: str) -> None:
    """Change a password and end all of the user's browser sessions."""
    user = get_user(session, user_id)
    user.password_hash, user.failed_attempts, user.locked_until = _hash_password(password), 0, None
    session.execute(sa.delete(UserSession).where(UserSession.user_id == user_id))
    events.append(session, "user.password_changed", actor=actor, body={"user": user_id})


def set_active(session: Session, user_id: str, active: bool, *, actor: str) -> None:
    """Switch an account off, which ends its browser sessions and revokes its tokens for good, or on again."""
    get_user(session, user_id).active = active
    if not active:
        session.execute(sa.delete(UserSession).where(UserSession.user_id == user_id))
        for token in tokens_of(session, user_id):
            revoke_token(session, token.id, actor=actor)
    events.append(session, "user.active", actor=actor, body={"user": user_id, "active": active})


def open_session(session: Session, user: User) -> str:
    """Log in: the secret for the cookie, returned once. It ends `SESSION_LIFETIME` after its last use."""
    secret, at = secrets.token_urlsafe(32), clocks.now()
    ends = at + SESSION_LIFETIME
    session.add(
        UserSession(id_hash=_digest(secret), user_id=user.id, created_at=at, expires_at=ends, last_seen_at=at)
    )
    session.flush()
    return secret


def session_user(session: Session, secret: str) -> User | None:
    """Whose browser session this is, or None if it is unknown, ended, expired or of an inactive user."""
    row = session.get(UserSession, _digest(secret))
    at = clocks.now()
    if row is None or row.expires_at <= at:
        return None
    user = session.get(User, row.user_id)
    if user is None or not user.active:
        return None
    return user


def session_touch_due(session: Session, secret: str) -> bool:
    """Whether it is time to note that this browser session is in use."""
    row = session.get(UserSession, _digest(secret))
    return row is not None and clocks.now() - row.last_seen_at > _TOUCH_SESSION_EVERY


def touch_session(session: Session, secret: str) -> None:
    """Note that a browser session is in use, so that it ends later, `SESSION_CAP` after the sign-in at the latest.

    Skipped while another transaction holds it; one that has ended stays so.
    """
    query = sa.select(UserSession).where(UserSession.id_hash == _digest(secret))
    row = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
    at = clocks.now()
    if row is not None and row.expires_at > at:
        row.last_seen_at, row.expires_at = at, min(at + SESSION_LIFETIME, row.created_at + SESSION_CAP)


def close_session(session: Session, secret: str) -> None:
    """Log out."""
    changed(session, sa.delete(UserSession).where(UserSession.id_hash == _digest(secret)))


def purge_sessions(session: Session, now: datetime) -> int:
    """Drop expired browser sessions; returns how many."""
    return changed(session, sa.delete(UserSession).where(UserSession.expires_at <= now))


def create_token(
    session: Session, user: User, name: str, scopes: Iterable[str], expires: datetime | None
) -> tuple[ApiToken, str]:
    """A new API token and its secret, which is shown this once. Scopes beyond the user's role are refused."""
    wanted = sorted(set(scopes))
    if not wanted or not all(permits(user.role, scope) for scope in wanted):
        raise InvalidInput("A token needs scopes, and only such as the user's role holds.", field="scopes")
    if not 1 <= len(name.strip()) <= 100:
        raise InvalidInput("A token's name has 1 to 100 characters.", field="name")
    if expires is not None and expires <= clocks.now():
        raise InvalidInput("A token's expiry lies in the future.", field="expires_at")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        id=new_id("tok"),
        user_id=user.id,
        name=name.strip(),
        token_hash=_digest(secret),
        scopes=wanted,
        expires_at=expires,
        created_at=clocks.now(),
    )
    session.add(token)
    session.flush()
    events.append(session, "token.created", actor=user.id, body={"token": token.id})
    return token, secret


def token_user(session: Session, secret: str) -> TokenIdentity | None:
    """Who this token speaks for, or None if it is unknown, revoked, expired or of an inactive user."""
    token = session.scalars(sa.select(ApiToken).where(ApiToken.token_hash == _digest(secret))).one_or_none()
    at = clocks.now()
    if (
        token is None
        or token.revoked_at is not None
        or (token.expires_at is not None and token.expires_at <= at)
    ):
        return None
    user = session.get(User, token.user_id)
    if user is None or not user.active:
        return None
    given = SCOPES if "admin" in token.scopes else token.scopes
    scopes = frozenset(scope for scope in given if permits(user.role, scope))
    touch_due = token.last_used_at is None or at - token.last_used_at > _TOUCH_TOKEN_EVERY
    return TokenIdentity(user, token.id, scopes, touch_due)


def touch_token(session: Session, token_id: str) -> None:
    """Note that a token was used now; skipped while another transaction holds it, such as one that revokes it."""
    query = sa.select(ApiToken).where(ApiToken.id == token_id).with_for_update(skip_locked=True)
    token = session.scalars(query).one_or_none()
    if token is not None:
        token.last_used_at = clocks.now()


def tokens_of(session: Session, user_id: str) -> list[ApiToken]:
    """A user's tokens, newest first, without secrets."""
    query = sa.select(ApiToken).where(ApiToken.user_id == user_id)
    return list(session.scalars(query.order_by(ApiToken.created_at.desc(), ApiToken.id)))


def revoke_token(session: Session, token_id: str, *, actor: str, user_id: str | None = None) -> bool:
    """Revoke a token (of `user_id` only, if given); False if there was nothing to revoke."""
    token = sa.update(ApiToken).where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None))
    if user_id is not None:
        token = token.where(ApiToken.user_id == user_id)
    if changed(session, token.values(revoked_at=clocks.now())) != 1:
        return False
    events.append(session, "token.revoked", actor=actor, body={"token": token_id})
    return True


def _count_failure(session: Session, user: User, at: datetime) -> None:
    user.failed_attempts += 1
    if user.failed_attempts >= MAX_FAILURES:
        user.failed_attempts, user.locked_until = 0, at + LOCK_FOR
        events.append(session, "user.locked", actor="system", body={"user": user.id})
    session.flush()


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _hash_password(password: str) -> str:
    if not MIN_PASSWORD_CHARS <= len(password) <= 1000:
        raise InvalidInput(f"A password has at least {MIN_PASSWORD_CHARS} characters.", field="password")
    return _hasher.hash(password)


def _clean_email(email: str) -> str:
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise InvalidInput("This is not an e-mail address.", field="email")
    return address


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InvalidInput(f"A role is one of: {', '.join(ROLES)}.", field="role")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(16))
