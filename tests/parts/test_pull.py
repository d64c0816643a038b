"""A pull is bounded as a whole, against Engines that trickle, are silent, or refuse in the middle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from target.engine import Engine, EngineError

IMAGE = {"Id": "sha256:" + "a" * 64, "RepoTags": ["a/b:1"], "RepoDigests": [], "Config": {}}


class Handler(BaseHTTPRequestHandler):
    """As much of the Engine's API as a pull needs."""

    protocol_version = "HTTP/1.1"
    behaviour: ClassVar[str] = ""
    over: ClassVar[threading.Event]

    def do_GET(self) -> None:
        body = {"ApiVersion": "1.41"} if self.path.endswith("/version") else IMAGE
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk({"status": "Pulling"})
        while self.behaviour == "trickles" and not self.over.wait(0.05):
            self._chunk({"status": "Downloading"})
        if self.behaviour == "silent":
            self.over.wait()
        if self.behaviour == "refuses":
            self._chunk({"error": "no space left on device", "errorDetail": {}})
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, step: dict[str, Any]) -> None:
        line = json.dumps(step).encode() + b"\r\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what fails."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the pull was given up


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(Handler, "over", threading.Event(), raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    client = Engine(f"tcp://127.0.0.1:{server.server_port}")
    yield client
    client.close()
    Handler.over.set()
    for thread in threading.enumerate():
        if thread.name == "pull":
            thread.join()
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_pull_that_ends_well(engine: Engine) -> None:
    assert engine.pull("a/b:1").tags == ("a/b:1",)


@pytest.mark.parametrize("behaviour", ["trickles", "silent"])
def test_a_pull_without_an_end_is_given_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setattr(Handler, "behaviour", behaviour)
    with pytest.raises(EngineError, match="pull of a/b:1: not done in the time it had"):
        engine.pull("a/b:1", timeout=1.0)


def test_a_refusal_in_the_middle_has_the_engines_words(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "behaviour", "refuses")
    with pytest.raises(EngineError, match="the Engine refused: no space left on device"):
        engine.pull("a/b:1")
