"""The JSON API under `/api/v1`: programs with tokens, OpenAPI 3.1 generated from these modules.

Each module holds the routes of one noun and registers them on `api`.
"""

from apiflask import APIBlueprint

from web.security import POST_LIMIT, limiter

api = APIBlueprint("api", __name__, url_prefix="/api/v1")
limiter.limit(POST_LIMIT, methods=["POST"])(api)

from web.api import facts, jobs, log, rechecks, reports, requests  # noqa: E402,F401 (they register their routes)
