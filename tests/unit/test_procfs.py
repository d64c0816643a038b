"""Files of /proc, as real kernels write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.filesystems import Filesystems, below, storage
from exporter.procfs import (
    Mount,
    host_interfaces,
    parse_cpu,
    parse_diskstats,
    parse_loadavg,
    parse_meminfo,
    parse_mounts,
    parse_net_dev,
)

TICKS = os.sysconf("SC_CLK_TCK")
STAT = b"""cpu  300 0 100 900 10 0 5 0 0 0
cpu0 100 0 50 400 10 0 5 1 0 0
cpu2 200 0 50 500 0 0 0 0 0 0
intr 1 2 3
btime 1767366245
"""
NET_DEV = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
  eth0:1000 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
veth12ab: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
eth0:1: 5 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
broken: 1 2
"""
DISKSTATS = b"""   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11
 179       0 mmcblk0 100 5 2048 1500 50 7 4096 2500 3 4000 4001 1 2 3 4 5 6
   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11
   8       0 sda 1 2 3 4 5 6 7 8 9 10 11
   8      16 sdb
"""
MOUNTS = b"""overlay / overlay rw,relatime 0 0
/dev/mmcblk0p2 / ext4 rw,noatime 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/mmcblk0p1 /boot/firmware vfat ro,relatime 0 0
/dev/sda1 /opt/minio\\040data ext4 rw,rodata=full 0 0
overlay /var/lib/docker/overlay2/abc/merged overlay rw 0 0
/dev/mmcblk0p2 /var/lib/docker/volumes/x ext4 rw 0 0
fuse.lxcfs /var/lib/lxcfs fuse.lxcfs rw 0 0

"""


def test_cpu() -> None:
    cpus = parse_cpu(STAT)
    assert list(cpus) == ["0", "2"]
    assert cpus["0"]["user"] == 100 / TICKS
    assert cpus["0"]["steal"] == 1 / TICKS
    assert set(cpus["2"]) == {
        *("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    }


def test_meminfo() -> None:
    content = b"MemTotal:  4096 kB\nActive(anon):  10 kB\nHugePages_Total:  3\nnonsense\nX: y kB\n"
    assert parse_meminfo(content) == {
        "MemTotal_bytes": 4_194_304,
        "Active_anon_bytes": 10_240,
        "HugePages_Total": 3,
    }


def test_loadavg() -> None:
    assert parse_loadavg(b"0.25 1.50 2.00 1/234 5678\n") == (0.25, 1.5, 2.0)
    with pytest.raises(ValueError, match="not enough"):
        parse_loadavg(b"")


def test_net_dev() -> None:
    interfaces = parse_net_dev(NET_DEV)
    assert list(interfaces) == ["lo", "eth0", "veth12ab", "eth0:1"]
    assert interfaces["eth0"]["receive_bytes"] == 1000
    assert interfaces["eth0"]["receive_multicast"] == 8
    assert interfaces["eth0"]["transmit_bytes"] == 9
    assert interfaces["eth0"]["transmit_compressed"] == 16
    assert list(host_interfaces(interfaces)) == ["lo", "eth0", "eth0:1"]


def test_diskstats() -> None:
    disks = parse_diskstats(DISKSTATS)
    assert list(disks) == ["mmcblk0", "sda"]
    assert disks["mmcblk0"]["read_bytes"] == 2048 * 512
    assert disks["mmcblk0"]["io_now"] == 3
    assert disks["mmcblk0"]["write_time_seconds"] == pytest.approx(2.5)
    assert disks["mmcblk0"]["flush_requests_time_seconds"] == pytest.approx(0.006)
    assert "discards_completed" not in disks["sda"]


def test_storage_among_the_mounts() -> None:
    assert storage(parse_mounts(MOUNTS)) == [
        Mount("/dev/mmcblk0p2", "/", "ext4", False),
        Mount("/dev/mmcblk0p1", "/boot/firmware", "vfat", True),
        Mount("/dev/sda1", "/opt/minio data", "ext4", False),
    ]


def test_an_overlay_is_storage_only_as_the_root() -> None:
    mounts = parse_mounts(b"overlay / overlay rw 0 0\noverlay /x overlay rw 0 0\n")
    assert storage(mounts) == [Mount("overlay", "/", "overlay", False)]


def test_the_host_as_our_container_sees_it() -> None:
    mounts = parse_mounts(
        b"overlay / overlay rw 0 0\n/dev/a /host/root ext4 ro 0 0\n"
        b"/dev/b /host/root/opt/minio-data ext4 rw 0 0\n/dev/a /etc/hosts ext4 rw 0 0\n"
        b"/dev/c /host/rootless ext4 rw 0 0\n"
    )
    assert storage(mounts, "/host/root") == [
        Mount("/dev/a", "/", "ext4", True),
        Mount("/dev/b", "/opt/minio-data", "ext4", False),
    ]


@pytest.mark.parametrize(
    ("path", "prefix", "seen"),
    [
        ("/", "/", "/"),
        ("/opt", "/", "/opt"),
        ("/host", "/host", "/"),
        ("/host/opt", "/host/", "/opt"),
        ("/hosts", "/host", None),
    ],
)
def test_below(path: str, prefix: str, seen: str | None) -> None:
    assert below(path, prefix) == seen


def test_filesystems_are_asked_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "root/data").mkdir(parents=True)
    (tmp_path / "proc/1/mounts").write_bytes(
        b"/dev/a /data ext4 rw 0 0\n/dev/b /gone ext4 rw 0 0\n"
    )
    filesystems = Filesystems(tmp_path / "proc", tmp_path / "root")
    data, gone = filesystems.ask(filesystems.mounts())
    assert data.size is not None
    assert data.size >= data.free >= data.avail > 0
    assert gone.size is None
