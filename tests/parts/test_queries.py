"""What people already ask: a real Prometheus has an answer to the operator's guide and the common boards."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS

from exporter.settings import ExporterSettings
from tests.parts.exporter_app import App, echo, line
from tests.parts.exporter_kit import WITHIN, Running, exporter
from tests.real.daemons import Binaries, Prometheus
from tests.real.engine import DockerEngine
from tests.real.processes import fetch

pytestmark = [pytest.mark.engine, pytest.mark.daemons]

# The ten expressions that the Sermon Uploader's docs/ROLLBACK_RECOVERY_GUIDE.md tells people to watch.
GUIDE = {
    "availability": 'up{job="sermon-uploader"}',
    "request rate": "rate(sermon_uploader_requests_total[5m])",
    "error rate": "rate(sermon_uploader_errors_total[5m]) / rate(sermon_uploader_requests_total[5m])",
    "response time": "histogram_quantile(0.95, rate(sermon_uploader_request_duration_seconds_bucket[5m]))",
    "memory": "(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes) / node_memory_MemTotal_bytes",
    "cpu": '100 - (avg by(instance)(irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)',
    "disk": "(node_filesystem_size_bytes - node_filesystem_free_bytes) / node_filesystem_size_bytes",
    "restarts": "rate(container_start_time_seconds[10m])",
    "container memory": 'container_memory_usage_bytes{name=~".*sermon-uploader.*"}',
    "container cpu": 'rate(container_cpu_usage_seconds_total{name=~".*sermon-uploader.*"}[5m])',
}

_ROOT = '{mountpoint="/",fstype!="rootfs"}'
# What the panels for CPU, memory, network, disk and filesystems of "Node Exporter Full"
# (rfmoz/grafana-dashboards) ask for, variables filled in.
NODE_EXPORTER_FULL = {
    "cpu busy": '100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m])))',
    "cpu by mode": "sum by(mode) (irate(node_cpu_seconds_total[5m])) / scalar(count(count(node_cpu_seconds_total) by (cpu)))",
    "load": "scalar(node_load1) * 100 / count(count(node_cpu_seconds_total) by (cpu))",
    "load 5 and 15": "node_load5 + node_load15",
    "uptime": "node_time_seconds - node_boot_time_seconds",
    "ram total": "node_memory_MemTotal_bytes",
    "ram used": "node_memory_MemTotal_bytes - node_memory_MemFree_bytes - (node_memory_Cached_bytes + node_memory_Buffers_bytes + node_memory_SReclaimable_bytes)",
    "ram available": "(1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)) * 100",
    "swap": "node_memory_SwapTotal_bytes - node_memory_SwapFree_bytes",
    "active": "node_memory_Active_bytes + node_memory_Inactive_bytes",
    "anonymous": "node_memory_Active_anon_bytes + node_memory_Inactive_anon_bytes + node_memory_AnonPages_bytes",
    "commit": "node_memory_Committed_AS_bytes / node_memory_CommitLimit_bytes",
    "dirty": "node_memory_Dirty_bytes + node_memory_Writeback_bytes",
    "slab": "node_memory_SUnreclaim_bytes + node_memory_SReclaimable_bytes",
    "paging": "irate(node_vmstat_pgpgin[5m]) + irate(node_vmstat_pgpgout[5m])",
    "swapping": "irate(node_vmstat_pswpin[5m]) + irate(node_vmstat_pswpout[5m])",
    "faults": "irate(node_vmstat_pgfault[5m]) - irate(node_vmstat_pgmajfault[5m])",
    "processes": "node_procs_blocked + node_procs_running",
    "forks": "irate(node_forks_total[5m])",
    "switches": "irate(node_context_switches_total[5m]) + irate(node_intr_total[5m])",
    "descriptors": "node_filefd_maximum - node_filefd_allocated",
    "network traffic": "irate(node_network_receive_bytes_total[5m]) * 8 + irate(node_network_transmit_bytes_total[5m]) * 8",
    "network packets": "irate(node_network_receive_packets_total[5m]) + irate(node_network_transmit_packets_total[5m])",
    "network errors": "irate(node_network_receive_errs_total[5m]) + irate(node_network_transmit_errs_total[5m])",
    "network drops": "irate(node_network_receive_drop_total[5m]) + irate(node_network_transmit_drop_total[5m])",
    "network other": "irate(node_network_receive_fifo_total[5m]) + irate(node_network_receive_frame_total[5m]) + irate(node_network_receive_compressed_total[5m]) + irate(node_network_receive_multicast_total[5m])",
    "network transmit": "irate(node_network_transmit_fifo_total[5m]) + irate(node_network_transmit_colls_total[5m]) + irate(node_network_transmit_carrier_total[5m]) + irate(node_network_transmit_compressed_total[5m])",
    "disk iops": "irate(node_disk_reads_completed_total[5m]) + irate(node_disk_writes_completed_total[5m])",
    "disk bytes": "irate(node_disk_read_bytes_total[5m]) + irate(node_disk_written_bytes_total[5m])",
    "disk merged": "irate(node_disk_reads_merged_total[5m]) + irate(node_disk_writes_merged_total[5m])",
    "disk wait": "irate(node_disk_read_time_seconds_total[5m]) + irate(node_disk_write_time_seconds_total[5m])",
    "disk busy": "irate(node_disk_io_time_seconds_total[5m])",
    "disk queue": "irate(node_disk_io_time_weighted_seconds_total[5m]) + node_disk_io_now",
    "root used": f"100 - ((node_filesystem_avail_bytes{_ROOT} * 100) / node_filesystem_size_bytes{_ROOT})",
    "disk space": "100 - ((node_filesystem_avail_bytes{device!~'rootfs'} * 100) / node_filesystem_size_bytes{device!~'rootfs'})",
    "inodes": "node_filesystem_files_free / node_filesystem_files",
    "filesystem errors": "node_filesystem_device_error + node_filesystem_readonly",
    "uname": "node_uname_info",
}

_IMAGE = '{image!=""}'
_NAMED = '{image!="",container_label_org_label_schema_group=""}'
# What the boards "Docker Host" and "Docker Containers" of stefanprodan/dockprom ask for.
DOCKPROM = {
    "uptime": "node_time_seconds - node_boot_time_seconds",
    "cpu idle": 'sum(rate(node_cpu_seconds_total{mode="idle"}[1m])) * 100 / scalar(count(node_cpu_seconds_total{mode="user"}))',
    "cores": 'count(node_cpu_seconds_total{mode="user"})',
    "host disk": "sum(irate(node_disk_read_bytes_total[5m])) + sum(irate(node_disk_written_bytes_total[5m]))",
    "host disk time": "sum(irate(node_disk_io_time_seconds_total[5m]))",
    "containers": 'scalar(count(container_memory_usage_bytes{image!=""}) > 0)',
    "cpu load": f'sum(rate(container_cpu_user_seconds_total{_IMAGE}[1m])) / count(node_cpu_seconds_total{{mode="user"}}) * 100',
    "memory load": f"sum(container_memory_usage_bytes{_IMAGE}) / sum(node_memory_MemTotal_bytes) * 100",
    "storage": f"sum(container_fs_usage_bytes{_IMAGE})",
    "cpu by name": f'sum by (name) (rate(container_cpu_usage_seconds_total{_NAMED}[1m])) / scalar(count(node_cpu_seconds_total{{mode="user"}})) * 100',
    "memory by name": f"sum by (name)(container_memory_usage_bytes{_NAMED})",
    "cache by name": f"sum by (name) (container_memory_cache{_NAMED})",
    "receive by name": f"sum by (name) (rate(container_network_receive_bytes_total{_NAMED}[1m]))",
    "transmit by name": f"sum by (name) (rate(container_network_transmit_bytes_total{_NAMED}[1m]))",
    "alive": 'count(rate(container_last_seen{name=~".+"}[1m]))',
}

SOURCES = {"guide": GUIDE, "node exporter full": NODE_EXPORTER_FULL, "dockprom": DOCKPROM}
ASKED_WITH = ("Accept", "Accept-Encoding", "X-Prometheus-Scrape-Timeout-Seconds")
ANSWERED_WITH = ("Content-Type", "Content-Encoding")
_CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: sermon-uploader
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture(scope="module")
def network(engine: DockerEngine) -> Iterator[str]:
    """A container without a network has no interface to be counted."""
    name = "queries"
    engine.docker("network", "create", name)
    yield name
    engine.docker("network", "rm", name)


@pytest.fixture
def formats() -> Counter[str]:
    """What Prometheus was answered: how often in which content type."""
    return Counter()


@asynccontextmanager
async def between(running: Running, formats: Counter[str]) -> AsyncIterator[str]:
    """The address of a server that hands on Prometheus' requests as they are, and notes the answers' formats."""

    async def hand_on(request: web.Request) -> web.Response:
        asked = {name: request.headers[name] for name in ASKED_WITH if name in request.headers}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(running.url + request.path, headers=asked) as answer,
        ):
            content = await answer.read()
            formats[answer.headers["Content-Type"]] += 1
            kept = {k: answer.headers[k] for k in ANSWERED_WITH if k in answer.headers}
            return web.Response(status=answer.status, body=content, headers=kept)

    app = web.Application()
    app.router.add_get("/metrics", hand_on)
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}"


@pytest_asyncio.fixture
async def prometheus(
    app: App, network: str, binaries: Binaries, tmp_path: Path, formats: Counter[str]
) -> AsyncIterator[Prometheus]:
    """One that scrapes an exporter, which watches a container that is asked something all the time."""
    requests = echo(line(200, "GET", "/api/health"), line(500, "GET", "/api/files"))
    script = f"while true; do {requests}; sleep 0.5; done"
    identity = await app.docker(
        *(
            "run",
            "--detach",
            "--network",
            network,
            "--name",
            app.name,
            app.image,
            "sh",
            "-c",
            script,
        )
    )
    try:
        async with (
            exporter(
                tmp_path, app.engine.host, APP_CONTAINERS=f"{app.name}.*", APP_SERVICE=app.name
            ) as running,
            between(running, formats) as target,
        ):
            made = Prometheus(binaries.prometheus, tmp_path, _CONFIG.format(target=target))
            await asyncio.to_thread(made.start)
            try:
                yield made
            finally:
                await asyncio.to_thread(made.stop)
    finally:
        await app.docker("rm", "--force", identity.strip())


async def answer(prometheus: Prometheus, query: str) -> list[float]:
    """The values of an instant query, without those that are no number."""
    url = f"{prometheus.url}/api/v1/query?{urlencode({'query': query})}"
    status, body = await asyncio.to_thread(fetch, url)
    told = json.loads(body)
    assert status == 200, f"{query}: {told}"
    result = told["data"]["result"]
    if told["data"]["resultType"] == "scalar":
        values = [float(result[1])]
    else:
        values = [float(one["value"][1]) for one in result]
    return [value for value in values if not math.isnan(value)]


async def without_answer(prometheus: Prometheus) -> Mapping[str, str]:
    return {
        f"{source}: {what}": query
        for source, queries in SOURCES.items()
        for what, query in queries.items()
        if not await answer(prometheus, query)
    }


async def test_every_query_has_an_answer(prometheus: Prometheus, formats: Counter[str]) -> None:
    missing: Mapping[str, str] = {"": "not asked yet"}
    try:
        async with asyncio.timeout(WITHIN):
            while missing:
                missing = await without_answer(prometheus)
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"no answer to {json.dumps(missing, indent=2)}")
    # All of that came as OpenMetrics, which Prometheus asks for by itself and reads more strictly.
    assert await answer(prometheus, "up") == [1]
    assert set(formats) == {OPENMETRICS}


def test_the_guides_names_match_what_is_watched_by_default() -> None:
    """``.*sermon-uploader.*`` of the guide's queries is what APP_CONTAINERS is without being set."""
    asked = re.search(r'name=~"([^"]*)"', GUIDE["container memory"])
    assert asked
    assert ExporterSettings.model_validate({}).app_containers == asked[1]
