"""docker-compose.yml says what the operator guide promises. (No Docker here: the files are read, not run.)"""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class Loader(yaml.SafeLoader):
    """YAML with Compose's own tag `!reset`, which removes a key of the file below."""


Loader.add_constructor("!reset", lambda loader, node: None)


def load(name: str) -> dict[str, Any]:
    content = yaml.load((ROOT / name).read_text(), Loader)
    assert isinstance(content, dict)
    return content


def test_all_roles_are_there_and_wait_for_the_migration() -> None:
    services = load("docker-compose.yml")["services"]
    assert set(services) == {"postgres", "redis", "migrate", "web", "worker", "beat"}
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_only_web_is_reachable_and_only_from_this_machine() -> None:
    services = load("docker-compose.yml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8765:8765"]}


def test_no_secret_is_written_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "POSTGRES_PASSWORD:?" in text
    assert load("docker-compose.yml")["secrets"] == {"master_key": {"file": "./secrets/master.key"}}


def test_worker_and_web_share_the_public_keys_and_cannot_change_them() -> None:
    services = load("docker-compose.yml")["services"]
    for name, mounted in (("web", ":ro"), ("worker", ":ro"), ("migrate", "")):
        assert f"keys:/data/keys{mounted}" in services[name]["volumes"]
        assert services[name]["environment"]["UNWRITE_SIGNING_KEYS"] == "/data/keys"


def test_private_keys_are_made_by_migrate_read_by_the_worker_and_unseen_by_web() -> None:
    services = load("docker-compose.yml")["services"]
    mounts = {
        name: [v for v in services[name]["volumes"] if "private-keys" in v]
        for name in ("web", "worker", "migrate")
    }
    assert mounts == {
        "web": [],
        "worker": ["private-keys:/data/private-keys:ro"],
        "migrate": ["private-keys:/data/private-keys"],
    }


def test_the_clock_sees_no_signing_keys() -> None:
    assert load("docker-compose.yml")["services"]["beat"]["volumes"] == []


def test_web_keeps_no_access_log() -> None:
    web = load("docker-compose.yml")["services"]["web"]
    assert not [word for word in web["command"] + web["entrypoint"] if "access-log" in word]


def test_every_role_reads_the_settings_file_and_what_compose_fixes_wins() -> None:
    """Compose prefers `environment` to `env_file`, so only what must not be set otherwise may stand there."""
    services = load("docker-compose.yml")["services"]
    fixed = {"DATABASE_URL", "BROKER_URL", "MASTER_KEY_FILE", "SIGNING_KEYS", "PRIVATE_KEYS"}
    for name, more in {"migrate": set(), "web": set(), "worker": {"DEVICE"}, "beat": set()}.items():
        assert services[name]["env_file"] == [{"path": "unwrite.env", "required": False}]
        assert set(services[name]["environment"]) == {f"UNWRITE_{setting}" for setting in fixed | more}


@pytest.mark.parametrize("ignored", [".gitignore", ".dockerignore"])
def test_settings_and_secrets_stay_out_of_the_repository_and_the_image(ignored: str) -> None:
    lines = {line.strip("/") for line in (ROOT / ignored).read_text().splitlines()}
    assert lines >= {"unwrite.env", ".env", "secrets"}


def test_the_worker_reserves_a_gpu_and_the_override_turns_it_off() -> None:
    worker = load("docker-compose.yml")["services"]["worker"]
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    override = load("docker-compose.cpu.yml")["services"]["worker"]
    assert override == {"environment": {"UNWRITE_DEVICE": "cpu"}, "deploy": None}


def test_every_command_of_the_compose_file_exists() -> None:
    from unwrite.cli import main

    services = load("docker-compose.yml")["services"]
    for name in ("migrate", "worker", "beat"):
        assert services[name]["command"][0] in main.commands
