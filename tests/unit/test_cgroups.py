"""Where a container's control group is, in both versions: real samples, hostile paths, and what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.cgroups import CgroupError, Tree, group_path, parse_proc_cgroup

ID = "6542aa67ab45" + "0" * 52


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "cgroup", tmp_path / "proc")


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
        (f"/../{ID}", "path"),
        ("/..", "path"),
        ("", "path"),
        (f"docker/{ID}", "path"),
        ("/", "process"),
        ("/user.slice/session-1.scope", "process"),
    ],
)
def test_paths_that_cannot_be_the_containers(path: str, reason: str) -> None:
    with pytest.raises(CgroupError) as refused:
        group_path({"": path}, "", ID)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"/docker/{ID}", f"/docker/{ID}"),
        (f"/system.slice/docker-{ID}.scope", f"/system.slice/docker-{ID}.scope"),
        (f"/ours/nested/{ID}", f"/ours/nested/{ID}"),
        (
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope",
            f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope",
        ),
        # What a container makes inside of its own group is part of it.
        (f"/docker/{ID}/init", f"/docker/{ID}"),
        (f"/system.slice/docker-{ID}.scope/init.scope", f"/system.slice/docker-{ID}.scope"),
    ],
)
def test_wherever_docker_makes_its_groups(path: str, group: str) -> None:
    assert group_path({"": path}, "", ID) == group


def test_a_process_outside_the_hierarchy() -> None:
    with pytest.raises(CgroupError) as refused:
        group_path({"memory": "/x"}, "cpuacct", ID)
    assert refused.value.reason == "missing"


def test_version_2(tmp_path: Path) -> None:
    path = f"system.slice/docker-{ID}.scope"
    write(
        tmp_path,
        {
            "cgroup/cgroup.controllers": b"cpuset cpu io memory pids\n",
            f"cgroup/{path}/cpu.stat": b"",
            "proc/42/cgroup": f"0::/{path}\n".encode(),
        },
    )
    groups = tree(tmp_path)
    group = groups.find(42, ID)
    assert (groups.version, groups.memory_available()) == (2, True)
    assert (group.version, group.path) == (2, "/" + path)
    assert group.directories["memory"] == tmp_path / "cgroup" / path


def test_version_2_without_the_memory_controller(tmp_path: Path) -> None:
    """A Raspberry Pi as it comes."""
    write(tmp_path, {"cgroup/cgroup.controllers": b"cpuset cpu io pids\n"})
    assert tree(tmp_path).memory_available() is False


@pytest.mark.parametrize("hierarchy", ["cpuacct", "cpu,cpuacct", "cpuacct,cpu"])
@pytest.mark.parametrize("hybrid", [False, True])
def test_version_1(tmp_path: Path, hierarchy: str, *, hybrid: bool) -> None:
    content = f"4:memory:/docker/{ID}\n3:{hierarchy}:/docker/{ID}\n0::/docker/{ID}\n"
    files = {
        f"cgroup/{hierarchy}/docker/{ID}/cpuacct.usage": b"1500000000\n",
        f"cgroup/memory/docker/{ID}/memory.usage_in_bytes": b"100000\n",
        "proc/42/cgroup": content.encode(),
    }
    if hybrid:
        files["cgroup/unified/cgroup.controllers"] = b"\n"
    write(tmp_path, files)
    groups = tree(tmp_path)
    group = groups.find(42, ID)
    assert (groups.version, groups.memory_available()) == (1, True)
    assert (group.version, group.path) == (1, f"/docker/{ID}")
    assert group.directories["cpuacct"] == tmp_path / "cgroup" / hierarchy / "docker" / ID
    assert "pids" not in group.directories


def test_version_1_without_the_memory_controller(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            f"cgroup/cpuacct/docker/{ID}/cpuacct.usage": b"1\n",
            "proc/42/cgroup": f"3:cpuacct:/docker/{ID}\n".encode(),
        },
    )
    assert tree(tmp_path).memory_available() is False
    assert "memory" not in tree(tmp_path).find(42, ID).directories


def test_nothing_there(tmp_path: Path) -> None:
    groups = tree(tmp_path)
    assert (groups.version, groups.memory_available()) == (None, None)
    with pytest.raises(CgroupError) as refused:
        groups.find(42, ID)
    assert refused.value.reason == "process"
    write(tmp_path, {"proc/42/cgroup": f"0::/docker/{ID}\n".encode()})
    with pytest.raises(CgroupError) as refused:
        groups.find(42, ID)
    assert refused.value.reason == "missing"
