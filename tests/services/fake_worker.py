"""A worker process like `unwrite work`, with the dictionary of tests/workers/fakes.py as its model.

python -m tests.services.fake_worker [seconds each generation takes]
"""

import sys
import time
from types import ModuleType
from typing import Any

from tests.workers import fakes
from unwrite import logs
from unwrite.settings import Settings
from workers.process import run_worker


class Patch:
    """The one method of pytest's monkeypatch that `fakes.install` needs."""

    @staticmethod
    def setitem(mapping: dict[str, Any], name: str, value: ModuleType) -> None:
        mapping[name] = value


if __name__ == "__main__":
    fakes.install(Patch)
    pause_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    fakes.FakeLarimar.on_generate = lambda: time.sleep(pause_s)
    logs.configure()
    raise SystemExit(run_worker(Settings()))
