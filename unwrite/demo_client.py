"""The demonstration's view of the API: HTTP with a token, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from audit.report import Report, validate

PER_CALL = 100


class DemoError(Exception):
    """The demonstration cannot go on; the message is for people."""


class Client:
    """One person's access to the API, by token. Use as a context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._http.close()

    def ready(self) -> bool:
        """Whether the server answers and its database is usable."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def write(self, facts: Sequence[Mapping[str, Any]]) -> list[str]:
        """Write facts to the memory; returns the ids of the jobs that do it."""
        portions = [facts[start : start + PER_CALL] for start in range(0, len(facts), PER_CALL)]
        answers = [self._post("/api/v1/facts", {"facts": list(portion)}) for portion in portions]
        return [answer["job"]["id"] for answer in answers if answer["job"] is not None]

    def submit(self, kind: str, facts: Sequence[Mapping[str, Any]]) -> str:
        """Submit a request; returns its id."""
        answer = self._post("/api/v1/requests", {"kind": kind, "facts": list(facts), "regulation": "gdpr"})
        return str(answer["id"])

    def approve(self, request_id: str) -> None:
        """Approve a request of somebody else."""
        self._post(f"/api/v1/requests/{request_id}/approve", None)

    def request(self, request_id: str) -> dict[str, Any]:
        """A request with its job and its reports."""
        return self._get(f"/api/v1/requests/{request_id}")

    def job(self, job_id: str) -> dict[str, Any]:
        """How far a job is."""
        return self._get(f"/api/v1/jobs/{job_id}")

    def states(self, wanted: Sequence[str]) -> dict[str, str]:
        """The states of these requests, read page by page."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = self._get("/api/v1/requests", {"limit": 200, **({"cursor": cursor} if cursor else {})})
            found |= {item["id"]: item["state"] for item in page["items"]}
            cursor = page["next_cursor"]
        return {request_id: found[request_id] for request_id in wanted}

    def report(self, request_id: str) -> Report | None:
        """The newest report of a request, checked against its own numbers."""
        reports = self.request(request_id)["reports"]
        if not reports:
            return None
        return validate(self._answer("GET", f"/api/v1/reports/{reports[0]['id']}.json").content)

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._answer("GET", path, params=query).json()
        return answer

    def _post(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._answer("POST", path, json=body).json()
        return answer

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise DemoError(f"The web server stopped answering ({type(error).__name__}).") from None
        if response.is_error:
            raise DemoError(
                f"{method} {path} was answered with {response.status_code}: {response.text[:300]}"
            )
        return response
