"""One short question to the outside. Never raises: what went wrong is told in words, and holds no secret."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar

from target.probe import USER_AGENT

ANSWER_BYTES = 64 * 1024
ANSWER_SECONDS = 8.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Reply:
    """``status`` is None where nobody answered; ``words`` then say why."""

    status: int | None
    words: str
    body: bytes = b""
    date: float | None = None
    """The answerer's clock, as a unix time."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address may hold a secret: it is given to nobody else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def ask(url: str, seconds: float = ANSWER_SECONDS) -> Reply:
    """GET ``url`` within ``seconds`` in all, by the machine's proxy where it has one."""
    (reply,) = together([partial(_ask, url, seconds)], seconds + 1)
    return reply or Reply(None, f"no answer within {seconds:g} s")


def ask_all(urls: Mapping[str, str], seconds: float = ANSWER_SECONDS) -> dict[str, Reply]:
    """All of them at the same time."""
    calls = [partial(_ask, url, seconds) for url in urls.values()]
    late = Reply(None, f"no answer within {seconds:g} s")
    found = together(calls, seconds + 1)
    return {name: reply or late for name, reply in zip(urls, found, strict=True)}


def together(calls: Sequence[Callable[[], Result]], seconds: float) -> list[Result | None]:
    """What each call gave; None for one that is not done in time. Exceptions come through.

    In daemon threads: a name that is never resolved must not keep the program from its end.
    """
    futures: list[Future[Result]] = [Future() for _ in calls]

    def work(call: Callable[[], Result], future: Future[Result]) -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            future.set_exception(error)

    for call, future in zip(calls, futures, strict=True):
        threading.Thread(target=work, args=(call, future), daemon=True).start()
    found: list[Result | None] = []
    for future in futures:
        try:
            found.append(future.result(seconds))
        except NotDoneError:
            found.append(None)
    return found


def _ask(url: str, seconds: float) -> Reply:
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})  # noqa: S310 - the settings allow http and https only
        with opener.open(request, timeout=seconds) as answer:
            return _reply(answer.status, answer.headers, answer.read(ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return _reply(error.code, error.headers, error.read(ANSWER_BYTES))
    except urllib.error.URLError as error:
        return Reply(None, _words(error.reason))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Reply(None, _words(error))


def _reply(status: int, headers: Any, body: bytes) -> Reply:
    try:
        date = parsedate_to_datetime(str(headers.get("Date"))).timestamp()
    except (TypeError, ValueError):
        date = None
    return Reply(status, f"HTTP {status}", body, date)


def _words(error: object) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case socket.gaierror():
            return "its name cannot be resolved"
        case ssl.SSLCertVerificationError():
            return f"its certificate does not hold: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS: {error.reason}"
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
        case _:
            return type(error).__name__
