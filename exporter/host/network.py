"""/proc/PID/net/dev: the counters of the host's network interfaces. Format: proc_pid_net(5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile
from exporter.host.rows import Column, Table, all_counts

RECEIVE = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
TRANSMIT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
COLUMNS = (
    *(f"receive_{name}" for name in RECEIVE),
    *(f"transmit_{name}" for name in TRANSMIT),
)
OF_CONTAINERS = (b"veth", b"cali")
"""The host's ends of containers' links, which come and go with every recreation."""


def parse_net_dev(content: bytes, without: tuple[bytes, ...] = ()) -> dict[str, list[bytes]]:
    """The sixteen counters of each interface, in the order of COLUMNS; none that begins like ``without``."""
    interfaces = {}
    for padded in content.split(b"\n")[2:]:
        line = padded.lstrip()
        if line.startswith(without):
            continue
        name, colon, rest = line.rpartition(b":")
        numbers = rest.split()[: len(COLUMNS)]
        if colon and len(numbers) == len(COLUMNS) and all_counts(numbers):
            interfaces[name.decode(errors="replace")] = numbers
    return interfaces


class NetworkArea:
    """Those of init's network namespace, which is the host's.

    Where init's cannot be read, our own serve, but not in a container: there they are not the host's.
    """

    name = "netdev"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._of_init = KeptFile(proc / "1/net/dev")
        self._ours = KeptFile(proc / "net/dev") if proc == Path("/proc") else None
        self._table = Table("device", [Column(_family(name)) for name in COLUMNS])

    def read(self) -> Sequence[Samples]:
        try:
            content = self._of_init.read()
        except OSError:
            if self._ours is None:
                raise
            content = self._ours.read()
        return self._table.samples(parse_net_dev(content, OF_CONTAINERS))


def _family(name: str) -> Family:
    return Family(f"node_network_{name}_total", "counter", f"Network device statistic {name}.")
