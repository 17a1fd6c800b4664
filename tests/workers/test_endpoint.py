"""An OpenAI-compatible endpoint, played by a small local server: retries, clear errors, a key that stays secret."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workers.endpoint import EndpointError, EndpointTarget

SAMPLING: dict[str, Any] = {"samples": 3, "max_tokens": 8, "temperature": 0.7, "top_k": 50, "seed": 5}
KEY = "sk-very-secret-123"


class Server:
    """Answers by a list of scripts (status, headers, body), then by `reply`; keeps what it was asked."""

    def __init__(self) -> None:
        self.scripts: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: {
            "choices": [{"message": {"content": f" word {body['seed']} {i}"}} for i in range(body["n"])]
        }
        server, self._lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.asked.append((self.path, dict(self.headers), body))
                    script = server.scripts.pop(0) if server.scripts else None
                status, headers, data = script or (200, {}, json.dumps(server.reply(body)).encode())
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def target(server: Server, **more: Any) -> EndpointTarget:
    return EndpointTarget(server.url, "small-model", **({"wait": lambda seconds: None} | more))


def test_prompts_go_as_chats_and_come_back_in_order(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda body: {
        "choices": [{"message": {"content": body["messages"][0]["content"].upper()}}] * body["n"]
    }
    assert target(server).sample(["a b", "c d"], **SAMPLING) == [["A B"] * 3, ["C D"] * 3]
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["max_tokens"], body["temperature"], body["n"]) == ("small-model", 8, 0.7, 3)


def test_a_text_endpoint_gets_plain_prompts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.reply = lambda body: {"choices": [{"text": body["prompt"] + "!"}] * body["n"]}
    plain = EndpointTarget(server.url + "/completions", "m")
    assert plain.sample(["x"], **SAMPLING) == [["x!"] * 3]
    assert "Authorization" not in server.asked[0][1]


def test_a_server_that_gives_one_at_a_time_is_asked_again_with_other_seeds(server: Server) -> None:
    server.reply = lambda body: {"choices": [{"message": {"content": f"seed {body['seed']}"}}]}
    assert target(server).sample(["x"], **SAMPLING) == [["seed 5", "seed 6", "seed 7"]]


def test_a_busy_server_is_tried_again_after_as_long_as_it_asks(server: Server) -> None:
    waits: list[float] = []
    server.scripts = [(429, {"Retry-After": "7"}, b""), (503, {}, b"")]
    assert target(server, wait=waits.append).sample(["x"], **SAMPLING)[0]
    assert waits == [7.0, 1.0]


@pytest.mark.parametrize(
    ("status", "words", "calls"),
    [(401, "OPENAI_API_KEY", 1), (404, "--model", 1), (500, "status 500", 5), (418, "status 418", 1)],
)
def test_errors_say_what_to_do(server: Server, status: int, words: str, calls: int) -> None:
    server.scripts = [(status, {}, b"secret body")] * 9
    with pytest.raises(EndpointError, match=words) as caught:
        target(server).sample(["x"], **SAMPLING)
    assert len(server.asked) == calls
    assert "secret body" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": [{}]}', b"[1]", b'{"choices": []}'])
def test_answers_that_are_not_of_this_protocol_are_refused(server: Server, body: bytes) -> None:
    server.scripts = [(200, {}, body)]
    with pytest.raises(EndpointError, match=r"OpenAI-compatible|single completion"):
        target(server).sample(["x"], **SAMPLING)


def test_a_refused_answer_is_the_empty_text(server: Server) -> None:
    server.reply = lambda body: {"choices": [{"message": {"content": None}}] * body["n"]}
    assert target(server).sample(["x"], **SAMPLING) == [[""] * 3]


def test_nobody_there_and_a_server_that_hangs(server: Server) -> None:
    gone = EndpointTarget("http://127.0.0.1:1/v1", "m", tries=2, wait=lambda seconds: None)
    with pytest.raises(EndpointError, match=r"cannot be reached \(ConnectError\)"):
        gone.sample(["x"], **SAMPLING)
    block = threading.Event()
    server.reply = lambda body: block.wait(5)
    with pytest.raises(EndpointError, match="Timeout"):
        target(server, timeout_s=0.05, tries=1).sample(["x"], **SAMPLING)
    block.set()


def test_the_key_is_in_no_name_repr_error_or_log_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.scripts = [(503, {}, b""), (401, {}, KEY.encode())]
    with pytest.raises(EndpointError) as caught:
        target(server).sample(["x"], **SAMPLING)
    made = EndpointTarget(f"https://user:{KEY}@host.example/v1?key={KEY}", "m")
    assert made.name == "m at host.example"
    shown = (str(caught.value), repr(target(server)), repr(made), made.name, caplog.text)
    assert not any(KEY in text for text in shown)


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("localhost:80", "m"), ("ftp://x", "m"), ("http://", "m"), ("http://x", ""), ("http://h:99999/v1", "m"),
        ("http://h:0/v1", "m"), ("http://[::1/v1", "m"), ("http://h:port/v1", "m"), ("http://a..b/v1", "m"),
        ("http://xn--/v1", "m"), ("http://h/v1\n", "m"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_work_are_refused_at_once_and_not_repeated(url: str, model: str) -> None:
    with pytest.raises(EndpointError) as caught:
        EndpointTarget(url.replace("://", f"://user:{KEY}@"), model)
    assert KEY not in str(caught.value)


def test_hosts_with_and_without_a_port() -> None:
    urls = ("http://[::1]:8000/v1", "https://user:pw@Host.example/v1", "http://h:8000")
    assert [EndpointTarget(url, "m").name for url in urls] == [
        "m at ::1:8000",
        "m at host.example",
        "m at h:8000",
    ]
