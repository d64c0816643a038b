"""A real Docker Engine for the tests, beside any that the machine has.

dockerd from Debian's docker.io, in a mount namespace of its own, without iptables: it changes no
firewall rule and no sysctl. So a container reaches its own compose network and the machine (by the
network's gateway) but not the world; published ports are served by docker-proxy. There is no
docker0 (``--bridge=none``): a container without a compose network takes ``--network none`` or ``host``.
"""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import struct
import sysconfig
from pathlib import Path

import docker
import docker.errors
import requests

from tests.real import debian, processes
from tests.real.processes import Process, wait_for

PACKAGES = ("docker.io",)
_LONGEST_SOCKET_PATH = 90  # AF_UNIX allows 107 bytes, and containerd puts a name of its own below


class DockerEngine:
    """One dockerd with all it owns below ``directory``, which should be short (socket paths are limited)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "engine"
        self.socket = self.directory / "docker.sock"
        if len(str(self.socket)) > _LONGEST_SOCKET_PATH:
            raise ValueError(f"{self.socket}: too long for a socket; give a shorter directory")
        self._process: Process | None = None
        self._pool: _Pool | None = None
        self._client: docker.DockerClient | None = None

    @property
    def host(self) -> str:
        """As in DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def client(self) -> docker.DockerClient:
        """The docker SDK's client of this engine, open until stop()."""
        if self._client is None:
            self._client = docker.DockerClient(base_url=self.host, version="auto", timeout=60)
        return self._client

    def open_gateway(self) -> str:
        """Give this machine the address that ``host-gateway`` stands for (docker0's, where there is one); that address."""
        assert self._pool is not None
        if not self.client.networks.list(names=["gateway"]):
            self.docker("network", "create", f"--subnet={self._pool.gateways}", "gateway")
        return self._pool.gateway

    def environment(self) -> dict[str, str]:
        """What the docker command line needs to meet this engine, ``docker compose`` included.

        Enough as a whole environment, and to be laid over os.environ.
        """
        return {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.directory / "config"),
            "DOCKER_BUILDKIT": "0",  # the classic builder: buildkit would want a plugin and a registry
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
        }

    def docker(self, *arguments: str | Path, timeout: float = 120.0) -> str:
        """Run the docker command line; its stdout. Raises AssertionError when it fails."""
        return processes.run(
            ["docker", *arguments], env={**os.environ, **self.environment()}, timeout=timeout
        )

    def start(self) -> None:
        """Start and wait until it answers.

        Raises DebianError where the machine has no engine and we may not install one, or are not root.
        """
        debian.install(*PACKAGES)
        if os.geteuid() != 0:
            raise debian.DebianError("a Docker Engine of our own needs root")
        self.directory.mkdir(parents=True)
        atexit.register(self.stop)
        self._link_compose()
        self._pool = _Pool()
        self._spawn()

    def stop(self) -> None:
        """Remove its containers and networks, end it, delete its data. A second call does nothing."""
        atexit.unregister(self.stop)
        if self._process is not None and self._process.running:
            self._remove_all()
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            # It ends its containerd itself; its mounts go with its namespace.
            self._process.stop(grace_seconds=30)
            self._process = None
        if self._pool is not None:
            self._pool.release()
            self._pool = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def freeze(self) -> None:
        """It accepts connections (the kernel does) and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """End dockerd, and with it its containers; its data stay for ``start_again``."""
        assert self._process is not None
        self._process.stop(grace_seconds=60)

    def start_again(self) -> None:
        self._spawn()

    @property
    def pid(self) -> int:
        """Of dockerd, which its wrappers have become."""
        assert self._process is not None
        return self._process.pid

    def _spawn(self) -> None:
        self._process = processes.spawn(self._command(), self.directory / "dockerd.log")
        wait_for(self._answers, "the Docker Engine", process=self._process)

    def log(self) -> str:
        """The end of dockerd's log."""
        return self._process.tail() if self._process else ""

    def _command(self) -> list[str]:
        assert self._pool is not None
        below = self.directory
        # Docker's long list of calls is compiled anew for each process that is started in a container,
        # health checks among them: a fifth of what one costs, and nothing that is tested here.
        allowing = below / "seccomp.json"
        allowing.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
        settings = below / "daemon.json"  # instead of the machine's own /etc/docker/daemon.json
        settings.write_text(json.dumps({"seccomp-profile": str(allowing)}))
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount --make-rshared / && exec "$@"',  # a container may ask for shared propagation
            "_",
            "dockerd",
            f"--config-file={settings}",
            f"--data-root={below / 'data'}",
            f"--exec-root={below / 'exec'}",
            f"--pidfile={below / 'docker.pid'}",
            f"--host={self.host}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            "--ip-forward=false",
            "--bridge=none",
            f"--default-address-pool=base={self._pool.network},size=24",
            f"--host-gateway-ip={self._pool.gateway}",
        ]

    def _link_compose(self) -> None:
        plugins = self.directory / "config" / "cli-plugins"
        plugins.mkdir(parents=True)
        compose = Path(sysconfig.get_path("scripts")) / "docker-compose"
        if not compose.exists():
            raise FileNotFoundError(f"{compose}: install requirements-dev.lock")
        (plugins / "docker-compose").symlink_to(compose)

    def _answers(self) -> bool:
        # By hand: a docker SDK client that fails to connect leaves its sockets open.
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self.socket))
            asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in asking.recv(4096)

    def _remove_all(self) -> None:
        # A container that is going away by itself (auto-remove) may be gone before our turn.
        with contextlib.suppress(docker.errors.APIError, requests.RequestException):
            for container in self.client.containers.list(all=True, ignore_removed=True):
                with contextlib.suppress(docker.errors.NotFound):
                    container.remove(force=True, v=True)
            self.client.networks.prune()


class _Pool:
    """A /16 of addresses for one engine's networks that no other engine of the tests has.

    The reservation is an abstract socket: bound by one process at a time, gone when that process is.
    """

    def __init__(self) -> None:
        taken = _routed_networks()
        for second in range(200, 250):
            network = ipaddress.IPv4Network(f"10.{second}.0.0/16")
            if any(route.subnet_of(network) for route in taken):
                continue
            self._held = socket.socket(socket.AF_UNIX)
            try:
                self._held.bind(f"\0sermon-monitor-tests-10.{second}")
            except OSError:
                self._held.close()
                continue
            self.network = network
            return
        raise RuntimeError("no free addresses for an engine's networks: 10.200.0.0 to 10.249.0.0")

    @property
    def gateways(self) -> ipaddress.IPv4Network:
        """The last /24 of it, which an engine comes to after 255 others."""
        return list(self.network.subnets(new_prefix=24))[-1]

    @property
    def gateway(self) -> str:
        return str(self.gateways[1])

    def release(self) -> None:
        self._held.close()


def _routed_networks() -> list[ipaddress.IPv4Network]:
    """Where this machine's IPv4 routes lead (proc(5): addresses and masks in host byte order, as hex)."""
    networks = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        destination, mask = line.split()[1], line.split()[7]
        address, bits = (struct.pack("=I", int(text, 16)) for text in (destination, mask))
        networks.append(
            ipaddress.IPv4Network((int.from_bytes(address), int.from_bytes(bits).bit_count()))
        )
    return networks
