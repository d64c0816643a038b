"""What the whole process needs once it has worked for a while. Sizes only: how quick it is, ``make bench`` tells."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.bench.kernel import anonymous_mib, family, resident_mib
from tests.bench.scraped import Scraped
from tests.bench.webhooks import body
from tests.real.engine import DockerEngine
from tests.real.processes import free_port, wait_for
from tests.real.product import Product

pytestmark = pytest.mark.engine

NAME = "sermon-uploader-cost"
CONTAINERS = 10
SCRAPES, WEBHOOKS = 500, 100
"""In a round. The first round fills what is kept; the second must find it filled."""
MOST_MIB = 72.0
"""Resident. 70 are allowed of the proportional size, which is below it: libraries are shared on any machine."""
MOST_GROWTH_MIB = 3.0
"""Six kilobytes kept of each scrape would pass it; what the allocator does by itself does not."""


@pytest.fixture
def product(engine: DockerEngine, python_image: str, tmp_path: Path) -> Iterator[Product]:
    """Exporter and receiver in one process, with ten containers in sight."""

    def start(number: int) -> None:
        engine.docker(
            *("run", "--detach", "--network", "none", "--name", f"{NAME}-{number}"),
            *(python_image, "sleep", "3600"),
        )

    nobody = f"http://127.0.0.1:{free_port()}"
    product = Product(
        tmp_path,
        {
            "DOCKER_HOST": engine.host,
            "APP_CONTAINERS": f"{NAME}-.*",
            "APP_URL": nobody,
            "MINIO_URL": nobody,
            "DRY_RUN": "true",
        },
    )
    try:
        with ThreadPoolExecutor(2) as two:
            list(two.map(start, range(CONTAINERS)))
        product.start()
        wait_for(lambda: product.metrics().count(f'"{NAME}-') > CONTAINERS, "the containers")
        yield product
    finally:
        product.stop()
        engine.docker("rm", "--force", *(f"{NAME}-{one}" for one in range(CONTAINERS)))


def test_it_stays_small(product: Product) -> None:
    assert product.process is not None
    pids = family(product.process.pid)
    work(product)
    before = anonymous_mib(pids)
    work(product)
    assert anonymous_mib(pids) - before < MOST_GROWTH_MIB
    assert resident_mib(pids) < MOST_MIB


def work(product: Product) -> None:
    """Scrapes, and webhooks between them that make incidents; those belong to the store, not to memory."""
    with closing(Scraped(product.metrics_address, list)) as prometheus:
        for number in range(WEBHOOKS):
            for _ in range(SCRAPES // WEBHOOKS):
                prometheus.scrape()
            status, words = product.post(body(number, 1))
            assert status == 200, words
