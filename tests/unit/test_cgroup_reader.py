"""One container's files, kept open: what changes, what goes away, what is no file at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter import cgroup_reader
from exporter.cgroup_reader import ContainerUsage, Descriptors, KeptFiles, read_once
from exporter.cgroups import CgroupError, Tree
from exporter.container_families import CPU_QUOTA
from target.engine import Container
from tests.unit.test_cgroup_files import NET_DEV, PRESSURE, V1_DISK, V2_DISK
from tests.unit.test_cgroups import ID, write

STARTED = datetime(2026, 3, 7, 9, 15, tzinfo=UTC)
CONTAINER = Container(
    id=ID,
    name="sermon-uploader",
    image="sermon-uploader:v1",
    image_id="sha256:1",
    state="running",
    health="healthy",
    exit_code=0,
    oom_killed=False,
    restart_count=0,
    pid=42,
    created_at=STARTED,
    started_at=STARTED,
    finished_at=None,
    tty=False,
    log_path="",
    restart_policy="no",
)
V1_STAT = b"cache 1\nrss 2\npgfault 3\npgmajfault 4\ntotal_cache 40960\ntotal_rss 81920\ntotal_mapped_file 1\ntotal_swap 0\ntotal_pgfault 30\ntotal_pgmajfault 4\ntotal_inactive_file 16384\ntotal_active_file 24576\n"
V2_STAT = b"anon 81920\nfile 40960\nkernel 100\nfile_mapped 1\nfile_dirty 2\nfile_writeback 3\ninactive_file 16384\nactive_file 24576\nworkingset_refault_anon 5\nworkingset_refault_file 6\npgscan 7\npgsteal 8\npgfault 9\npgmajfault 10\n"
CPU_STAT = b"usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 30\n"


def v1(path: str = f"docker/{ID}", pid: int = 42) -> dict[str, bytes]:
    cpu, memory, blkio = f"cpu,cpuacct/{path}", f"memory/{path}", f"blkio/{path}"
    paths = "".join(f"1:{name}:/{path}\n" for name in ("cpu,cpuacct", "memory", "blkio", "pids"))
    return {
        f"cgroup/{cpu}/cpuacct.usage": b"1500000000\n",
        f"cgroup/{cpu}/cpuacct.usage_percpu": b"1000000000 500000000 \n",
        f"cgroup/{cpu}/cpuacct.stat": b"user 100\nsystem 50\n",
        f"cgroup/{cpu}/cpu.stat": b"nr_periods 9\nnr_throttled 2\nthrottled_time 30000\n",
        f"cgroup/{cpu}/cpu.cfs_period_us": b"100000\n",
        f"cgroup/{cpu}/cpu.cfs_quota_us": b"50000\n",
        f"cgroup/{cpu}/cpu.shares": b"1024\n",
        f"cgroup/{memory}/memory.usage_in_bytes": b"100000\n",
        f"cgroup/{memory}/memory.max_usage_in_bytes": b"200000\n",
        f"cgroup/{memory}/memory.failcnt": b"12\n",
        f"cgroup/{memory}/memory.kmem.usage_in_bytes": b"4096\n",
        f"cgroup/{memory}/memory.stat": V1_STAT,
        f"cgroup/{memory}/memory.oom_control": b"oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        f"cgroup/{memory}/memory.limit_in_bytes": b"536870912\n",
        f"cgroup/{memory}/memory.soft_limit_in_bytes": b"9223372036854771712\n",
        f"cgroup/{memory}/memory.memsw.limit_in_bytes": b"1073741824\n",
        f"cgroup/{blkio}/blkio.throttle.io_service_bytes_recursive": V1_DISK,
        f"cgroup/{blkio}/blkio.throttle.io_serviced_recursive": b"254:0 Read 1\n254:0 Write 2\nTotal 3\n",
        f"cgroup/pids/{path}/pids.current": b"3\n",
        f"cgroup/pids/{path}/pids.max": b"max\n",
        f"proc/{pid}/cgroup": paths.encode(),
        f"proc/{pid}/net/dev": NET_DEV,
        "proc/partitions": b"major minor  #blocks  name\n\n 254        0  268435456 vda\n",
        "proc/stat": b"cpu  2 0 2\ncpu0 1 0 1\ncpu1 1 0 1\nintr 7\n",
    }


def v2(path: str = f"system.slice/docker-{ID}.scope", pid: int = 42) -> dict[str, bytes]:
    group = {
        "cpu.stat": CPU_STAT,
        "cpu.max": b"50000 100000\n",
        "cpu.weight": b"39\n",
        "cpu.pressure": PRESSURE,
        "memory.pressure": PRESSURE,
        "io.pressure": PRESSURE,
        "memory.current": b"100000\n",
        "memory.peak": b"200000\n",
        "memory.swap.current": b"0\n",
        "memory.stat": V2_STAT,
        "memory.events": b"low 0\nhigh 1\nmax 2\noom 3\noom_kill 1\n",
        "memory.max": b"536870912\n",
        "memory.min": b"0\n",
        "memory.swap.max": b"max\n",
        "io.stat": V2_DISK,
        "pids.current": b"3\n",
        "pids.max": b"100\n",
    }
    return {
        "cgroup/cgroup.controllers": b"cpuset cpu io memory pids\n",
        **{f"cgroup/{path}/{name}": content for name, content in group.items()},
        f"proc/{pid}/cgroup": f"0::/{path}\n".encode(),
        f"proc/{pid}/net/dev": NET_DEV,
        "proc/partitions": b"major minor  #blocks  name\n\n 254        0  268435456 vda\n",
    }


def usage(
    root: Path, container: Container = CONTAINER, descriptors: Descriptors | None = None
) -> ContainerUsage:
    tree = Tree(root / "cgroup", root / "proc")
    return ContainerUsage(tree, container, descriptors or Descriptors(), str)


def named(reader: ContainerUsage) -> dict[str, float]:
    """Value by family; of those with several series the last."""
    values: Sequence[bytes] = reader.read()
    assert reader.layout is not None
    found, at = {}, 0
    for slot in reader.layout.slots:
        width = 2 if slot.digits else 1
        if slot.family is not None:
            name = slot.family.name.removeprefix("container_")
            found[name] = float(b".".join(values[at : at + width]))
        at += width
    assert at == len(values)
    return found


@pytest.mark.parametrize("files", [v1(), v2()])
def test_a_container_has_many_series(tmp_path: Path, files: dict[str, bytes]) -> None:
    write(tmp_path, files)
    reader = usage(tmp_path)
    found = named(reader)
    assert found["memory_usage_bytes"] == 100_000
    assert found["memory_working_set_bytes"] == 100_000 - 16_384
    assert found["cpu_cfs_throttled_periods_total"] == 2
    assert found["network_transmit_packets_dropped_total"] == 4
    assert found["threads"] == 3
    assert reader.kernel_kills == 1
    assert reader.layout is not None
    assert len(reader.layout.slots) >= 30
    assert reader.limits.memory == 536_870_912
    assert (reader.limits.cpu_quota, reader.limits.cpu_period) == (50_000, 100_000)


def test_each_reading_is_a_new_one(tmp_path: Path) -> None:
    files = v2()
    write(tmp_path, files)
    reader = usage(tmp_path)
    named(reader)
    layout = reader.layout
    group = f"cgroup/system.slice/docker-{ID}.scope"
    write(
        tmp_path,
        {
            f"{group}/memory.current": b"1\n",
            f"{group}/memory.events": b"low 0\nhigh 1\nmax 2\noom 3\noom_kill 12\n",
        },
    )
    found = named(reader)
    assert found["memory_usage_bytes"] == 1
    assert found["memory_working_set_bytes"] == 0
    assert reader.kernel_kills == 12
    assert reader.layout is layout


@pytest.mark.parametrize(
    ("name", "content", "gone", "kept"),
    [
        ("memory.current", b"", "memory_usage_bytes", "memory_rss"),
        ("memory.current", b"-1\n", "memory_usage_bytes", "memory_rss"),
        ("memory.stat", b"\x00\xff" * 50, "memory_rss", "memory_usage_bytes"),
        ("memory.stat", b"anon max\n", "memory_rss", "memory_usage_bytes"),
        ("memory.stat", b"file 1\nanon 2\n", "memory_mapped_file", "memory_rss"),
        ("io.stat", b"", "fs_reads_total", "memory_rss"),
        ("memory.peak", b"9" * 5000, "memory_max_usage_bytes", "memory_rss"),
    ],
)
def test_a_file_that_turns_strange_costs_its_own_series(
    tmp_path: Path, name: str, content: bytes, gone: str, kept: str
) -> None:
    write(tmp_path, v2())
    reader = usage(tmp_path)
    assert {gone, kept} <= set(named(reader))
    write(tmp_path, {f"cgroup/system.slice/docker-{ID}.scope/{name}": content})
    found = named(reader)
    assert gone not in found
    assert kept in found
    write(tmp_path, v2())
    assert {gone, kept} <= set(named(reader))


def test_a_new_interface_and_another_order_of_keys(tmp_path: Path) -> None:
    write(tmp_path, v2())
    reader = usage(tmp_path)
    before = len(named(reader))
    turned = b"".join(reversed(V2_STAT.splitlines(keepends=True)))
    more = NET_DEV + NET_DEV.splitlines(keepends=True)[-1].replace(b"eth0", b"eth1")
    group = f"cgroup/system.slice/docker-{ID}.scope"
    write(tmp_path, {f"{group}/memory.stat": turned, "proc/42/net/dev": more})
    found = named(reader)
    assert len(found) == before
    assert found["memory_rss"] == 81_920
    assert reader.layout is not None
    assert len([one for one in reader.layout.slots if ("interface", "eth1") in one.labels]) == 8


@pytest.mark.parametrize("files", [v1(), v2()])
@pytest.mark.parametrize("kind", ["missing", "directory", "fifo"])
def test_what_is_optional_may_be_no_file(
    tmp_path: Path, files: dict[str, bytes], kind: str
) -> None:
    required = ("cpuacct.usage", "cpu.stat", "cpuacct.usage_percpu")
    optional = [name for name in files if "cgroup/" in name and not name.endswith(required)]
    for name in [one for one in optional if "cgroup.controllers" not in one]:
        files = {key: content for key, content in files.items() if key != name}
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            (tmp_path / name).mkdir()
        elif kind == "fifo":
            os.mkfifo(tmp_path / name)
    write(tmp_path, files)
    found = named(usage(tmp_path))
    assert found["cpu_usage_seconds_total"] > 0
    assert not [name for name in found if name.startswith("memory")]


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "empty"])
def test_without_its_cpu_a_group_is_none(tmp_path: Path, kind: str) -> None:
    files = v2()
    name = f"cgroup/system.slice/docker-{ID}.scope/cpu.stat"
    del files[name]
    write(tmp_path, files)
    if kind == "directory":
        (tmp_path / name).mkdir()
    elif kind == "fifo":
        os.mkfifo(tmp_path / name)
    elif kind == "empty":
        (tmp_path / name).touch()
        assert "cpu_usage_seconds_total" not in named(usage(tmp_path))
        return
    with pytest.raises(CgroupError) as refused:
        usage(tmp_path)
    assert refused.value.reason == "missing"


def test_where_descriptors_run_out_files_are_opened_for_each_reading(tmp_path: Path) -> None:
    write(tmp_path, v2())
    few = Descriptors(most=3)
    reader = usage(tmp_path, descriptors=few)
    expected = named(usage(tmp_path))
    assert named(reader) == expected
    assert few.take(3), "none is taken"


def test_a_lack_of_descriptors_leaves_no_file_out_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optional file that cannot be opened just now is not one that this kernel does not have."""
    write(tmp_path, v2())

    def lacking(path: Path | str) -> bytes:
        if "memory.stat" in str(path):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read_once(path)

    with monkeypatch.context() as patched:
        patched.setattr(cgroup_reader, "read_once", lacking)
        with pytest.raises(CgroupError, match="Too many open files") as refused:
            usage(tmp_path)
    assert refused.value.reason == "missing"
    assert named(usage(tmp_path))["memory_rss"] == 81_920


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    write(tmp_path, v2())
    open_before = _open_now()
    reader = usage(tmp_path)
    named(reader)
    assert _open_now() > open_before
    reader.close()
    assert _open_now() == open_before


