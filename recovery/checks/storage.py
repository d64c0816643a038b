"""How full the disks are, where MinIO's data lie, and what Docker holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.http import together
from recovery.run import Session
from target.engine import EngineError

WARNS, FAILS = 80.0, 90.0
STAT_SECONDS = 3.0
"""A disk of another machine that has gone answers never."""
LARGE_LOG_BYTES = 100 * 1024**2
CLEAN = "sermon-recovery cleanup --dry-run"


def disks(session: Session, facts: Facts) -> list[Finding]:
    """Each filesystem once, by the places of it that the deployment needs."""
    found: dict[int, tuple[list[str], os.statvfs_result]] = {}
    findings: list[Finding] = []
    places = _places(session, facts)
    answers = together([partial(_stat, path) for path in places.values()], STAT_SECONDS)
    for name, path, answer in zip(places, places.values(), answers, strict=True):
        if answer is None:
            mend = "mount; dmesg | tail"
            findings.append(Finding("problem", name, f"{path} does not answer", mend))
        elif isinstance(answer, FileNotFoundError):
            continue  # nothing has been written there yet
        elif isinstance(answer, OSError):
            words = f"{path}: {answer.strerror}"
            findings.append(Finding("note", name, words))
        else:
            device, stat = answer
            found.setdefault(device, ([], stat))[0].append(f"{name} {path}")
    return findings + [_disk(names, stat) for names, stat in found.values()]


def minio_data(session: Session, facts: Facts) -> Iterator[Finding]:
    """Where MinIO writes: a volume or a directory of this machine, else the sermons end with the container."""
    for container in facts.minio():
        mounts = _mounts(session, container.id)
        if not mounts:
            mend = "give its service a volume, as the application's compose files have it"
            words = "has no volume: what is uploaded is gone with the container"
            yield Finding("problem", container.name, words, mend)
        for source, target in mounts.items():
            yield Finding("note", container.name, f"{target} is {source}")


def docker_disk(session: Session, facts: Facts) -> Iterator[Finding]:
    """What images and build cache take, and what of it nobody uses."""
    if facts.engine_problem:
        return
    usage = session.engine.disk_usage()
    images = usage.get("Images") or []
    unused = sum(_unique(one) for one in images if not one.get("Containers"))
    cache = sum(one.get("Size", 0) for one in usage.get("BuildCache") or [] if not one.get("InUse"))
    words = f"images {size(usage.get('LayersSize') or 0)}, of it unused up to {size(unused)}; build cache {size(cache)}"
    much = unused + cache > 1024**3
    yield Finding("note" if much else "ok", "Docker's disk", words, CLEAN if much else "")


def container_logs(_: Session, facts: Facts) -> Iterator[Finding]:
    """A log without a limit fills the disk in the end."""
    for container in facts.containers:
        try:
            length = Path(container.log_path).stat().st_size if container.log_path else 0
        except OSError:
            continue  # only root may look at them
        if length > LARGE_LOG_BYTES:
            mend = "set logging: options: max-size in its service, then sermon-recovery restart-services"
            yield Finding("warning", container.name, f"its log has {size(length)}", mend)


def size(count: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit in ("B", "KiB") else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("the last unit takes all")


def _places(session: Session, facts: Facts) -> dict[str, Path]:
    settings = session.settings
    found = {"root": settings.rootfs, "project": settings.compose_project_dir}
    found |= {"backups": settings.backup_dir, "state": settings.state_dir}
    if not facts.engine_problem:
        info = session.engine.info()
        found["Docker"] = Path(str(info.get("DockerRootDir") or "/var/lib/docker"))
        for container in facts.minio():
            found |= {f"MinIO {t}": Path(s) for s, t in _mounts(session, container.id).items()}
    return found


def _mounts(session: Session, container_id: str) -> dict[str, str]:
    """Source on this machine to place in the container."""
    try:
        mounts = session.engine.inspect(container_id).get("Mounts") or []
    except EngineError:
        return {}
    return {str(m.get("Source")): str(m.get("Destination")) for m in mounts if m.get("Source")}


def _stat(path: Path) -> tuple[int, os.statvfs_result] | OSError:
    try:
        return path.stat().st_dev, os.statvfs(path)
    except OSError as error:
        return error


def _disk(names: list[str], stat: os.statvfs_result) -> Finding:
    """By what is available to the app, not by what root may still take."""
    total, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
    used_here = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    used = 100 * used_here / (used_here + free) if used_here + free else 0.0
    nodes = 100 * (1 - stat.f_favail / stat.f_files) if stat.f_files else 0.0
    where = ", ".join(names)
    words = f"{used:.0f} % of {size(total)} in use, {size(free)} available ({where})"
    if stat.f_flag & os.ST_RDONLY:
        words = f"is mounted read-only ({where})"
        return Finding(
            "problem", "disk", words, "dmesg | tail: a failing card is remounted so; then reboot"
        )
    if nodes > FAILS:
        return Finding(
            "problem", "disk", f"{nodes:.0f} % of the files it can hold ({where})", CLEAN
        )
    if used > FAILS:
        return Finding("problem", "disk", words, CLEAN)
    return Finding(
        "warning" if used > WARNS else "ok", "disk", words, CLEAN if used > WARNS else ""
    )


def _unique(image: Mapping[str, Any]) -> int:
    """Bytes that no other image shares, where the Engine says so."""
    shared = image.get("SharedSize", 0)
    return max(0, int(image.get("Size", 0)) - max(0, int(shared)))
