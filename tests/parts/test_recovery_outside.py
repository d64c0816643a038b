"""What the toolkit asks of the outside: answers, silences and nonsense, without a secret in any word."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from recovery.checks.discord import discord
from recovery.checks.network import outside
from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.http import ask, together
from recovery.looking import Check
from recovery.run import Flags, Session
from recovery.settings import RecoverySettings
from recovery.terminal import Terminal
from target.engine import Engine

TOKEN = "Sup3rSecretToken"


class Handler(BaseHTTPRequestHandler):
    status, date = 200, ""

    def do_GET(self) -> None:
        body = b'{"name": "Sermons"}'
        self.send_response_only(self.status)
        self.send_header("Date", self.date or self.date_time_string())
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int = 200, date: str = "") -> str:
        handler = type("Asked", (Handler,), {"status": status, "date": date})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def looked(check: Check, **settings: object) -> list[Finding]:
    made = RecoverySettings.model_validate({k.upper(): v for k, v in settings.items()})
    session = Session("x", Flags(), made, Engine("unix:///nowhere.sock"), Terminal())
    found = list(check(session, Facts(made)))
    assert not [f for f in found if TOKEN in f.words + f.mend]
    return found


@pytest.mark.parametrize(
    ("status", "level", "said"),
    [
        (200, "ok", "Sermons"),
        (404, "problem", "gone"),
        (401, "problem", "gone"),
        (429, "warning", "429"),
        (302, "warning", "HTTP 302"),
        (500, "warning", "HTTP 500"),
    ],
)
def test_a_webhook_is_looked_up_and_redirects_are_not_followed(
    serve: Callable[..., str], status: int, level: str, said: str
) -> None:
    url = f"{serve(status)}/api/webhooks/1/{TOKEN}"
    (found,) = looked(discord, discord_webhook_url=SecretStr(url))
    assert (found.level, said in found.words) == (level, True)


@pytest.mark.parametrize(
    "url", [f"https://example.org/{TOKEN}", f"http://discord.com/api/webhooks/1/{TOKEN}", TOKEN]
)
def test_what_is_no_webhook_is_not_asked(url: str) -> None:
    (found,) = looked(discord, discord_webhook_url=SecretStr(url))
    assert (found.level, found.words) == (
        "problem",
        "DISCORD_WEBHOOK_URL is no address of a webhook",
    )


def test_nobody_there_is_said_in_words() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"http://127.0.0.1:{port}/api/webhooks/1/{TOKEN}"
        (found,) = looked(discord, discord_webhook_url=SecretStr(url))
        assert "connection refused" in found.words
        closed.listen()
        assert ask(f"http://127.0.0.1:{port}", 0.3).status is None


@pytest.mark.parametrize(
    ("date", "level", "said"),
    [("", "ok", "agrees"), ("Thu, 01 Jan 2015 00:00:00 GMT", "problem", "ahead"), ("Fri, 01 Jan 2100 00:00:00 GMT", "problem", "behind"), ("nonsense", "", "")],
)  # fmt: skip
def test_the_outsides_clock_is_compared(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, date: str, level: str, said: str
) -> None:
    monkeypatch.setattr("recovery.checks.network.DISCORD", serve(200, date or ""))
    monkeypatch.setattr("recovery.checks.network._registry", lambda _: "127.0.0.1:1")
    found = looked(outside, github_api_url=serve(200, date))
    clocks = [f for f in found if f.what == "clock"]
    assert [(f.level, said in f.words) for f in clocks] == ([(level, True)] if level else [])
    assert {f.what: f.level for f in found if f.what != "clock"} == {
        "GitHub": "ok",
        "Discord": "ok",
        "registry": "warning",
    }


def test_one_that_hangs_holds_up_no_other() -> None:
    release = threading.Event()
    began = time.monotonic()
    found = together([lambda: release.wait(60), lambda: True], 0.5)
    assert found == [None, True]
    assert time.monotonic() - began < 30
    release.set()
