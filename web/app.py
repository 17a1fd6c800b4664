"""The application factory: settings in, a WSGI application out.

create_app(Settings())                      # what `unwrite serve` and gunicorn use
create_app(settings, database=…, wake=…)    # what the tests use
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from apiflask import APIFlask
from flask_login import current_user
from werkzeug.middleware.proxy_fix import ProxyFix

from store.database import Database
from store.vault import Vault
from unwrite.broker import make_celery, send_wake
from unwrite.settings import Settings
from web import identity, logs, once, openapi, problems, security, wording
from web.api import api
from web.context import Services, Wake, send_wakes
from web.pages import pages
from web.system import system

API_VERSION = "1.0.0"
NAVIGATION = (
    ("pages.queue", "Requests", "requests:read"),
    ("pages.fact_list", "Facts", "facts:read"),
    ("pages.recheck_list", "Re-checks", "requests:read"),
    ("pages.account", "Account", ""),
)


def create_app(settings: Settings, *, database: Database | None = None, wake: Wake | None = None) -> APIFlask:
    """Build the application. It neither migrates the database nor loads a model."""
    app = APIFlask(
        "web",
        title="Unwrite",
        version=API_VERSION,
        spec_path="/openapi.json",
        docs_path=None,
        openapi_blueprint_url_prefix="/api",
    )
    master_key = settings.master_key()
    app.extensions["unwrite"] = Services(
        settings=settings,
        database=database or Database(settings.resolved_database_url()),
        vault=Vault(master_key),
        wake=wake or _celery_wake(settings),
    )
    security.configure(app, master_key, settings.broker_url)
    identity.configure(app)
    logs.configure(app)
    problems.register(app)
    openapi.configure(app)
    _register_routes(app)
    _register_templates(app, settings)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _register_routes(app: APIFlask) -> None:
    security.csrf.exempt(api)  # the API takes Bearer tokens, which no other site can send
    app.register_blueprint(api)
    app.register_blueprint(system)
    app.register_blueprint(openapi.docs)
    app.register_blueprint(pages)
    app.after_request(send_wakes)


def _register_templates(app: APIFlask, settings: Settings) -> None:
    filters: dict[str, Any] = {
        "due": wording.due,
        "state_label": wording.state_label,
        "verdict_label": wording.verdict_label,
        "fact_label": wording.fact_label,
        "kind": lambda kind: wording.KINDS.get(kind, kind),
        "regulation": lambda name: wording.REGULATIONS.get(name, name),
        "plural": wording.plural,
        "day": wording.day,
        "minute": wording.minute,
        "iso": wording.iso,
        "step_text": wording.step_text,
        "progress_text": wording.progress_text,
    }
    app.jinja_env.filters.update(filters)
    app.jinja_env.globals["one_time_key"] = once.new_key
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def shared() -> dict[str, Any]:
        return {
            "csp_nonce": security.csp_nonce,
            "can": lambda scope: bool(current_user.is_authenticated) and identity.caller().can(scope),
            "navigation": _navigation,
            "page_detail": problems.page_detail,
            "request_id": problems.request_id,
            "version": _package_version(),
            "bank_name": settings.bank,
            "section": "",
        }


def _navigation() -> list[tuple[str, str]]:
    """The entries of the bar that this caller may open."""
    who = identity.caller()
    return [(endpoint, label) for endpoint, label, scope in NAVIGATION if not scope or who.can(scope)]


def _celery_wake(settings: Settings) -> Wake:
    celery = make_celery(settings)
    return lambda job_id, queue: send_wake(celery, job_id, queue)


def _package_version() -> str:
    try:
        return version("unwrite")
    except PackageNotFoundError:
        return "development"
