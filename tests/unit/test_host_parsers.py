"""Files of /proc and /sys to numbers: as real kernels write them, and as none should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.host.disks import parse_diskstats, parse_udev
from exporter.host.load import parse_file_nr, parse_loadavg, parse_pressure
from exporter.host.memory import metric_name, parse_meminfo, parse_vmstat
from exporter.host.mounts import (
    Mount,
    below,
    parse_mountinfo,
    storage,
    without_self_binds,
)
from exporter.host.network import COLUMNS, parse_net_dev
from exporter.host.raspberry_pi import parse_throttled
from exporter.host.rows import all_counts, decimal, sectors
from exporter.host.stat import forward, parse_stat
from exporter.host.thermal import celsius, parse_number
from tests.unit.host_tree import DISKSTATS, MEMINFO, MOUNTINFO, NET_DEV, STAT, UDEV, VMSTAT


def test_stat() -> None:
    stat = parse_stat(STAT)
    assert stat.cpus == {
        "0": [100, 0, 50, 400, 10, 0, 5, 1, 7, 0],
        "2": [200, 5, 50, 50012, 0, 0, 0, 0, 0, 0],
    }
    assert stat.totals == {
        b"intr": b"390448",
        b"ctxt": b"923147",
        b"btime": b"1767366245",
        b"processes": b"16853",
        b"procs_running": b"2",
        b"procs_blocked": b"0",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\n",
        b"cpu0 1 2 3\n",
        b"cpu0 1 2 3 4 5 6 7 8 9 x\n",
        b"cpu0 1 2 3 4 5 6 7 8 9 -1\n",
        b"ctxt \nintr x\nprocesses 123456789012345678901\n",
        "cpu٣ 1 2 3 4 5 6 7 8 9 10\n".encode(),
    ],
)
def test_a_stat_that_makes_no_sense(content: bytes) -> None:
    assert parse_stat(content) == ({}, {})


def cpu(idle: int, iowait: int = 0) -> list[int]:
    return [9, 9, 9, idle, iowait, 9, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, cpu(5), cpu(5)),
        (cpu(500), cpu(501), cpu(501)),
        (cpu(500, 7), cpu(499, 6), cpu(500, 7)),
        (cpu(500), cpu(201), cpu(500)),
        (cpu(500, 7), cpu(200, 1), cpu(200, 1)),
    ],
)
def test_processor_time_never_falls_but_when_it_starts_anew(
    before: list[int] | None, now: list[int], told: list[int]
) -> None:
    assert forward(before, now) == told


def test_meminfo() -> None:
    meminfo = parse_meminfo(MEMINFO)
    names = [
        metric_name(name.decode(), unit.decode())
        for name, unit in zip(meminfo.names, meminfo.units, strict=True)
    ]
    assert dict(zip(names, meminfo.digits, strict=True)) == {
        "node_memory_MemTotal_bytes": b"3884388",
        "node_memory_MemFree_bytes": b"123456",
        "node_memory_MemAvailable_bytes": b"2310000",
        "node_memory_Active_anon_bytes": b"10240",
        "node_memory_HugePages_Total": b"3",
    }
    with pytest.raises(ValueError, match="no field"):
        parse_meminfo(b"nothing here\n")


def test_vmstat() -> None:
    assert parse_vmstat(VMSTAT) == {
        b"pgpgin": b"1564589",
        b"pgpgout": b"1791768",
        b"pswpin": b"0",
        b"pswpout": b"7",
        b"pgfault": b"5763788",
        b"pgmajfault": b"1491",
        b"oom_kill": b"1",
    }
    assert parse_vmstat(b"oom_kill 3\n") == {b"oom_kill": b"3"}
    assert parse_vmstat(b"pgfault x\npgpgin -1\nxpgpgin 1\npgpgin 1") == {}


def test_loadavg() -> None:
    assert parse_loadavg(b"0.25 1.50 12.00 1/234 5678\n") == (b"0.25", b"1.50", b"12.00")
    for hostile in (b"", b"0.25 1.50\n", b"nan nan nan\n", b"1 2 3\n", b"-1.00 0.00 0.00\n"):
        with pytest.raises(ValueError, match="three load averages"):
            parse_loadavg(hostile)


def test_pressure() -> None:
    content = (
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n"
        b"full avg10=0.00 avg60=0.00 avg300=0.00 total=x\n"
    )
    assert parse_pressure(content) == {b"some": b"12"}
    assert parse_pressure(b"") == {}


def test_file_nr() -> None:
    assert parse_file_nr(b"602\t0\t2466170\n") == (b"602", b"2466170")
    for hostile in (b"", b"1 2", b"1 2 x", b"1 2 3 4"):
        with pytest.raises(ValueError, match="three numbers"):
            parse_file_nr(hostile)


def test_net_dev() -> None:
    interfaces = parse_net_dev(NET_DEV)
    assert list(interfaces) == ["lo", "eth0", "veth12ab", "eth0:1"]
    assert dict(zip(COLUMNS, interfaces["eth0"], strict=True)) == {
        name: b"1000" if place == 1 else b"%d" % place for place, name in enumerate(COLUMNS, 1)
    }
    assert list(parse_net_dev(NET_DEV, (b"veth",))) == ["lo", "eth0", "eth0:1"]
    assert parse_net_dev(b"") == {}


def test_diskstats() -> None:
    disks = parse_diskstats(DISKSTATS)
    assert list(disks) == ["mmcblk0", "sda"]
    assert (disks["mmcblk0"].major, disks["mmcblk0"].minor) == ("179", "0")
    assert len(disks["mmcblk0"].columns) == 17
    assert len(disks["sda"].columns) == 11
    assert parse_diskstats(b"\xff\n1 2 3\n") == {}


def test_udev() -> None:
    assert parse_udev(UDEV) == {
        "ID_PATH": "platform-fe340000.mmc",
        "ID_SERIAL": "0x1234abcd",
        "ID_MODEL": "",
    }


def test_mounts() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert len(mounts) == 10
    assert storage(mounts) == [
        Mount("/dev/mmcblk0p2", "/", "ext4", False, "179", "2"),
        Mount("/dev/mmcblk0p1", "/boot/firmware", "vfat", True, "179", "1"),
        Mount("/dev/sda1", "/opt/minio data", "ext4", False, "8", "1"),
        Mount("nas:/archive", "/mnt/archive", "nfs4", True, "0", "32"),
    ]


def test_an_overlay_is_storage_only_as_the_root() -> None:
    mounts = parse_mountinfo(
        b"1 0 0:20 / / rw - overlay overlay rw\n2 1 0:21 / /x rw - overlay overlay rw\n"
    )
    assert storage(mounts) == [Mount("overlay", "/", "overlay", False, "0", "20")]


def test_the_host_as_our_container_sees_it() -> None:
    mounts = parse_mountinfo(
        b"1 0 0:20 / / rw - overlay overlay rw\n"
        b"2 1 8:1 / /host/root ro - ext4 /dev/a rw\n"
        b"3 2 8:2 / /host/root/opt/minio-data rw - ext4 /dev/b ro\n"
        b"4 1 8:1 /x /etc/hosts rw - ext4 /dev/a rw\n"
        b"5 1 8:3 / /host/rootless rw - ext4 /dev/c rw\n",
        seen_from_outside=True,
    )
    assert storage(mounts, "/host/root") == [
        Mount("/dev/a", "/", "ext4", False, "8", "1"),
        Mount("/dev/b", "/opt/minio-data", "ext4", True, "8", "2"),
    ]


def test_directories_that_systemd_keeps_writable_are_no_disks() -> None:
    """ProtectSystem=strict with StateDirectory=; a bind of other files and a disk of its own stay."""
    mounts = parse_mountinfo(
        b"1 0 8:1 / / ro - ext4 /dev/a rw\n"
        b"2 1 8:2 / /opt ro - ext4 /dev/b rw\n"
        b"3 1 8:1 /var/lib/sermon-monitor /var/lib/sermon-monitor rw - ext4 /dev/a rw\n"
        b"4 2 8:2 /app /opt/app rw - ext4 /dev/b rw\n"
        b"5 1 8:1 /srv/data /mnt/data rw - ext4 /dev/a rw\n",
        seen_from_outside=True,
    )
    assert [m.mountpoint for m in without_self_binds(mounts)] == ["/", "/opt", "/mnt/data"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"1 2 3",
        b"1 0 8:1 / /x rw shared:1 master:2",
        b"1 0 8:1 / /x rw - ext4",
        b"1 0 eight / /x rw - ext4 /dev/a rw",
        b"1 0 8: / /x rw - ext4 /dev/a rw",
    ],
)
def test_a_mount_that_makes_no_sense(line: bytes) -> None:
    assert parse_mountinfo(line + b"\n") == []


def test_a_path_that_is_no_text() -> None:
    (mount,) = parse_mountinfo(b"1 0 8:1 / /x\xff\\134\\011y rw - ext4 /dev/a rw\n")
    assert mount.mountpoint == "/x\udcff\\\ty"


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


@pytest.mark.parametrize(
    ("content", "held"),
    [
        (b"0\n", set()),
        (b"1\n", {"under_voltage"}),
        (b"0x50005\n", {"under_voltage", "throttled"}),
        (b"80002", {"frequency_capped", "soft_temperature_limit"}),
        (b"ffffffff", {"under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"}),
    ],
)
def test_what_the_firmware_does(content: bytes, held: set[str]) -> None:
    conditions = parse_throttled(content)
    assert {name for name, holds in conditions.items() if holds} == held


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"1_0", b"123456789", b"throttled=0x0"])
def test_what_the_firmware_never_says(content: bytes) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        parse_throttled(content)


def test_temperatures() -> None:
    assert celsius(parse_number(b"48686\n")) == b"48.686"
    assert celsius(parse_number(b"-500\n")) == b"-0.500"
    assert celsius(parse_number(b"0")) == b"0.000"
    for hostile in (b"", b"1.5", b"x", b"99999999999"):
        with pytest.raises(ValueError, match="whole number"):
            parse_number(hostile)


@given(st.integers(0, 2**64 - 1), st.integers(1, 9))
def test_a_decimal_is_exact(value: int, places: int) -> None:
    whole, _, fraction = decimal(b"%d" % value, places).partition(b".")
    assert int(whole) * 10**places + int(fraction) == value
    assert len(fraction) == places


def test_digits() -> None:
    assert sectors(b"2048") == b"1048576"
    assert all_counts([b"0", b"18446744073709551615"])
    for hostile in ([], [b""], [b"1", b""], [b"-1"], [b"1.0"], [b"1" * 21], [b"\xb2"]):
        assert not all_counts(hostile)


@given(st.binary(max_size=300))
def test_no_content_breaks_a_parser(content: bytes) -> None:
    for parse in (parse_stat, parse_vmstat, parse_pressure, parse_net_dev, parse_diskstats):
        parse(content)
    parse_udev(content)
    parse_mountinfo(content)
