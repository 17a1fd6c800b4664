"""The broker: ids travel, atomically and once; a broker that is down never fails the caller."""

import json
import logging
import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from unwrite.broker import make_celery, send_wake
from unwrite.settings import Settings


def channel(settings: Settings) -> Any:
    return make_celery(settings).connection().channel()


def test_a_wake_carries_the_id_of_the_job_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    send_wake(make_celery(settings), "job_abc", "model")
    [path] = (tmp_path / "broker" / "messages").iterdir()
    message = json.loads(path.read_text())
    assert message["headers"]["task"] == "unwrite.run_job"
    assert message["headers"]["argsrepr"] == "['job_abc']"
    assert message["properties"]["delivery_info"]["routing_key"] == "model"


def test_messages_come_in_order_and_only_to_their_queue(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    app = make_celery(settings)
    for name in ("job_1", "job_2", "job_3"):
        send_wake(app, name, "default" if name == "job_2" else "model")
    reader = channel(settings)
    assert [reader._get("model")["headers"]["argsrepr"] for _ in range(2)] == ["['job_1']", "['job_3']"]
    with pytest.raises(Empty):
        reader._get("model")


def test_each_message_goes_to_exactly_one_of_many_readers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    writer = channel(settings)
    seen: list[int] = []
    all_written = threading.Event()

    def read() -> None:
        reader = channel(settings)
        while True:
            over = all_written.is_set()
            try:
                seen.append(reader._get("model")["number"])
            except Empty:
                if over:
                    return

    readers = [threading.Thread(target=read) for _ in range(4)]
    for thread in readers:
        thread.start()
    for number in range(100):
        writer._put("model", {"number": number})
    all_written.set()
    for thread in readers:
        thread.join()
    assert sorted(seen) == list(range(100))


def test_a_damaged_message_is_dropped_and_the_next_one_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    reader = channel(settings)
    folder = tmp_path / "broker" / "messages"
    (folder / "0-broken.model.msg").write_text('{"half": ')
    reader._put("model", {"number": 1})
    assert reader._get("model") == {"number": 1}
    assert list((tmp_path / "broker" / "taken").iterdir()) == []


def test_a_broker_that_is_down_does_not_fail_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    app = make_celery(Settings(broker_url="redis://127.0.0.1:1/0"))
    with caplog.at_level(logging.WARNING, "unwrite.broker"):
        send_wake(app, "job_abc", "model")
    assert "wake not sent" in caplog.text
