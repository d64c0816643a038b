"""What is told of a machine, from the files of one: a golden exposition, and what changes or is missing.

``UPDATE_GOLDEN=1 pytest tests/unit/test_host_areas.py`` writes the golden file anew; read it as a diff.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from exporter.exposition import Samples, find, render
from exporter.host import filesystems, kept, raspberry_pi, thermal
from exporter.host.areas import areas
from exporter.host.disks import DisksArea
from exporter.host.filesystems import Asker, FilesystemsArea, may_hang
from exporter.host.kept import KeptFile
from exporter.host.load import PressureArea
from exporter.host.memory import MeminfoArea
from exporter.host.mounts import Mount
from exporter.host.network import NetworkArea
from exporter.host.raspberry_pi import RaspberryPiArea
from exporter.host.rows import Area
from exporter.host.stat import StatArea
from exporter.host.thermal import ThermalArea
from tests.unit.host_tree import FILES, NET_DEV, plant

GOLDEN = Path(__file__).parent / "golden" / "host.txt"
LONG = 30.0
_VARIES = re.compile(
    r"^(node_time_|node_filesystem_(?:size|free|avail|files)|node_uname_info)(\S*) .*$", re.M
)


def told(all_areas: Sequence[Area]) -> list[Samples]:
    return [samples for area in all_areas for samples in area.read()]


def test_the_exposition_of_a_raspberry_pi(tmp_path: Path) -> None:
    proc, root = plant(tmp_path)
    body = render(told(areas(proc, root)), "")[0].decode()
    for part in ("sysname", "release", "version", "machine"):
        body = re.sub(rf'\b{part}="[^"]*"', f'{part}="…"', body)
    body = re.sub(r'time_zone="[^"]*"', 'time_zone="…"', body)
    body = _VARIES.sub(r"\1\2 …", body)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(body)
    assert body == GOLDEN.read_text()


def test_it_says_the_same_twice_and_then_what_has_changed(tmp_path: Path) -> None:
    proc, _ = plant(tmp_path)
    area = NetworkArea(proc)
    before = area.read()
    assert area.read() == before
    # In place: a kernel's file stays the same one.
    with (proc / "1/net/dev").open("r+b") as file:
        file.write(NET_DEV.replace(b"eth0:1:", b"wlan0: "))
    lines = find(area.read(), "node_network_receive_bytes_total")
    assert lines == (
        b'node_network_receive_bytes_total{device="lo"} 1\n'
        b'node_network_receive_bytes_total{device="eth0"} 1000\n'
        b'node_network_receive_bytes_total{device="wlan0"} 5\n'
    )


def test_an_interface_by_a_hostile_name(tmp_path: Path) -> None:
    name = b'a"%d%b\\\xff'
    head, rest = NET_DEV.split(b"lo:", 1)
    proc, _ = plant(tmp_path, {"proc/1/net/dev": head + name + b":" + rest})
    lines = find(NetworkArea(proc).read(), "node_network_transmit_bytes_total")
    assert lines.splitlines()[0] == (
        'node_network_transmit_bytes_total{device="a\\"%d%b\\\\\N{REPLACEMENT CHARACTER}"} 9'.encode()
    )


def test_a_processor_that_goes_offline_and_a_clock_that_falls(tmp_path: Path) -> None:
    proc, _ = plant(tmp_path)
    area = StatArea(proc)
    area.read()
    (proc / "stat").write_bytes(b"cpu2 200 5 50 50000 0 0 0 0 0 0\nbtime 5\n")
    lines = find(area.read(), "node_cpu_seconds_total")
    assert b'cpu="0"' not in lines
    assert b'node_cpu_seconds_total{cpu="2",mode="idle"} 500.12\n' in lines


def test_a_disk_that_appears_later(tmp_path: Path) -> None:
    proc, root = plant(tmp_path)
    area = DisksArea(proc, root / "sys", root)
    area.read()
    with (proc / "diskstats").open("ab") as file:
        file.write(b" 8 48 sdd 9 2 3 4 5 6 7 8 9 10 11\n")
    samples = area.read()
    assert find(samples, "node_disk_info").count(b"\n") == 3
    assert b'node_disk_reads_completed_total{device="sdd"} 9\n' in find(
        samples, "node_disk_reads_completed_total"
    )
    assert b"sdd" not in find(samples, "node_disk_flush_requests_total")


@pytest.mark.parametrize(
    ("file", "area"),
    [
        ("proc/stat", "stat"),
        ("proc/meminfo", "meminfo"),
        ("proc/vmstat", "vmstat"),
        ("proc/loadavg", "loadavg"),
        ("proc/sys/fs/file-nr", "filefd"),
        ("proc/1/net/dev", "netdev"),
        ("proc/diskstats", "diskstats"),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00"])
def test_what_should_be_there_and_is_not(
    tmp_path: Path, file: str, area: str, content: bytes | None
) -> None:
    proc, root = plant(tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    (one,) = (candidate for candidate in areas(proc, root) if candidate.name == area)
    assert not one.optional
    if content is not None and area in ("netdev", "diskstats"):
        assert not any(lines for _, lines in one.read())  # no device is no lie
    else:
        with pytest.raises((OSError, ValueError)):
            one.read()


def test_a_field_that_stands_there_twice_is_no_second_family(tmp_path: Path) -> None:
    proc, _ = plant(tmp_path, {"proc/meminfo": b"MemFree: 1 kB\nMemFree: 2 kB\n"})
    with pytest.raises(ValueError, match="twice"):
        MeminfoArea(proc).read()


def test_a_kernel_without_pressure(tmp_path: Path) -> None:
    proc, _ = plant(tmp_path)
    (proc / "pressure/io").unlink()
    area = PressureArea(proc)
    assert find(area.read(), "node_pressure_cpu_waiting_seconds_total") == (
        b"node_pressure_cpu_waiting_seconds_total 40.099951\n"
    )
    assert not find(area.read(), "node_pressure_io_waiting_seconds_total")
    shutil.rmtree(proc / "pressure")
    area = PressureArea(proc)
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="does not tell"):
            area.read()


def test_a_zone_that_appears_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, root = plant(tmp_path)
    area = ThermalArea(root / "sys")
    assert find(area.read(), "node_thermal_zone_temp").count(b"\n") == 1
    (root / "sys/class/thermal/thermal_zone1/temp").write_bytes(b"-1\n")
    assert find(area.read(), "node_thermal_zone_temp").count(b"\n") == 2
    zone = root / "sys/class/thermal/thermal_zone2"
    zone.mkdir()
    (zone / "type").write_bytes(b"gpu\n")
    (zone / "temp").write_bytes(b"1\n")
    monkeypatch.setattr(thermal, "RELIST_SECONDS", -1.0)
    lines = find(area.read(), "node_thermal_zone_temp")
    assert b'node_thermal_zone_temp{zone="2",type="gpu"} 0.001\n' in lines


PI = {name: content for name, content in FILES.items() if name.startswith(("root/sys", "proc/sys"))}


@pytest.mark.parametrize(
    ("changed", "voltage", "throttled"),
    [
        ({}, b"0", True),
        ({"root/sys/class/hwmon/hwmon1/name": b"another\n"}, b"0", True),
        ({"root/sys/class/hwmon/hwmon1/in0_lcrit_alarm": b"1\n"}, b"1", True),
        (
            {
                "root/sys/class/hwmon/hwmon1/name": b"another\n",
                "root/sys/devices/platform/soc/soc:firmware/get_throttled": b"10000\n",
            },
            b"1",
            True,
        ),
        ({"proc/sys/kernel/panic_on_warn": b"1\n"}, b"0", False),
        ({"root/sys/firmware/devicetree/base/model": b"Rock 5\0"}, None, False),
    ],
)
def test_a_raspberry_pi(
    tmp_path: Path, changed: dict[str, bytes], voltage: bytes | None, throttled: bool
) -> None:
    proc, root = plant(tmp_path, {**PI, **changed})
    samples = RaspberryPiArea(proc, root / "sys").read()
    line = find(samples, "sermon_monitor_rpi_under_voltage")
    assert line == (b"" if voltage is None else b"sermon_monitor_rpi_under_voltage %b\n" % voltage)
    assert bool(find(samples, "sermon_monitor_rpi_throttled")) == throttled


def test_a_raspberry_pis_driver_that_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc, root = plant(tmp_path, PI)
    area = RaspberryPiArea(proc, root / "sys")
    area.read()
    driver = root / "sys/class/hwmon/hwmon1"
    driver.rename(driver.with_name("hwmon7"))
    assert area._alarm is not None
    area._alarm.close()  # the kernel's descriptor would answer with an error
    with pytest.raises(FileNotFoundError):
        area.read()
    monkeypatch.setattr(raspberry_pi, "RELIST_SECONDS", -1.0)
    assert find(area.read(), "sermon_monitor_rpi_under_voltage")


def test_filesystems_are_asked_below_the_root(tmp_path: Path) -> None:
    proc, root = plant(tmp_path)
    samples = FilesystemsArea(proc, root).read()
    sized = find(samples, "node_filesystem_size_bytes").decode()
    assert re.findall('mountpoint="([^"]*)"', sized) == ["/", "/boot/firmware", "/opt/minio data"]
    assert (
        b'node_filesystem_device_error{device="nas:/archive",fstype="nfs4",mountpoint="/mnt/archive"'
        b',device_error="no such file or directory"} 1\n'
    ) in find(samples, "node_filesystem_device_error")


def test_two_paths_that_are_no_text_are_two_series(tmp_path: Path) -> None:
    lines = b"".join(b"1 0 8:1 / /x%b rw - ext4 /dev/a rw\n" % one for one in (b"\xff", b"\xfe"))
    proc, root = plant(tmp_path, {"proc/1/mountinfo": lines})
    found = find(FilesystemsArea(proc, root).read(), "node_filesystem_readonly").splitlines()
    assert len(set(found)) == 2
    assert b'mountpoint="/x\\\\xff"' in found[0]


def mount(point: str, fstype: str) -> Mount:
    return Mount("x", point, fstype, False)


def test_what_may_hang() -> None:
    disk, share = mount("/", "ext4"), mount("/mnt/nas", "cifs")
    below_it, beside_it = mount("/mnt/nas/disk", "vfat"), mount("/mnt/nas2", "xfs")
    unknown = mount("/odd", "ext4.but.not")
    assert may_hang([disk, share, below_it, beside_it, unknown]) == {share, below_it, unknown}


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is not set, nothing that may hang answers."""
    gate = threading.Event()
    asked = filesystems.ask

    def hang(path: str) -> filesystems.Answer:
        if path.endswith("/mnt/archive"):
            gate.wait(LONG)
        return asked(path)

    monkeypatch.setattr(filesystems, "ask", hang)
    monkeypatch.setattr(filesystems, "STATVFS_SECONDS", 0.05)
    yield gate
    gate.set()


