"""TCP ports of this machine: who listens on them, as far as this user may know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import psutil

from target.compose import Project
from target.engine import COMPOSE_PROJECT, Container

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"


class Listening(Mapping[int, str]):
    """Port to who holds it. Who it is, is looked up for whom it matters only: the open files of every process are
    read for it."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports

    def __getitem__(self, port: int) -> str:
        if port not in self._ports:
            raise KeyError(port)
        return self._holders.get(port, "a process that has ended meanwhile")

    def __iter__(self) -> Iterator[int]:
        return iter(self._ports)

    def __len__(self) -> int:
        return len(self._ports)

    def __contains__(self, port: object) -> bool:
        return port in self._ports

    @cached_property
    def _holders(self) -> dict[int, str]:
        return {
            one.laddr.port: _process(one.pid) if one.pid else "a process of another user"
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr
        }


def listening() -> Listening:
    """As the kernel tells it now."""
    texts = [path.read_text() for path in TABLES if path.exists()]
    return Listening(frozenset(port for text in texts for port in listened_on(text)))


def listened_on(table: str) -> Iterator[int]:
    """The ports of one of the kernel's tables of TCP sockets that somebody listens on (proc(5), /proc/net/tcp)."""
    for line in table.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == _LISTEN:
            yield int(local.rpartition(":")[2], 16)


def taken(
    project: Project | None, containers: tuple[Container, ...], held: Mapping[int, str]
) -> dict[str, dict[int, str]]:
    """Of each service that does not run: the ports it needs that somebody holds. Pure."""
    found: dict[str, dict[int, str]] = {}
    for service in project.services.values() if project else ():
        mine = [c for c in containers if is_of(project, c) and c.service == service.name]
        if any(c.running or c.state in ("restarting", "paused") for c in mine):
            continue  # it is its own
        if ports := {port: held[port] for port in service.ports if port in held}:
            found[service.name] = ports
    return found


def is_of(project: Project | None, container: Container) -> bool:
    """Whether compose's files speak of this container: the same project name."""
    return project is not None and container.labels.get(COMPOSE_PROJECT) == project.name


def _process(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(pid).name()} (pid {pid})"
    return f"pid {pid}"
