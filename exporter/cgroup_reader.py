"""Reads one container's files: descriptors kept open, each file read anew in each scrape.

After the group's removal a kept descriptor answers ENODEV. A kept ``/proc/PID/net/dev`` goes on to
answer for a dead container: so it is opened and closed together with the group's own files.
"""

from __future__ import annotations

import errno
import math
import os
import resource
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

import structlog

from exporter.cgroup_files import DeviceName, File, files, interfaces
from exporter.cgroup_layout import Layout, Locator, tokens_of
from exporter.cgroup_limits import Limits, read_limits
from exporter.cgroups import CgroupError, Group, Tree
from target.engine import Container

FILE_BYTES = 4096
MAY_GO_ON_BYTES = 3072
"""The kernel hands out a table of lines in pages of whole lines: so long an answer may not be all."""
MAX_FILE_BYTES = 1024 * 1024
LEFT_FOR_OTHERS = 256
"""Descriptors that connections, logs and the store may need."""
_WE_LACK = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""It is not the kernel that lacks the file."""
log = structlog.get_logger(__name__)
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Descriptors:
    """How many more may be kept open; where they end, files are opened for each reading instead."""

    def __init__(self, most: int | None = None) -> None:
        """``most`` None: what the process's limit leaves."""
        self._most = most
        self._taken = 0

    def take(self, count: int) -> bool:
        if self._taken + count > (_limit() if self._most is None else self._most):
            return False
        self._taken += count
        return True

    def give_back(self, count: int) -> None:
        self._taken -= count


def raise_descriptor_limit() -> None:
    """The soft limit up to the hard one, which is what it is there for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("limit of open files not raised", soft=soft, hard=hard, reason=str(error))


def _limit() -> float:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if soft == resource.RLIM_INFINITY else soft - LEFT_FOR_OTHERS


class KeptFiles:
    """Files that are read again and again, in one order. Raises OSError when one has gone."""

    def __init__(self, paths: Sequence[Path], descriptors: Descriptors) -> None:
        # As text: a Path takes several times as much, and this is some dozen a container.
        self.paths = tuple(map(os.fspath, paths))
        self._descriptors = descriptors
        self._fds: tuple[int, ...] = ()
        if descriptors.take(len(paths)):
            self._open()

    def read(self) -> list[bytes]:
        if not self._fds:
            return [read_once(path) for path in self.paths]
        blobs = list(map(os.pread, self._fds, repeat(FILE_BYTES), repeat(0)))
        if max(map(len, blobs)) >= MAY_GO_ON_BYTES:
            pairs = zip(self._fds, blobs, strict=True)
            return [
                _whole(fd, blob) if len(blob) >= MAY_GO_ON_BYTES else blob for fd, blob in pairs
            ]
        return blobs

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._descriptors.give_back(len(self._fds))
        self._fds = ()

    def __del__(self) -> None:
        self.close()

    def _open(self) -> None:
        opened: list[int] = []
        try:
            for path in self.paths:
                opened.append(os.open(path, _FLAGS))
        except OSError:
            for fd in opened:
                os.close(fd)
            self._descriptors.give_back(len(self.paths))
        else:
            self._fds = tuple(opened)


def read_once(path: Path | str) -> bytes:
    """The file's bytes; what is no plain file is refused at once, never waited for. Raises OSError."""
    fd = os.open(path, _FLAGS)
    try:
        first = os.pread(fd, FILE_BYTES, 0)
        return _whole(fd, first) if len(first) >= MAY_GO_ON_BYTES else first
    finally:
        os.close(fd)


def _whole(fd: int, first: bytes) -> bytes:
    parts, size = [first], len(first)
    while more := os.pread(fd, MAX_FILE_BYTES, size):
        parts.append(more)
        size += len(more)
        if size > MAX_FILE_BYTES:
            raise OSError(f"longer than {MAX_FILE_BYTES} bytes")
    return b"".join(parts)


def _there(path: Path) -> bool:
    """Whether it can be read. Raises CgroupError where that cannot be told now: nothing is left out for good then."""
    try:
        read_once(path)
    except OSError as error:
        if error.errno in _WE_LACK:
            raise CgroupError("missing", f"{path}: {error.strerror}") from error
        return False
    return True


class ContainerUsage:
    """One run of one container: its group, its limits, and where its values stand."""

    def __init__(
        self, tree: Tree, container: Container, descriptors: Descriptors, device_name: DeviceName
    ) -> None:
        """Opens the group. Raises CgroupError."""
        self._tree = tree
        self._container = container
        self._descriptors = descriptors
        self._device_name = device_name
        self._files: KeptFiles | None = None
        self.group: Group
        self.limits: Limits
        self._open()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read in each scrape."""
        return self._files.paths if self._files else ()

    def read(self) -> list[bytes]:
        """The values of ``layout.slots``. Raises CgroupError when the group has gone."""
        try:
            return self._read()
        except OSError:
            # The same path may be another group by now: look once.
            self._open()
        try:
            return self._read()
        except OSError as error:
            self.close()
            raise CgroupError("missing", f"control group files: {error}") from error

    def refresh(self) -> None:
        """Read the limits again; what follows from them too. Raises CgroupError."""
        before = self.limits
        self.limits = read_limits(self.group)
        if self.limits.has_quota != before.has_quota:
            self._open()

    def close(self) -> None:
        if self._files is not None:
            self._files.close()
            self._files = None

    def _open(self) -> None:
        self.close()
        self.group = self._tree.find(self._container.pid, self._container.id)
        self.limits = read_limits(self.group)
        cpus = self._tree.online_cpus() if self.group.version == 1 else 0
        table = files(self.group.version, cpus, self.limits.has_quota, self._device_name)
        found = self._readable(table)
        self._locators: list[Locator] = [locate for _, locate in found]
        self._files = KeptFiles([path for path, _ in found], self._descriptors)
        self.layout: Layout | None = None
        self.kernel_kills: int | None = None
        self._kills = b""

    def _readable(self, table: Sequence[File]) -> list[tuple[Path, Locator]]:
        found: dict[str, tuple[Path, Locator]] = {}
        for file in table:
            directory = self.group.directories.get(file.controller)
            if directory is None or file.instead_of in found:
                continue
            if _there(directory / file.name):
                found[file.name] = directory / file.name, file.locate
            elif not file.optional:
                raise CgroupError("missing", f"{directory / file.name} cannot be read")
        network = self._tree.proc / str(self._container.pid) / "net/dev"
        if _there(network):  # else it has just ended, or is another user's: no network then
            found["net/dev"] = network, interfaces
        return list(found.values())

    def _read(self) -> list[bytes]:
        if self._files is None:
            raise FileNotFoundError("closed")
        blobs = self._files.read()
        tokens = tokens_of(blobs)
        told = self.layout.values(tokens) if self.layout and self.layout.complete else None
        if told is None:
            self.layout = Layout(blobs, self._locators)
            told = self.layout.values(tokens)
            if told is None:
                raise CgroupError("missing", "control group files that cannot be read as such")
        values, kills = told
        if kills != self._kills:
            self._kills, self.kernel_kills = kills, int(kills or b"0")
        return values
