"""Ports of this machine, names, and whether the outside can be reached."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from recovery.deployments import Facts, of_project
from recovery.finding import Finding
from recovery.http import Reply, ask_all
from recovery.ports import taken
from recovery.run import Session

REGISTRIES = {"": "registry-1.docker.io"}
DISCORD = "https://discord.com/api/v10/gateway"
"""Get Gateway needs no credentials (discord/discord-api-docs, developers/events/gateway.mdx)."""
CLOCK_SECONDS = 30.0


def ports(_: Session, facts: Facts) -> Iterator[Finding]:
    """Whether what the compose files publish is served by its own container, or taken by something else."""
    if facts.engine_problem:
        return  # whose a port is only the Engine can tell
    others = taken(facts.project, facts.containers, facts.held)
    for service in facts.project.services.values() if facts.project else ():
        mine = [c for c in facts.containers if of_project(facts, c) and c.service == service.name]
        runs = any(c.running for c in mine)
        for port in service.ports:
            what, holder = f"port {port}", others.get(service.name, {}).get(port)
            if holder is not None:
                words = f"{service.name} needs it and does not run; it is held by {holder}"
                yield Finding(
                    "problem", what, words, f"sudo ss -ltnp 'sport = :{port}'; stop what holds it"
                )
            elif runs and port not in facts.held:
                words = f"{service.name} runs, but nothing listens on its port"
                yield Finding("warning", what, words, "sermon-recovery restart-services")
            else:
                yield Finding("ok", what, f"{service.name}: {'serves' if runs else 'free'}")


def outside(session: Session, facts: Facts) -> Iterator[Finding]:
    """GitHub, Discord and the registry of the application's images; and their clock against ours."""
    registry = _registry(facts)
    replies = ask_all(
        {
            "GitHub": session.settings.github_api_url,
            "Discord": DISCORD,
            "registry": f"{_scheme(registry)}://{registry}/v2/",
        }
    )
    losses = {
        "GitHub": "no rollback by GitHub: sermon-recovery rollback works without it",
        "Discord": "nobody is told",
        "registry": f"no image can be brought here from {registry}",
    }
    for name, reply in replies.items():
        yield _reached(name, reply, losses[name])
    yield from _clock(replies)


def _reached(name: str, reply: Reply, loss: str) -> Finding:
    """401 and 404 are answers too: whether we may in is another question."""
    if reply.status is not None and reply.status < 500:
        return Finding("ok", name, "is reached")
    words = f"is not reached ({reply.words}): {loss}"
    return Finding("warning", name, words, "ping -c 3 1.1.1.1; resolvectl status; the router")


def _clock(replies: dict[str, Reply]) -> Iterator[Finding]:
    """A Pi has no clock of its own; with a wrong one no certificate holds and no request expires right."""
    dates = [reply.date for reply in replies.values() if reply.date is not None]
    if not dates:
        return
    off = time.time() - sorted(dates)[len(dates) // 2]
    if abs(off) > CLOCK_SECONDS:
        words = f"goes {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}"
        yield Finding("problem", "clock", words, "sudo timedatectl set-ntp true; timedatectl")
    else:
        yield Finding("ok", "clock", "agrees with the outside")


def _scheme(registry: str) -> str:
    """A registry on this machine is spoken to without TLS, as dockerd does (docs.docker.com, "Insecure registries")."""
    host = registry.rpartition(":")[0] or registry
    return "http" if host == "localhost" or host.startswith("127.") else "https"


def _registry(facts: Facts) -> str:
    """The host in an image's name; Docker Hub where there is none (distribution/reference)."""
    for container in facts.app():
        head = container.image.partition("/")[0]
        if "/" in container.image and ("." in head or ":" in head or head == "localhost"):
            return urlsplit(f"//{head}").netloc
    return REGISTRIES[""]