def test_a_dead_mount_costs_nobody_else_and_is_asked_once(
    tmp_path: Path, dead: threading.Event
) -> None:
    proc, root = plant(tmp_path)
    (root / "mnt/archive").mkdir(parents=True)
    area = FilesystemsArea(proc, root)
    before = threading.active_count()
    for _ in range(5):
        samples = area.read()
        assert find(samples, "node_filesystem_size_bytes").count(b"\n") == 3
        assert b'device_error="mountpoint timeout"} 1' in find(
            samples, "node_filesystem_device_error"
        )
    assert threading.active_count() == before + 1
    dead.set()
    (asker,) = area._askers.values()
    assert asker._answered.wait(LONG)
    filesystems.STATVFS_SECONDS = LONG
    assert find(area.read(), "node_filesystem_size_bytes").count(b"\n") == 4


def test_the_thread_of_a_mount_ends_with_it(tmp_path: Path) -> None:
    asker = Asker(str(tmp_path))
    asker.begin()
    assert not isinstance(asker.answer(time.monotonic() + LONG), str)
    thread = asker._lane._thread
    assert thread is not None
    asker.close()
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_kept_file_is_opened_anew_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    file = KeptFile(path)
    assert file.read() == b"one"
    os.dup2(os.open(tmp_path, os.O_RDONLY), file.descriptor())  # pread of a directory fails
    path.write_bytes(b"two")
    assert file.read() == b"two"
    path.unlink()
    assert file.read() == b"two"
    file.close()
    with pytest.raises(FileNotFoundError):
        file.read()


def test_a_kept_file_is_read_to_its_end_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 20_000)
    assert KeptFile(path).read() == path.read_bytes()
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="larger than"):
        KeptFile(path).read()
