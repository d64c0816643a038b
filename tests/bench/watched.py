"""Our real process watching the fleet, beside node_exporter: what the sections of the whole process need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.fleet import PREFIX, Fleet
from tests.bench.kernel import family
from tests.bench.scraped import Scraped
from tests.real.node_exporter import NodeExporter
from tests.real.processes import free_port, wait_for
from tests.real.product import Product


@dataclass(frozen=True)
class Watched:
    """``ours`` is our process with its children; ``both`` counts the Engine's work for it too."""

    count: int
    fleet: Fleet
    product: Product
    ours: Scraped
    both: Scraped
    peer: Scraped

    @property
    def pids(self) -> list[int]:
        """Of our process and its children."""
        return _pids(self.product)


@contextmanager
def watched(fleet: Fleet, count: int) -> Iterator[Watched]:
    """Exporter and receiver in one process, as shipped but for the addresses, with ``count`` containers in sight."""
    fleet.grow(count)
    directory = fleet.directory / f"watching-{count}"
    product, node = Product(directory, _settings(fleet)), NodeExporter(directory)
    try:
        node.start()
        product.start()
        ours = Scraped(product.metrics_address, lambda: _pids(product))
        both = Scraped(product.metrics_address, lambda: [*_pids(product), *fleet.engine_pids()])
        wait_for(lambda: containers_in(ours.text()) == count, "all containers in the exposition")
        peer = Scraped(f"127.0.0.1:{node.port}", lambda: [node.pid])
        yield Watched(count, fleet, product, ours, both, peer)
    finally:
        product.stop()
        node.stop()


def series_a_container(text: str) -> float:
    """How many series tell of a container of the fleet, on the average."""
    told = [line for line in text.splitlines() if f'name="{PREFIX}-' in line]
    return len(told) / max(1, containers_in(text))


def containers_in(text: str) -> int:
    """How many containers of the fleet have their memory or CPU told."""
    return sum(
        line.startswith("container_cpu_user_seconds_total") and f'name="{PREFIX}-' in line
        for line in text.splitlines()
    )


def _pids(product: Product) -> list[int]:
    assert product.process is not None
    return family(product.process.pid)


def _settings(fleet: Fleet) -> dict[str, str]:
    nobody = f"http://127.0.0.1:{free_port()}"
    return {
        "DOCKER_HOST": fleet.engine.host,
        "APP_CONTAINERS": f"{PREFIX}-.*",
        "APP_URL": nobody,
        "MINIO_URL": nobody,
        "DRY_RUN": "true",
    }
