"""Why no connection came about, in words for whoever has to mend it."""

from __future__ import annotations

import os
import ssl

import aiohttp


def no_connection(error: Exception) -> str:
    """One line: what could not be had of which host, and where to look when it is the machine's own fault."""
    if isinstance(error, TimeoutError) or not isinstance(error, aiohttp.ClientConnectorError):
        return "no connection in time"
    host, port = error.host, error.port
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {host} cannot be looked up ({_words(error.os_error)}): is the network up, and a name server?"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return (
            f"the certificate of {host} is not accepted: {_of_certificate(error.certificate_error)}"
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"{host}:{port} does not speak TLS as we do: {_words(error.os_error)}"
    return f"{host}:{port}: {_words(error.os_error)}"


def _of_certificate(error: Exception) -> str:
    """OpenSSL's verdict; a date is mostly the fault of a clock, as a Pi's is after its start."""
    words = getattr(error, "verify_message", "") or str(error)
    dated = "expired" in words or "not yet valid" in words
    return f"{words} (is this machine's clock right?)" if dated else words


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "").replace("_", " ").lower() or str(error)
    if (
        error.errno and error.errno > 0
    ):  # asyncio puts words of its own in the place of the system's
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
