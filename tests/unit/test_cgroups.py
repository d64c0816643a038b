"""Control groups of both versions: real samples, hostile paths, and what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.cgroups import (
    CgroupError,
    Cgroups,
    Cpu,
    Memory,
    cpu_v1,
    cpu_v2,
    group_path,
    memory_v1,
    memory_v2,
    parse_limit,
    parse_pairs,
    parse_proc_cgroup,
)

ID = "6542aa67ab45" + "0" * 52
V1_STAT = b"""cache 4096
rss 8192
inactive_file 1
total_cache 40960
total_rss 81920
total_inactive_file 16384
"""
V2_STAT = b"anon 81920\nfile 40960\nkernel 100\ninactive_file 16384\nactive_file 24576\n"
CPU_STAT = b"usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 0\n"


def test_cpu() -> None:
    assert cpu_v1(b"1500000000\n", b"user 100\nsystem 50\n") == Cpu(1.5, 1.0, 0.5)
    assert cpu_v2(CPU_STAT) == Cpu(1.5, 1.0, 0.5)
    with pytest.raises(ValueError, match="usage_usec"):
        cpu_v2(b"nr_periods 0\n")


def test_memory() -> None:
    expected = Memory(
        usage=100_000, working_set=83_616, rss=81_920, cache=40_960, limit=536_870_912
    )
    assert memory_v1(b"100000\n", V1_STAT, b"536870912\n") == expected
    assert memory_v2(b"100000\n", V2_STAT, b"536870912\n") == expected


def test_memory_without_hierarchy() -> None:
    memory = memory_v1(b"100000\n", b"cache 4096\nrss 8192\ninactive_file 1\n", b"max")
    assert (memory.rss, memory.cache, memory.working_set) == (8192, 4096, 99_999)


def test_a_working_set_is_never_negative() -> None:
    assert memory_v2(b"1\n", V2_STAT, b"max").working_set == 0


@pytest.mark.parametrize(
    ("content", "limit"),
    [(b"max\n", 0), (b"9223372036854771712\n", 0), (b"536870912\n", 536_870_912)],
)
def test_limits(content: bytes, limit: int) -> None:
    assert parse_limit(content) == limit


def test_lines_that_are_no_pairs_are_left_out() -> None:
    assert parse_pairs(b"a 1\nb\n\n c 2\nd -1\ne x\nf 3\n") == {"a": 1, "f": 3}


def test_proc_cgroup() -> None:
    content = f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n0::/system.slice\nrubbish\n"
    paths = parse_proc_cgroup(content.encode())
    assert paths["memory"] == paths["cpuacct"] == f"/docker/{ID}"
    assert paths[""] == "/system.slice"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/../../etc", "path"),
        (f"/docker/../{ID}", "path"),
        ("/..", "path"),
        (f"docker/{ID}", "path"),
        ("/user.slice/session-1.scope", "process"),
    ],
)
def test_paths_that_cannot_be_the_containers(path: str, reason: str) -> None:
    with pytest.raises(CgroupError) as refused:
        group_path({"": path}, ("",), ID)
    assert refused.value.reason == reason


def test_a_process_outside_the_hierarchy() -> None:
    with pytest.raises(CgroupError) as refused:
        group_path({"memory": "/x"}, ("",), ID)
    assert refused.value.reason == "missing"


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tree(tmp_path: Path) -> Cgroups:
    return Cgroups(tmp_path / "cgroup", tmp_path / "proc")


def test_version_2_with_the_systemd_driver(tmp_path: Path) -> None:
    path = f"system.slice/docker-{ID}.scope"
    write(
        tmp_path,
        {
            "cgroup/cgroup.controllers": b"cpuset cpu io memory pids\n",
            f"cgroup/{path}/cpu.stat": CPU_STAT,
            f"cgroup/{path}/memory.current": b"100000\n",
            f"cgroup/{path}/memory.stat": V2_STAT,
            f"cgroup/{path}/memory.max": b"max\n",
            "proc/42/cgroup": f"0::/{path}\n".encode(),
        },
    )
    groups = tree(tmp_path)
    usage = groups.read(42, ID)
    assert groups.memory_available()
    assert usage.path == "/" + path
    assert usage.memory is not None
    assert usage.memory.limit == 0


def test_version_2_without_the_memory_controller(tmp_path: Path) -> None:
    """A Raspberry Pi as it comes."""
    write(
        tmp_path,
        {
            "cgroup/cgroup.controllers": b"cpuset cpu io pids\n",
            f"cgroup/docker/{ID}/cpu.stat": CPU_STAT,
            "proc/42/cgroup": f"0::/docker/{ID}\n".encode(),
        },
    )
    groups = tree(tmp_path)
    assert not groups.memory_available()
    usage = groups.read(42, ID)
    assert usage.cpu == Cpu(1.5, 1.0, 0.5)
    assert usage.memory is None


@pytest.mark.parametrize("hierarchy", ["cpuacct", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, hierarchy: str) -> None:
    write(
        tmp_path,
        {
            f"cgroup/{hierarchy}/docker/{ID}/cpuacct.usage": b"1500000000\n",
            f"cgroup/{hierarchy}/docker/{ID}/cpuacct.stat": b"user 100\nsystem 50\n",
            f"cgroup/memory/docker/{ID}/memory.usage_in_bytes": b"100000\n",
            f"cgroup/memory/docker/{ID}/memory.stat": V1_STAT,
            f"cgroup/memory/docker/{ID}/memory.limit_in_bytes": b"9223372036854771712\n",
            "proc/42/cgroup": f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n".encode(),
        },
    )
    groups = tree(tmp_path)
    assert groups.memory_available()
    usage = groups.read(42, ID)
    assert usage.cpu == Cpu(1.5, 1.0, 0.5)
    assert usage.memory == Memory(100_000, 83_616, 81_920, 40_960, 0)


def test_nothing_there(tmp_path: Path) -> None:
    groups = tree(tmp_path)
    assert not groups.memory_available()
    with pytest.raises(CgroupError) as gone:
        groups.read(42, ID)
    assert gone.value.reason == "process"
    write(tmp_path, {"proc/42/cgroup": f"3:cpu,cpuacct:/docker/{ID}\n".encode()})
    with pytest.raises(CgroupError) as gone:
        groups.read(42, ID)
    assert gone.value.reason == "missing"
