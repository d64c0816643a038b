"""A stand-in for wollomatic/socket-proxy, whose image cannot be had here: one file, Python's standard library.

It runs in a container with the real one's flags: ``-allowMETHOD=REGEX`` is matched against the whole path
without its query (405 where the method has none, 403 where it does not match), ``-allowfrom`` names who may
call, asked of the network's DNS for each request (its README, and handlehttprequest.go).
Each refusal is a line of its log.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from select import select
from urllib.parse import urlsplit

SOCKET = "/var/run/docker.sock"
PORT = 2375
_HOP = ("connection", "keep-alive", "proxy-connection")


class Flags:
    """The command line. Raises SystemExit at a regular expression that is none, as the real one does."""

    def __init__(self, words: list[str]) -> None:
        given = [word.lstrip("-").partition("=") for word in words]
        named = {name: value for name, _, value in given}
        self.listen = named.get("listenip", "127.0.0.1")
        self.callers = named.get("allowfrom", "127.0.0.1/32").split(",")
        try:
            self.allowed = {
                name.removeprefix("allow"): re.compile(f"(?:{value})")
                for name, value in named.items()
                if re.fullmatch("allow[A-Z]+", name)
            }
        except re.error as problem:
            sys.exit(f"invalid regex: {problem}")

    def may_call(self, address: str) -> bool:
        for name in self.callers:
            with contextlib.suppress(OSError):
                found = socket.getaddrinfo(name, None, socket.AF_INET)
                if any(one[4][0] == address for one in found):
                    return True
        return False


class Handler(BaseHTTPRequestHandler):
    """One request a connection: what is allowed goes to the socket, and what comes back goes back as it is."""

    protocol_version = "HTTP/1.1"
    flags: Flags

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            return
        self.close_connection = True
        status, why = self._judge()
        if status != 200:
            print(f"blocked request: {why}: {self.command} {self.path} from {self.client_address[0]}", flush=True)  # fmt: skip
            self.send_error(status)
            return
        with contextlib.suppress(OSError):
            self._pass_on()

    def _judge(self) -> tuple[int, str]:
        if not self.flags.may_call(self.client_address[0]):
            return 403, "forbidden IP"
        pattern = self.flags.allowed.get(self.command)
        if pattern is None:
            return 405, "method not allowed"
        if not pattern.fullmatch(urlsplit(self.path).path):
            return 403, "path not allowed"
        return 200, ""

    def _pass_on(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(SOCKET)
            lines = [self.requestline, "Connection: close"]
            lines += [f"{k}: {v}" for k, v in self.headers.items() if k.lower() not in _HOP]
            engine.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                engine.sendall(self.rfile.read(length))
            # A follower may be silent for long; who called may go away meanwhile.
            while True:
                ready, _, _ = select([engine, self.connection], [], [])
                if engine not in ready:
                    return
                block = engine.recv(65_536)
                if not block:
                    return
                self.connection.sendall(block)

    def log_message(self, *_: object) -> None:
        """What is allowed is not told."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Handler.flags = Flags(sys.argv[1:])
    Server((Handler.flags.listen, PORT), Handler).serve_forever()
