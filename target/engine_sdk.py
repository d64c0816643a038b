"""What takes its time at the Engine, through the docker SDK: restart and pull. Loaded only when it is needed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import docker
import docker.errors
import requests
from docker.constants import DEFAULT_DOCKER_API_VERSION

from target.engine import EngineError


def restart(host: str, container_id: str, stop_seconds: int, timeout_seconds: float) -> None:
    """Stop (SIGTERM, after ``stop_seconds`` SIGKILL) and start. Raises EngineError."""
    _call(
        host,
        "restart",
        lambda client: client.api.restart(container_id, timeout=stop_seconds),
        timeout_seconds,
    )


def pull(host: str, reference: str, timeout_seconds: float) -> None:
    """Bring an image here; what the SDK itself does not bound, the caller must. Raises EngineError."""
    deadline = time.monotonic() + timeout_seconds
    _call(
        host,
        f"pull of {reference}",
        lambda client: _pull(client, reference, deadline),
        timeout_seconds,
    )


def too_slow(reference: str) -> EngineError:
    return EngineError(f"pull of {reference}: not done in the time it had")


def _call(host: str, what: str, ask: Callable[[Any], None], timeout_seconds: float) -> None:
    try:
        client = _connect(host, timeout_seconds)
        try:
            ask(client)
        finally:
            client.close()
    except docker.errors.NotFound as error:
        raise EngineError(f"{what}: {error.explanation or error}", missing=True) from error
    except docker.errors.APIError as error:
        raise EngineError(f"{what}: the Engine refused: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"{what}: the Engine at {host} does not answer ({type(error).__name__})"
        ) from error


def _connect(host: str, timeout_seconds: float) -> docker.DockerClient:
    """A client that speaks the Engine's own API version."""
    seconds = int(max(1, timeout_seconds))
    if host.startswith("unix://"):
        # The SDK leaves its socket open when nobody listens: find that out without it.
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(seconds)
            knock.connect(host.removeprefix("unix://"))
    asking = docker.APIClient(base_url=host, version=DEFAULT_DOCKER_API_VERSION, timeout=seconds)
    try:
        version = asking.version(api_version=False)["ApiVersion"]
    except (KeyError, TypeError) as error:
        raise docker.errors.DockerException(f"not an Engine's answer: {error!r}") from error
    finally:
        asking.close()
    return docker.DockerClient(base_url=host, version=version, timeout=seconds)


def _pull(client: docker.DockerClient, reference: str, deadline: float) -> None:
    """Follow a pull's progress to its end (Docker Engine API, "Create an image")."""
    try:
        for step in client.api.pull(reference, stream=True, decode=True):
            if time.monotonic() > deadline:
                raise too_slow(reference)
            if isinstance(step, dict) and "error" in step:
                raise EngineError(f"pull of {reference}: the Engine refused: {step['error']}")
    except docker.errors.StreamParseError as error:
        raise EngineError(f"pull of {reference}: the Engine's answer cannot be read") from error
