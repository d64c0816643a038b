"""Where a container's control group is, in both versions of cgroups.

Files and mounts: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst;
``/proc/PID/cgroup``: cgroups(7). Where Docker makes its groups does not matter: the process says it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("cpuacct", "cpu", "memory", "blkio", "pids")
"""Of version 1, that are read here; the first tells the group's path."""
_CPU = re.compile(rb"^cpu\d+ ", re.MULTILINE)


class CgroupError(Exception):
    """The group cannot be read. ``reason`` is one of REASONS."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


REASONS = ("path", "missing", "process")
"""path: refused, as a private cgroup namespace shows it; missing: no such files; process: no /proc/PID."""


@dataclass(frozen=True)
class Group:
    """One container's control group. ``directories`` is by controller; in version 2 all are the same."""

    version: int
    path: str
    """Below the hierarchy's root: the label ``id``."""
    directories: Mapping[str, Path]


def parse_proc_cgroup(content: bytes) -> dict[str, str]:
    """Path by controller, from ``/proc/PID/cgroup``; the unified hierarchy's controller is ``""``."""
    paths = {}
    for line in content.decode(errors="surrogateescape").splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def group_path(paths: Mapping[str, str], controller: str, container_id: str) -> str:
    """The container's group below the hierarchy's root. Raises CgroupError for what cannot be its.

    A path that leaves the root is what a private cgroup namespace shows of another; a path without
    the container's id belongs to a process that has taken over a dead one's number. What comes after
    the id is a group that the container has made in its own.
    """
    if controller not in paths:
        raise CgroupError("missing", f"the process is in no control group of {controller or 'v2'}")
    path = paths[controller]
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts:
        raise CgroupError(
            "path", f"control group {path!r}: not to be seen from our cgroup namespace"
        )
    for number, part in enumerate(parts):
        if container_id in part:
            return "/".join(parts[: number + 1])
    raise CgroupError("process", "the process is no longer the container's")


class Tree:
    """The groups below CGROUP_ROOT of processes below PROC_ROOT."""

    def __init__(self, cgroup_root: Path, proc_root: Path) -> None:
        self.root = cgroup_root
        self.proc = proc_root

    @property
    def version(self) -> int | None:
        """2, 1, or None where there are no control groups; a hybrid is 1."""
        if (self.root / "cgroup.controllers").is_file():
            return 2
        return 1 if self._v1_root(CONTROLLERS[0]) else None

    def memory_available(self) -> bool | None:
        """Whether the kernel has the memory controller switched on; a Raspberry Pi's has not by default."""
        version = self.version
        if version == 2:
            try:
                return b"memory" in (self.root / "cgroup.controllers").read_bytes().split()
            except OSError:
                return None
        return None if version is None else self._v1_root("memory") is not None

    def online_cpus(self) -> int:
        """How many there are, by /proc/stat: the host's, also from inside of a container."""
        try:
            content = (self.proc / "stat").read_bytes()
        except OSError:
            content = b""
        return len(_CPU.findall(content)) or os.cpu_count() or 1

    def find(self, pid: int, container_id: str) -> Group:
        """The group of the container whose first process is ``pid``. Raises CgroupError."""
        try:
            paths = parse_proc_cgroup((self.proc / str(pid) / "cgroup").read_bytes())
        except OSError as error:
            raise CgroupError("process", f"/proc/{pid}/cgroup: {error.strerror}") from error
        version = self.version
        if version is None:
            raise CgroupError("missing", f"no control groups below {self.root}")
        if version == 2:
            path = group_path(paths, "", container_id)
            directory = self.root / path.lstrip("/")
            return Group(2, path, dict.fromkeys(CONTROLLERS, directory))
        return self._v1(paths, container_id)

    def _v1(self, paths: Mapping[str, str], container_id: str) -> Group:
        path = group_path(paths, CONTROLLERS[0], container_id)
        directories = {}
        for controller in CONTROLLERS:
            root = self._v1_root(controller)
            if root is not None and controller in paths:
                its = group_path(paths, controller, container_id)
                directories[controller] = root / its.lstrip("/")
        return Group(1, path, directories)

    def _v1_root(self, controller: str) -> Path | None:
        """Its mount, alone or together with others: ``cpu,cpuacct``."""
        if (self.root / controller).is_dir():
            return self.root / controller
        for directory in sorted(self.root.glob(f"*{controller}*")):
            if controller in directory.name.split(",") and directory.is_dir():
                return directory
        return None
