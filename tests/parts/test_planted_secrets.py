"""Every secret is planted, everything is asked for, everything fails that can; then nothing that is left shows one."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.bench.webhooks import body
from tests.real.postgres import PASSWORD
from tests.real.processes import free_port, wait_for
from tests.real.product import COMMAND, Product
from tests.real.secrecy import forms, left, names, shown

NOBODY = f"127.0.0.1:{free_port()}"
PLANTED = {
    "DISCORD_WEBHOOK_URL": f"http://{NOBODY}/api/webhooks/123456789/pl4nted-d1scord-webhook-t0ken",
    "WEBHOOK_TOKEN": "pl4nted-t0ken-of-alertmanager",
    "BOARD_TOKEN": "pl4nted-t0ken-of-the-board",
    "GITHUB_TOKEN": "github_pat_pl4nted0t0ken",
    "GITHUB_WEBHOOK_SECRET": "pl4nted-webh00k-s3cret",
    "HEARTBEAT_URL": f"http://{NOBODY}/ping/pl4nted-h3artbeat",
    "FALLBACK_URLS": f"json://{NOBODY}/pl4nted-other-way",
    "BACKUP_KEY": "pl4nted-key-of-the-backups-and-long-enough",
    "MINIO_ACCESS_KEY": "pl4nted-access-k3y",
    "MINIO_SECRET_KEY": "pl4nted-secret-of-mini0",
}
PAGES = (
    *("/", "/incidents", "/incidents/1", "/deployments", "/maintenance", "/approvals", "/policy"),
    *("/audit", "/status", "/readyz", "/healthz", "/sign-in", "/api/incidents", "/api/audit"),
    *("/api/incidents/1", "/api/deployments", "/api/maintenance", "/api/approvals", "/nothing-here"),
)  # fmt: skip


def secrets() -> Iterator[str]:
    """What must not be found."""
    for value in (*PLANTED.values(), PASSWORD):
        yield from forms(value)


def found_in(text: bytes) -> list[str]:
    return [one for one in secrets() if one.encode() in text]


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.long)])
def product(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Product]:
    on_server = request.param == "postgres"
    server = request.getfixturevalue("postgres_server") if on_server else None
    settings = {
        **({"DATABASE_URL": server.database("planted")} if server else {}),
        **PLANTED,
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "APP_URL": f"http://{NOBODY}",
        "MINIO_URL": f"http://{NOBODY}",
        "GITHUB_REPO": "a/b",
        "GITHUB_API_URL": f"http://{NOBODY}",
        "ALERTMANAGER_URL": f"http://{NOBODY}",
        "PROMETHEUS_URL": f"http://{NOBODY}",
        "LOG_LEVEL": "debug",
        "WATCHDOG_TIMEOUT": "1s",
    }
    made = Product(tmp_path / "product", settings)
    yield made
    made.stop()


def ask(product: Product, method: str, path: str, **headers: str) -> bytes:
    """The whole answer, its headers too."""
    connection = http.client.HTTPConnection(product.environment["RECEIVER_LISTEN"], timeout=30)
    sent = headers.pop("sent", "").encode()
    connection.request(method, path, sent, headers)
    answer = connection.getresponse()
    whole = f"{answer.status} {answer.getheaders()}\n".encode() + answer.read()
    connection.close()
    return whole


def test_every_secret_is_planted() -> None:
    assert names() == {*PLANTED, "DATABASE_URL"}  # planted where the store is in PostgreSQL


def test_nothing_that_is_left_shows_a_secret(product: Product) -> None:
    product.start()
    right = {"Authorization": f"Bearer {PLANTED['WEBHOOK_TOKEN']}"}
    board = {"Authorization": f"Bearer {PLANTED['BOARD_TOKEN']}"}
    json_type = {"Content-Type": "application/json"}
    critical = json.loads(body(1, 1))
    critical["alerts"][0]["labels"] |= {"alertname": "ServiceDown", "severity": "critical", "cause": "app"}  # fmt: skip
    told = [
        ask(product, "POST", "/alerts", sent=json.dumps(critical), **right, **json_type),
        ask(product, "POST", "/alerts", sent="{}", **json_type),
        ask(product, "POST", "/alerts", sent="[", **right, **json_type),
        ask(product, "POST", "/webhooks/github", sent="{}", **json_type, **{"X-Hub-Signature-256": "sha256=0"}),
        ask(product, "POST", "/sign-in", sent=f"token={PLANTED['BOARD_TOKEN']}&name=anna", **{"Content-Type": "application/x-www-form-urlencoded"}),
        ask(product, "POST", "/sign-in", sent="token=wrong", **{"Content-Type": "application/x-www-form-urlencoded"}),
    ]  # fmt: skip
    assert told[0].startswith(b"200")
    wait_for(lambda: "could not tell" in product.log(), "Discord is tried")
    told += [ask(product, "GET", page, **who) for page in PAGES for who in (board, {})]
    told.append(product.metrics().encode())
    for words in (("status", "--json"), ("check", "--json"), ("incidents", "--json"), ("audit", "--json")):  # fmt: skip
        told.append(said(product, *words))
    product.stop()
    kept = left(product.state)
    in_a_file = any(path.endswith("receiver.sqlite3") for path in kept)
    assert in_a_file == ("DATABASE_URL" not in product.environment)
    kept["the log"] = product.log().encode()
    kept |= {f"answer {number}": text for number, text in enumerate(told)}
    assert {where: found for where, text in kept.items() if (found := found_in(text))} == {}
    assert re.search(r"github", product.log(), re.IGNORECASE)


def said(product: Product, *words: str) -> bytes:
    """What a command prints, whatever its exit code."""
    ran = subprocess.run([COMMAND, *words], env=product.environment, capture_output=True, check=False)  # fmt: skip
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout + ran.stderr


def test_the_search_finds_what_is_there() -> None:
    for value in PLANTED.values():
        assert found_in(b"x" + base64.b64encode(value.encode()))
        assert found_in(f"to {value}: refused".encode())


def test_what_each_real_process_leaves_is_searched(tmp_path: Path) -> None:
    """Every test that starts one ends with this search."""
    product = Product(tmp_path, PLANTED)
    product.state.mkdir()
    (product.state / "a-file").write_text(f"url={quote(PLANTED['DISCORD_WEBHOOK_URL'], safe='')}")
    product.log_file.write_text(f"sent {PLANTED['GITHUB_TOKEN']}\n")
    found = shown(product.environment, left(product.log_file, product.state, tmp_path / "nothing"))
    assert found == {
        str(product.log_file): ["GITHUB_TOKEN"],
        str(product.state / "a-file"): ["DISCORD_WEBHOOK_URL"],
    }
