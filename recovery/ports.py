"""TCP ports of this machine: who listens on them, as far as this user may know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import psutil

from target.compose import Project
from target.engine import COMPOSE_PROJECT, Container


def listening() -> dict[int, str]:
    """Port to who holds it."""
    found: dict[int, str] = {}
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr:
            found[one.laddr.port] = _process(one.pid) if one.pid else "a process of another user"
    return found


def taken(
    project: Project | None, containers: tuple[Container, ...], held: Mapping[int, str]
) -> dict[str, dict[int, str]]:
    """Of each service that does not run: the ports it needs that somebody holds. Pure."""
    found: dict[str, dict[int, str]] = {}
    for service in project.services.values() if project else ():
        mine = [c for c in containers if is_of(project, c) and c.service == service.name]
        ports = {port: held[port] for port in service.ports if port in held}
        if ports and not any(c.running or c.state in ("restarting", "paused") for c in mine):
            found[service.name] = ports
    return found


def is_of(project: Project | None, container: Container) -> bool:
    """Whether compose's files speak of this container: the same project name."""
    return project is not None and container.labels.get(COMPOSE_PROJECT) == project.name


def _process(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(pid).name()} (pid {pid})"
    return f"pid {pid}"
