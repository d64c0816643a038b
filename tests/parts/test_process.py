"""``sermon-monitor serve`` as its users start it: alone on a machine, stopped, started wrongly."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.exporter_kit import NOWHERE
from tests.real.processes import Process, fetch, free_port, spawn, wait_for
from tests.real.product import COMMAND, Product

ROOT = Path(__file__).parents[2]
FIRING = ROOT / "tests" / "payloads" / "alertmanager-0.28.1" / "firing.json"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """Not started; nothing else is there."""
    product = alone(tmp_path / "one")
    yield product
    product.stop()


def alone(directory: Path, **settings: str) -> Product:
    given = {
        "APP_URL": NOWHERE,
        "MINIO_URL": NOWHERE,
        "DOCKER_HOST": f"unix://{directory}/no.sock",
        **settings,
    }
    return Product(directory, given)


def ends(product: Product, *arguments: str) -> tuple[int, list[str]]:
    """Start and wait for its own end: exit code and the lines addressed to whoever typed it."""
    process = spawn([COMMAND, *arguments], product.log_file, env=product.environment)
    try:
        wait_for(lambda: not process.running, "its end")
    finally:
        process.stop()
    log = product.log()
    assert "Traceback" not in log, log
    said = [line for line in log.splitlines() if line.startswith("sermon-monitor: ")]
    return process.popen.returncode, said


def test_alone_on_a_machine_it_serves_and_stops_in_phases(product: Product) -> None:
    product.start()
    metrics = product.metrics()
    assert "sermon_uploader_up 0\n" in metrics
    assert 'sermon_monitor_incidents_open{severity="critical"} 0' in metrics
    assert product.post(FIRING.read_bytes())[0] == 200
    assert len(product.incidents()) == 1
    assert product.stop() == 0
    log = product.log()
    phases = [
        "stop accepting",
        "stop the exporter",
        "finish what is in hand and commit",
        "stop looking",
        "close the Engine",
        "stopped",
    ]
    places = [log.index(phase) for phase in phases]
    assert places == sorted(places)
    assert "Traceback" not in log
    connection = sqlite3.connect(product.state / "receiver.sqlite3")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


MALFORMED = {
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "chunk size": b"POST /alerts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "second line": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03s3cret\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"s3cret" * 33_000 + b"\r\n\r\n",
}


def test_callers_that_speak_no_http_cost_a_line_each(product: Product) -> None:
    product.start()
    for address in (product.metrics_address, product.environment["RECEIVER_LISTEN"]):
        host, _, port = address.rpartition(":")
        for sent in MALFORMED.values():
            with (
                socket.create_connection((host, int(port)), timeout=20) as caller,
                contextlib.suppress(ConnectionError),  # it may hang up before all is sent
            ):
                caller.sendall(sent)
                caller.shutdown(socket.SHUT_WR)
                while caller.recv(65536):
                    pass
    assert "sermon_uploader_up 0\n" in product.metrics()
    assert product.stop() == 0
    log = product.log()
    assert "Traceback" not in log
    assert "s3cret" not in log
    assert "[error" not in log
    lines = [line for line in log.splitlines() if "no proper HTTP from 127.0.0.1" in line]
    assert len(lines) >= len(MALFORMED)
    assert all("warning" in line and len(line) < 300 for line in lines)


def test_after_kill_9_it_starts_with_what_it_had(product: Product) -> None:
    product.start()
    assert product.post(FIRING.read_bytes())[0] == 200
    product.kill()
    product.start()
    (incident,) = product.incidents()
    assert incident["state"] == "open"
    assert product.post(FIRING.read_bytes())[0] == 200
    (incident,) = product.incidents()
    assert [alert["repeats"] for alert in incident["alerts"]] == [1]


@pytest.mark.parametrize("setting", ["RECEIVER_LISTEN", "EXPORTER_LISTEN"])
def test_a_port_in_use(product: Product, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        product.environment[setting] = address
        code, said = ends(product, "serve")
    assert code == 1
    (line,) = said
    assert f"{setting}={address}" in line
    assert "in use" in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"COOLDOWN": "soon"}, "COOLDOWN='soon'"),
        ({"GITHUB_TOKEN": "s3cret"}, "GITHUB_REPO"),
        ({"DOCKER_HOST": "ssh://pi"}, "DOCKER_HOST='ssh://pi': allowed: "),
        (
            {"RECEIVER_LISTEN": "127.0.0.1:7001", "EXPORTER_LISTEN": "localhost:7001"},
            "EXPORTER_LISTEN=localhost:7001 is RECEIVER_LISTEN too",
        ),
        ({"RECEIVER_LISTEN": "0.0.0.0:5001"}, "WEBHOOK_TOKEN and BOARD_TOKEN are needed"),
        ({"DISCORD_WEBHOOK_URL": "https://x.example/s3cret"}, "DISCORD_WEBHOOK_URL=(hidden)"),
        ({"SERMON_MONITOR_CONFIG": "/no/such.conf"}, "/no/such.conf"),
        ({"POLICY_FILE": "/no/such.yml"}, "/no/such.yml"),
    ],
)
def test_a_bad_setting(product: Product, settings: dict[str, str], words: str) -> None:
    product.environment |= settings
    code, said = ends(product, "serve")
    assert code == 2
    (line,) = said
    assert words in line
    assert "s3cret" not in product.log()


def test_a_bad_policy(product: Product, tmp_path: Path) -> None:
    table = tmp_path / "policy.yml"
    table.write_text("version: 2\n")
    product.environment["POLICY_FILE"] = str(table)
    code, said = ends(product, "serve")
    assert code == 2
    assert any("version" in line for line in said)


def test_a_second_receiver_on_the_same_state(product: Product, tmp_path: Path) -> None:
    product.start()
    second = alone(tmp_path / "two", STATE_DIR=str(product.state))
    code, said = ends(second, "serve", "--only", "receiver")
    assert code == 1
    (line,) = said
    assert "in use by another receiver" in line
    assert fetch(f"{product.url}/readyz")[0] == 200


def test_a_store_that_cannot_be_had(product: Product, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    product.environment["STATE_DIR"] = str(tmp_path / "file" / "state")
    code, said = ends(product, "serve")
    assert (code, len(said)) == (1, 1)


def test_an_unknown_half_is_wrong_usage(product: Product) -> None:
    assert ends(product, "serve", "--only", "board")[0] == 2


def only(product: Product, half: str) -> Process:
    return spawn([COMMAND, "serve", "--only", half], product.log_file, env=product.environment)


def test_only_the_exporter(product: Product) -> None:
    process = only(product, "exporter")
    try:
        address = f"http://{product.metrics_address}"
        wait_for(lambda: fetch(f"{address}/healthz")[0] == 200, "it", process=process)
        assert b"sermon_monitor_webhooks_total" not in fetch(f"{address}/metrics", timeout=15)[1]
        with pytest.raises(OSError, match="refused"):
            fetch(f"{product.url}/healthz")
    finally:
        process.stop()
    assert process.popen.returncode == 0
    assert not (product.state / "receiver.sqlite3").exists()


def test_only_the_receiver(product: Product) -> None:
    process = only(product, "receiver")
    try:
        wait_for(lambda: fetch(f"{product.url}/readyz")[0] == 200, "it", process=process)
        assert product.post(FIRING.read_bytes())[0] == 200
        with pytest.raises(OSError, match="refused"):
            fetch(f"http://{product.metrics_address}/healthz")
    finally:
        process.stop()
    assert process.popen.returncode == 0


def test_json_logs_are_json_and_hold_no_secret(product: Product) -> None:
    product.environment |= {
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
        "GITHUB_TOKEN": "s3cret-token",
        "GITHUB_REPO": "owner/app",
        "DISCORD_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/api/webhooks/77/s3cret-part",
    }
    product.start()
    assert product.post(FIRING.read_bytes())[0] == 200
    wait_for(lambda: "could not tell" in product.log(), "the failed card")
    assert product.stop() == 0
    entries = [json.loads(line) for line in product.log().splitlines()]
    assert all({"event", "level", "timestamp"} <= set(entry) for entry in entries)
    assert "s3cret" not in product.log()


def test_labels_do_not_drive_the_terminal_or_forge_a_line(product: Product) -> None:
    product.start()
    body = json.loads(FIRING.read_bytes())
    body["alerts"][0]["labels"]["alertname"] = "A\x1b[2J\nforged line\u202e"
    assert product.post(json.dumps(body).encode())[0] == 200
    wait_for(lambda: "card_created" in product.log(), "the card")
    product.stop()
    assert "\x1b[2J" not in product.log()
    assert "\u202e" not in product.log()
    assert not [line for line in product.log().splitlines() if line.startswith("forged")]


def test_what_has_no_effect_is_said_at_the_start(product: Product) -> None:
    product.environment["GITHUB_WEBHOOK_SECRET"] = "the-secret-of-github"
    product.start()
    assert "GITHUB_WEBHOOK_SECRET" in product.log()
    assert "no effect" in product.log()
