"""Does the process beside this one answer? The image's health check: ``python -I …/sermon_monitor/alive.py``.

It runs every 30 s, so it loads nothing of ours: reading all settings costs five times as much. What it needs
of them it takes from the environment. Exit 0 it answers, 1 it does not, with why.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

SECONDS = 4.0
LISTENERS = (("EXPORTER_LISTEN", "127.0.0.1:10980"), ("RECEIVER_LISTEN", "127.0.0.1:5001"))
"""With their defaults. The second is asked where nothing listens at the first: ``serve --only receiver``."""
_HANDSHAKE = b"\x16"
"""The type of a TLS record that a ServerHello begins with (RFC 8446, 5.1)."""
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, not where we do

Address = tuple[str, int]
Ask = Callable[[Address], str]


def look(environ: Mapping[str, str]) -> str:
    """Empty where it answers, else why not."""
    words = ""
    for name, default in LISTENERS:
        address = _address(environ.get(name) or default)
        try:
            return _asked(address, tls_first=_speaks_tls(environ.get("WEB_CONFIG_FILE", "")))
        except ConnectionRefusedError:
            words += f"nothing listens at {address[0]}:{address[1]} ({name}). "
    return words.strip()


def _asked(address: Address, *, tls_first: bool) -> str:
    """Raises ConnectionRefusedError."""
    words = ""
    ways: tuple[Ask, Ask] = (_by_tls, _plainly) if tls_first else (_plainly, _by_tls)
    for ask in ways:
        try:
            said = ask(address)
        except ConnectionRefusedError:
            raise
        except TimeoutError:
            return f"no answer within {SECONDS:g} s from {address[0]}:{address[1]}"
        except (OSError, http.client.HTTPException) as error:
            words = words or f"{address[0]}:{address[1]}: {error}"
        else:
            return said
    return words


def _plainly(address: Address) -> str:
    return _healthz(http.client.HTTPConnection(*address, timeout=SECONDS))


def _by_tls(address: Address) -> str:
    # Our own process on this machine: its certificate is made out to the name others call it by.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return _healthz(http.client.HTTPSConnection(*address, timeout=SECONDS, context=context))
    except (ConnectionRefusedError, TimeoutError):
        raise
    except (OSError, http.client.HTTPException):
        if _greets(address, context):
            return ""  # it wants a certificate of its clients, and lives
        raise


def _healthz(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return "" if answer.status == 200 else f"GET /healthz answers {answer.status}"
    finally:
        connection.close()


def _greets(address: Address, context: ssl.SSLContext) -> bool:
    """Whether a greeting of TLS is answered by one."""
    answers, greeting = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(answers, greeting).do_handshake()
    except ssl.SSLWantReadError:  # it waits for the answer, as it should
        with socket.create_connection(address, timeout=SECONDS) as connection:
            connection.sendall(greeting.read())
            return connection.recv(1) == _HANDSHAKE
    return False


def _speaks_tls(web_config: str) -> bool:
    """Which way is tried first; the other one follows."""
    try:
        return bool(web_config) and "tls_server_config" in Path(web_config).read_text()
    except (OSError, ValueError):
        return True


def _address(listen: str) -> Address:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return _EVERYWHERE.get(host, host), int(port) if port.isdigit() else 0


if __name__ == "__main__":
    sys.exit(look(os.environ) or None)