def test_a_closed_group_is_opened_by_its_path_once(tmp_path: Path) -> None:
    """As after ENODEV, which a file of a test cannot answer: the first reading fails, the second is of new files."""
    write(tmp_path, v2())
    reader = usage(tmp_path)
    named(reader)
    reader.close()
    assert named(reader)["memory_rss"] == 81_920
    reader.close()
    (tmp_path / "proc/42/cgroup").write_bytes(b"0::/user.slice\n")
    with pytest.raises(CgroupError) as refused:
        reader.read()
    assert refused.value.reason == "process"


def test_a_quota_that_comes_and_goes(tmp_path: Path) -> None:
    write(tmp_path, v2())
    reader = usage(tmp_path)
    assert "cpu_cfs_periods_total" in named(reader)
    limit = tmp_path / f"cgroup/system.slice/docker-{ID}.scope/cpu.max"
    limit.write_bytes(b"max 100000\n")
    assert "cpu_cfs_periods_total" in named(reader), "limits are read when asked for"
    reader.refresh()
    assert "cpu_cfs_periods_total" not in named(reader)
    assert CPU_QUOTA not in dict(reader.limits.told())
    limit.write_bytes(b"50000 100000\n")
    reader.refresh()
    assert "cpu_cfs_periods_total" in named(reader)


def test_another_process_under_the_same_number(tmp_path: Path) -> None:
    write(tmp_path, v2())
    with pytest.raises(CgroupError) as refused:
        usage(tmp_path, replace(CONTAINER, id="f" * 64))
    assert refused.value.reason == "process"


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 500_000)
    kept = KeptFiles([path], Descriptors())
    assert kept.read() == [b"x" * 500_000]
    assert read_once(path) == b"x" * 500_000
    path.write_bytes(b"x" * 3_000_000)
    with pytest.raises(OSError, match="longer"):
        kept.read()
    kept.close()


def _open_now() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
