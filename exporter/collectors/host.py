"""The machine: CPU, memory, filesystems, load, network, disks, by node_exporter's names and meanings."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.context import Context
from exporter.exposition import Samples, from_metrics
from exporter.filesystems import Filesystem, Filesystems
from exporter.procfs import (
    DISK_FIELDS,
    NET_COLUMNS,
    Mount,
    host_interfaces,
    parse_cpu,
    parse_diskstats,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
)
from exporter.scrape import CollectorError, Reading

Part = Callable[[], Iterable[Metric]]


class HostCollector:
    """Reads PROC_ROOT and asks the filesystems below ROOTFS."""

    name = "host"

    def __init__(self, context: Context) -> None:
        self._proc = context.settings.proc_root
        self._rootfs = context.settings.rootfs
        self._filesystems = Filesystems(self._proc, self._rootfs)
        psutil.PROCFS_PATH = str(self._proc)

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        return self._read

    def _read(self) -> Sequence[Samples]:
        """What can be read; a file that cannot is a failure beside the rest."""
        families: list[Metric] = []
        problems: list[str] = []
        mounts: list[Mount] = []
        parts: tuple[Part, ...] = (
            lambda: cpu_families(parse_cpu(self._bytes("stat"))),
            lambda: memory_families(parse_meminfo(self._bytes("meminfo"))),
            lambda: load_families(parse_loadavg(self._bytes("loadavg"))),
            lambda: network_families(host_interfaces(parse_net_dev(self._net_dev()))),
            lambda: disk_families(parse_diskstats(self._bytes("diskstats"))),
            self._identity,
            lambda: self._mounts(mounts),
        )
        for part in parts:
            try:
                families.extend(part())
            except (OSError, ValueError, RuntimeError) as error:
                problems.append(f"{type(error).__name__}: {error}"[:200])
        families += filesystem_families(self._filesystems.ask(mounts))
        if problems:
            raise CollectorError("; ".join(problems), from_metrics(families))
        return from_metrics(families)

    def _mounts(self, found: list[Mount]) -> Iterable[Metric]:
        """They are asked later, each in a thread of its own."""
        found.extend(self._filesystems.mounts())
        return ()

    def _bytes(self, name: str) -> bytes:
        return (self._proc / name).read_bytes()

    def _net_dev(self) -> bytes:
        """Init's network namespace is the host's; ``net`` itself would be that of whoever reads."""
        try:
            return self._bytes("1/net/dev")
        except OSError:
            return self._bytes("net/dev")

    def _identity(self) -> Iterable[Metric]:
        uname = os.uname()
        labels = {
            "sysname": uname.sysname,
            "release": uname.release,
            "version": uname.version,
            "machine": uname.machine,
            "nodename": self._nodename(uname.nodename),
            "domainname": self._domainname(),
        }
        info = GaugeMetricFamily(
            "node_uname_info", "The kernel, as uname tells it.", labels=list(labels)
        )
        info.add_metric(list(labels.values()), 1)
        boot = psutil.boot_time()
        return [
            info,
            GaugeMetricFamily("node_boot_time_seconds", "Unix time of the last boot.", value=boot),
            GaugeMetricFamily("node_time_seconds", "Unix time now.", value=time.time()),
        ]

    def _nodename(self, ours: str) -> str:
        """In a container uname gives the container's name; the host's stands in its root."""
        if self._rootfs == Path("/"):
            return ours
        try:
            return (self._rootfs / "etc/hostname").read_text(errors="replace").strip() or ours
        except OSError:
            return ours

    def _domainname(self) -> str:
        try:
            return self._bytes("sys/kernel/domainname").decode(errors="replace").strip()
        except OSError:
            return "(none)"


def cpu_families(cpus: Mapping[str, Mapping[str, float]]) -> Iterable[Metric]:
    family = CounterMetricFamily(
        "node_cpu_seconds", "Seconds each CPU spent in each mode.", labels=["cpu", "mode"]
    )
    for cpu, modes in cpus.items():
        for mode, seconds in modes.items():
            family.add_metric([cpu, mode], seconds)
    yield family


def memory_families(memory: Mapping[str, int]) -> Iterable[Metric]:
    for name, value in memory.items():
        yield GaugeMetricFamily(
            f"node_memory_{name}", f"Memory information field {name}.", value=value
        )


def load_families(load: tuple[float, float, float]) -> Iterable[Metric]:
    for minutes, value in zip((1, 5, 15), load, strict=True):
        yield GaugeMetricFamily(f"node_load{minutes}", f"{minutes}m load average.", value=value)


def network_families(interfaces: Mapping[str, Mapping[str, int]]) -> Iterable[Metric]:
    for column in NET_COLUMNS:
        family = CounterMetricFamily(
            f"node_network_{column}", f"Network device statistic {column}.", labels=["device"]
        )
        for device, values in interfaces.items():
            family.add_metric([device], values[column])
        yield family


def disk_families(disks: Mapping[str, Mapping[str, float]]) -> Iterable[Metric]:
    for column in DISK_FIELDS:
        kind = GaugeMetricFamily if column.name == "io_now" else CounterMetricFamily
        family = kind(f"node_disk_{column.name}", column.help, labels=["device"])
        for device, values in disks.items():
            if column.name in values:
                family.add_metric([device], values[column.name])
        yield family


_FILESYSTEM_HELP = {
    "size_bytes": "Filesystem size in bytes.",
    "free_bytes": "Filesystem free space in bytes.",
    "avail_bytes": "Filesystem space available to users who are not root, in bytes.",
    "files": "Filesystem total file nodes.",
    "files_free": "Filesystem free file nodes.",
}


def filesystem_families(filesystems: Sequence[Filesystem]) -> list[Metric]:
    """A filesystem that did not answer has no sizes, and device_error 1."""
    labels = ["device", "fstype", "mountpoint"]
    sizes = {
        name: GaugeMetricFamily(f"node_filesystem_{name}", text, labels=labels)
        for name, text in _FILESYSTEM_HELP.items()
    }
    readonly = GaugeMetricFamily(
        "node_filesystem_readonly", "Whether it is mounted read-only.", labels=labels
    )
    broken = GaugeMetricFamily(
        "node_filesystem_device_error", "Whether it failed to tell its sizes.", labels=labels
    )
    for one in filesystems:
        values = [_printable(text) for text in (one.mount.device, one.mount.fstype)]
        values.append(_printable(one.mount.mountpoint))
        readonly.add_metric(values, float(one.mount.readonly))
        broken.add_metric(values, float(one.size is None))
        if one.size is not None:
            numbers = (one.size, one.free, one.avail, one.files, one.files_free)
            for family, number in zip(sizes.values(), numbers, strict=True):
                family.add_metric(values, number)
    return [*sizes.values(), readonly, broken]


def _printable(text: str) -> str:
    """A path may hold bytes that are no UTF-8; a label may not."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
