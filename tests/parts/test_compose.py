"""docker-compose.monitoring.yml and what belongs to it: safe, bounded, complete."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.real.processes import run

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.monitoring.yml"
COMPOSE = Path(sys.executable).with_name("docker-compose")
SERVICES = {"secrets", "docker-proxy", "monitor", "prometheus", "alertmanager", "grafana"}


def compose_config(tmp_path: Path, env_text: str = "", *files: Path) -> dict[str, Any]:
    """``files`` (the stack alone, where none is named) as compose reads them, with the .env ``env_text`` and nothing of our own environment."""
    env = tmp_path / ".env"
    env.write_text(env_text)
    command: list[str | Path] = [
        COMPOSE,
        *(part for file in files or (FILE,) for part in ("-f", file)),
        "--env-file",
        env,
        "config",
        "--format",
        "json",
    ]
    answer = run(command, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = compose_config(tmp_path)["services"]
    return found


def test_it_is_valid_without_any_env_file_and_named(tmp_path: Path) -> None:
    whole = compose_config(tmp_path)
    assert whole["name"] == "sermon-monitor"
    assert set(whole["services"]) == SERVICES
    assert "sermon-uploader" not in " ".join(whole["services"]), (
        "APP_CONTAINERS would match our own"
    )
    assert set(whole["volumes"]) == {"secrets", "state", "prometheus", "alertmanager", "grafana"}


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    published = {
        int(port["published"]): port.get("host_ip")
        for service in services.values()
        for port in service.get("ports", [])
    }
    theirs = (10980, 5001, 9090, 9093, 3000, 9100, 8080)
    assert published == dict.fromkeys(theirs, "127.0.0.1")
    assert all(service.get("network_mode") != "host" for service in services.values())


def test_another_host_has_only_the_exporter_on_an_address_that_is_named(tmp_path: Path) -> None:
    other = ROOT / "monitoring" / "docker-compose.exporter.yml"
    found = compose_config(tmp_path, "EXPORTER_ADDRESS=10.8.0.2\n", FILE, other)["services"][
        "monitor"
    ]
    assert found["command"] == ["serve", "--only", "exporter"]
    assert [(one["host_ip"], one["published"]) for one in found["ports"]] == [("10.8.0.2", "10980")]
    assert set(found["depends_on"]) <= {"secrets", "docker-proxy"}
    with pytest.raises(AssertionError, match="private address"):
        compose_config(tmp_path, "", FILE, other)
    several = compose_config(tmp_path, "PROMETHEUS_CONFIG=prometheus.hosts.yml\n")
    command = several["services"]["prometheus"]["command"]
    assert "--config.file=/etc/sermon-monitor/prometheus.hosts.yml" in command


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_bounded_and_unprivileged(name: str, services: dict[str, Any]) -> None:
    service = services[name]
    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "a pinned tag"
    assert 0 < int(service["mem_limit"]) <= 512 * 1024**2
    assert not service.get("privileged")
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("cap_add")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("pid") is None
    assert service["restart"] == ("no" if name == "secrets" else "unless-stopped")
    assert service["logging"]["options"]["max-size"]


def test_all_of_it_fits_beside_the_application_on_a_4_gb_pi(services: dict[str, Any]) -> None:
    lasting = [int(service["mem_limit"]) for name, service in services.items() if name != "secrets"]
    assert sum(lasting) <= 1200 * 1024**2


def test_only_the_proxy_sees_the_docker_socket_and_the_host_is_read_only(
    services: dict[str, Any],
) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["type"] != "bind":
                continue
            assert volume.get("read_only"), (name, volume)
            assert ("docker.sock" in volume["source"]) == (name == "docker-proxy"), volume
    assert [name for name, s in services.items() if "docker" in (s.get("networks") or {})] == [
        "docker-proxy",
        "monitor",
    ]


def test_secrets_are_written_by_one_and_only_read_by_others(services: dict[str, Any]) -> None:
    writers = {
        name: not volume.get("read_only", False)
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume.get("source") == "secrets"
    }
    assert writers == {"secrets": True, "monitor": False, "alertmanager": False, "grafana": False}
    for name in ("monitor", "alertmanager", "grafana"):
        assert (
            services[name]["depends_on"]["secrets"]["condition"] == "service_completed_successfully"
        )


def test_the_file_holds_no_secret(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for key, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|WEBHOOK_URL", key):
                assert not value or (key.endswith("_FILE") and value.startswith("/secrets/")), (
                    name,
                    key,
                )


def test_env_example_names_only_what_is_known_and_sets_nothing(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
    named = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    in_compose = set(re.findall(r"\$\{([A-Z0-9_]+)", FILE.read_text()))
    assert in_compose <= named, "what the compose file reads, a person can find"
    changed = compose_config(tmp_path, "GRAFANA_PORT=3001\nAPP_URL=http://10.0.0.5:8001\n")[
        "services"
    ]
    assert changed["grafana"]["ports"][0]["published"] == "3001"
    assert changed["monitor"]["environment"]["APP_URL"] == "http://10.0.0.5:8001"


def test_started_from_its_own_folder_it_is_the_same_stack(tmp_path: Path) -> None:
    """``cd monitoring && cp .env.example .env && docker compose -f docker-compose.monitoring.yml up -d``."""
    assert (ROOT / "monitoring" / ".env.example").read_text() == (ROOT / ".env.example").read_text()
    above = compose_config(tmp_path, "GRAFANA_PORT=3001\n")
    below = compose_config(
        tmp_path, "GRAFANA_PORT=3001\n", ROOT / "monitoring" / "docker-compose.monitoring.yml"
    )
    for key in ("name", "services", "volumes", "networks"):
        assert below[key] == above[key], key


def test_the_profile_full_has_the_real_exporters_and_their_ports(tmp_path: Path) -> None:
    found = compose_config(tmp_path, "COMPOSE_PROFILES=full\n")["services"]
    assert set(found) == SERVICES | {"node-exporter", "cadvisor"}
    published = {
        name: {port["published"]: port["host_ip"] for port in service.get("ports", [])}
        for name, service in found.items()
    }
    assert published["node-exporter"] == {"9100": "127.0.0.1"}
    assert published["cadvisor"] == {"8080": "127.0.0.1"}
    assert {"10980", "19100", "18080"} <= set(published["monitor"])
    for name in ("node-exporter", "cadvisor"):
        assert found[name]["cap_drop"] == ["ALL"]
        assert all(v.get("read_only") for v in found[name]["volumes"])
        assert not any("docker.sock" in v["source"] for v in found[name]["volumes"])
    assert "-allowfrom=monitor,cadvisor" in found["docker-proxy"]["command"]
    usual = compose_config(tmp_path)["services"]
    assert "-allowfrom=monitor" in usual["docker-proxy"]["command"]


def test_the_profile_backup_reads_the_deployment_and_writes_only_backups(tmp_path: Path) -> None:
    found = compose_config(tmp_path, "COMPOSE_PROFILES=backup\n")["services"]
    assert set(found) == SERVICES | {"backup"}
    backup = found["backup"]
    assert backup["cap_drop"] == ["ALL"]
    assert "monitor" in backup["networks"]["docker"]["aliases"], "the proxy lets it in"
    targets = {v["target"]: v.get("read_only", False) for v in backup["volumes"]}
    assert targets["/deployment"]
    assert not targets["/backups"]


# --- the way to the Docker Engine

ID = "4f" * 32
ALLOWED = [
    ("HEAD", "/_ping"),
    ("GET", "/_ping"),
    ("GET", "/version"),
    ("GET", "/v1.41/info"),
    ("GET", "/v1.41/events"),
    ("GET", "/events"),
    ("GET", f"/containers/{ID}/logs"),
    ("GET", "/v1.41/containers/json"),
    ("GET", f"/v1.41/containers/{ID}/json"),
    ("GET", "/v1.41/containers/sermon-uploader-backend/logs"),
    ("GET", "/v1.41/images/ghcr.io/white-plains-gospel-chapel/sermon-uploader:latest/json"),
    ("GET", "/v1.41/images/json"),
    ("GET", f"/v1.41/images/sha256:{ID}/json"),
    ("POST", f"/v1.47/containers/{ID}/restart"),
    ("POST", f"/v1.41/images/sha256:{ID}/tag"),
    ("POST", f"/containers/{ID}/stop"),
    ("POST", "/build/prune"),
    ("DELETE", f"/images/sha256:{ID}"),
    ("DELETE", "/v1.41/images/sermon-monitor/known-good:sermon-uploader-0123456789ab"),
]
REFUSED = [
    ("GET", f"/v1.41/containers/{ID}/archive"),
    ("GET", f"/v1.41/containers/{ID}/export"),
    ("GET", "/v1.41/secrets"),
    ("GET", "/v1.41/containers/json/../../volumes"),
    ("POST", "/v1.41/containers/create"),
    ("POST", f"/v1.41/containers/{ID}/start"),
    ("POST", f"/v1.41/containers/{ID}/kill"),
    ("POST", "/v1.41/images/prune"),
    ("POST", "/v1.41/volumes/prune"),
    ("POST", "/v1.41/system/prune"),
    ("POST", f"/v1.41/containers/{ID}/exec"),
    ("POST", "/v1.41/images/create"),
    ("POST", "/v1.41/build"),
    ("POST", "/v1.41/containers/prune"),
    ("PUT", f"/v1.41/containers/{ID}/archive"),
    ("DELETE", f"/v1.41/containers/{ID}"),
    ("DELETE", "/v1.41/images/ghcr.io/white-plains-gospel-chapel/sermon-uploader:latest"),
    ("DELETE", f"/v1.41/images/sha256:{ID}/json"),
    ("DELETE", "/v1.41/images/sha256:4f4f"),
    ("DELETE", "/v1.41/volumes/sermon_data"),
]


def _passes(command: list[str], method: str, path: str) -> bool:
    """As wollomatic/socket-proxy decides: the method's pattern, matched against the whole path (its README)."""
    allowed = dict(re.findall(r"^-allow([A-Z]+)=(.+)$", "\n".join(command), re.MULTILINE))
    return method in allowed and bool(re.fullmatch(allowed[method], path))


@pytest.mark.parametrize(("method", "path"), ALLOWED)
def test_the_proxy_lets_through_what_we_need(
    method: str, path: str, services: dict[str, Any]
) -> None:
    assert _passes(services["docker-proxy"]["command"], method, path)


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_the_proxy_refuses_all_else(method: str, path: str, services: dict[str, Any]) -> None:
    assert not _passes(services["docker-proxy"]["command"], method, path)


def test_every_change_can_be_forbidden(tmp_path: Path) -> None:
    forbidden = "DOCKER_ALLOW_POST=none\nDOCKER_ALLOW_DELETE=none\n"
    command = compose_config(tmp_path, forbidden)["services"]["docker-proxy"]["command"]
    assert not any(_passes(command, m, p) for m, p in ALLOWED if m in ("POST", "DELETE"))
    assert _passes(command, "GET", "/v1.41/containers/json")
