"""An OpenAI-compatible endpoint as a target: any server that completes chats or texts over HTTP.

The key is read from the environment when it is needed and goes into one header, nowhere else: it is in no
message, no log line and no repr. Neither are user and password where the URL holds them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from audit.errors import AuditError

PARALLEL = 4
RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
_ADVICE = {
    401: "the key was refused; set it in the environment variable {key}",
    403: "the key may not use this model; set another in {key}",
    404: "there is no such address or model there; check the URL and --model",
}


class EndpointError(AuditError):
    """The endpoint cannot be used; the message says why. What was sampled before is kept."""


@dataclass(frozen=True)
class EndpointTarget:
    """`url`: the base (…/v1), or the whole address when it ends in /completions. Texts go to plain completions."""

    url: str = field(repr=False)
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout_s: float = 60.0
    tries: int = 5
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)
    name: str = field(init=False)
    """the model and the host, without user, password or query of the URL"""
    own_top_k: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what is not an address. Raises EndpointError."""
        host = _host(self.url)
        if not self.model:
            raise EndpointError("say which model the endpoint shall run: --model NAME")
        object.__setattr__(self, "name", f"{self.model} at {host}")

    @property
    def _address(self) -> str:
        return self.url if self.url.endswith("/completions") else f"{self.url.rstrip('/')}/chat/completions"

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """See `audit.target.Target`; `top_k` is not part of this protocol. Raises EndpointError."""
        about = {"model": self.model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        with httpx.Client(timeout=self.timeout_s) as client, ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(lambda prompt: self._complete(client, prompt, samples, about), prompts))

    def _complete(
        self, client: httpx.Client, prompt: str, samples: int, about: Mapping[str, Any]
    ) -> list[str]:
        """`samples` completions of one prompt; servers that give fewer at a time are asked again."""
        chat = self._address.endswith("/chat/completions")
        asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        found: list[str] = []
        while len(found) < samples:
            body = {**about, **asked, "n": samples - len(found), "seed": about["seed"] + len(found)}
            said = _texts(self._post(client, body), chat)
            if not said:
                raise EndpointError(f"{self.name} answered without a single completion")
            found += said
        return found[:samples]

    def _post(self, client: httpx.Client, body: Mapping[str, Any]) -> Any:
        """The decoded answer; busy servers and broken connections are tried again, ever more slowly."""
        problem = ""
        for attempt in range(self.tries):
            pause = 0.5 * 2**attempt
            try:
                answer = client.post(self._address, json=body, headers=self._headers())
            except httpx.HTTPError as error:
                problem = f"cannot be reached ({type(error).__name__})"
            else:
                if answer.status_code == 200:
                    return _decoded(answer, self.name)
                advice = _ADVICE.get(answer.status_code, "").format(key=self.key_variable)
                problem = f"answered with status {answer.status_code}{': ' + advice if advice else ''}"
                if answer.status_code not in RETRIED:
                    break
                pause = _asked_pause(answer, pause)
            if attempt + 1 < self.tries:
                self.wait(min(pause, 60.0))
        raise EndpointError(f"{self.name} {problem}; samples so far are kept, run the same command again")

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.key_variable, "")
        return {"Authorization": f"Bearer {key}"} if key else {}


def _host(url: str) -> str:
    """Host and port of an address that can be asked. Raises EndpointError, which does not repeat it."""
    try:
        parts = httpx.URL(url)
        host, port = parts.host, parts.port
        host.encode("idna")  # as a look-up of the name will
    except (httpx.InvalidURL, ValueError):
        raise EndpointError("the endpoint's URL cannot be read; look at its host and its port") from None
    if parts.scheme not in ("http", "https") or not host:
        raise EndpointError("the endpoint's URL must begin with http:// or https:// and name a host")
    if port is not None and not 0 < port < 65536:
        raise EndpointError("the port of the endpoint's URL must lie between 1 and 65535")
    return f"{host}:{port}" if port else host


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    """Seconds that the server asks for."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "")))
    except ValueError:
        return otherwise


def _decoded(answer: httpx.Response, name: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise EndpointError(f"{name} did not answer in JSON; is this an OpenAI-compatible address?") from None


def _texts(answer: Any, chat: bool) -> list[str]:
    """The completions of an answer; a refused or empty one is the empty text."""
    try:
        choices = answer["choices"]
        return [str((one["message"]["content"] if chat else one["text"]) or "") for one in choices]
    except (KeyError, TypeError, IndexError):
        raise EndpointError(
            "the endpoint's answer has no choices; is this an OpenAI-compatible address?"
        ) from None
