"""Who listens on this machine's ports: the kernel's tables, and a name only where one is asked for."""

from __future__ import annotations

import os
import socket

import psutil
import pytest

from recovery.ports import listened_on, listening, taken
from target.compose import Project, Service
from tests.unit.recovery_kit import backend, project

IPV4 = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2328 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0000000000000000 20 4 30 10 -1
"""
IPV6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
"""


@pytest.mark.parametrize(("table", "ports"), [(IPV4, [8000]), (IPV6, [80]), ("", [])])
def test_the_kernels_tables(table: str, ports: list[int]) -> None:
    assert list(listened_on(table)) == ports


def test_this_machine_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        assert port in listening()
        assert listening()[port] == f"{psutil.Process().name()} (pid {os.getpid()})"
        with socket.create_connection(("127.0.0.1", port)) as caller:
            assert caller.getsockname()[1] not in listening()
    assert port not in listening()


def test_a_port_that_its_own_container_serves_is_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nobody is looked up for it."""
    app: Project = project(Service("backend", "", "sermon-uploader:v1", False, (), (8000,)))
    assert taken(app, (backend(state="exited"),), {8000: "nginx"}) == {"backend": {8000: "nginx"}}
    assert taken(app, (backend(state="exited"),), {80: "nginx"}) == {}
    monkeypatch.delattr(psutil, "net_connections")
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        served = project(Service("backend", "", "sermon-uploader:v1", False, (), (port,)))
        assert taken(served, (backend(),), listening()) == {}
