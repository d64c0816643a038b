"""The container_* metric families: names, types and units of cAdvisor's, and ours for what it lacks.

Names and meanings: google/cadvisor docs/storage/prometheus.md and lib/metrics/prometheus.go.
"""

from __future__ import annotations

from exporter.exposition import Family

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("starting", "healthy", "unhealthy", "none")


def _gauge(name: str, text: str) -> Family:
    return Family(name, "gauge", text)


def _counter(name: str, text: str) -> Family:
    return Family(name, "counter", text)


# What the Engine's inspection says: of every container.
STATE = _gauge("container_state", "1 for the state that the container is in, else 0.")
EXIT_CODE = _gauge("container_exit_code", "Exit code of the last run; 0 while it runs.")
CREATION_TIME = _gauge("container_creation_time_seconds", "Unix time of the container's creation.")
# Of a running or paused one.
HEALTH_STATE = _gauge(
    "container_health_state",
    "Health check of a running container: 1 healthy, 0 starting or unhealthy, -1 none.",
)
HEALTH_STATUS = _gauge(
    "container_health_status", "1 for what the health check of a running container says, else 0."
)
START_TIME = _gauge("container_start_time_seconds", "Unix time of a running container's start.")
# Limits of its control group.
CPU_PERIOD = _gauge("container_spec_cpu_period", "CPU period of the CPU quota, in microseconds.")
CPU_QUOTA = _gauge(
    "container_spec_cpu_quota", "CPU quota, in microseconds a period; absent without one."
)
CPU_SHARES = _gauge("container_spec_cpu_shares", "CPU share.")
MEMORY_LIMIT = _gauge("container_spec_memory_limit_bytes", "Memory limit; 0 is none.")
MEMORY_RESERVATION = _gauge(
    "container_spec_memory_reservation_limit_bytes", "Memory reservation limit; 0 is none."
)
SWAP_LIMIT = _gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit; 0 is none.")
THREADS_MAX = _gauge("container_threads_max", "Most threads allowed; 0 is unlimited.")
FIXED = (
    *(STATE, EXIT_CODE, CREATION_TIME, HEALTH_STATE, HEALTH_STATUS, START_TIME),
    *(CPU_PERIOD, CPU_QUOTA, CPU_SHARES),
    *(MEMORY_LIMIT, MEMORY_RESERVATION, SWAP_LIMIT, THREADS_MAX),
)
"""What changes with the container only."""

# What this process has counted.
RESTARTS = _counter(
    "container_restarts_total",
    "Times that what bears the name was started again: by policy, by hand, or recreated.",
)
OOM_EVENTS = _counter("container_oom_events_total", "Out-of-memory kills in the container.")
LAST_SEEN = _gauge("container_last_seen", "Unix time when its usage was last read.")
COUNTED = (RESTARTS, OOM_EVENTS, LAST_SEEN)

CPU_USAGE = _counter("container_cpu_usage_seconds_total", "CPU time consumed.")
CPU_USER = _counter("container_cpu_user_seconds_total", "CPU time consumed in user mode.")
CPU_SYSTEM = _counter("container_cpu_system_seconds_total", "CPU time consumed in the kernel.")
CFS_PERIODS = _counter("container_cpu_cfs_periods_total", "Enforcement periods of the CPU quota.")
CFS_THROTTLED = _counter(
    "container_cpu_cfs_throttled_periods_total", "Periods in which the CPU quota was used up."
)
CFS_THROTTLED_SECONDS = _counter(
    "container_cpu_cfs_throttled_seconds_total", "Time for which the CPU quota held it back."
)
CFS_BURSTS = _counter(
    "container_cpu_cfs_burst_periods_total", "Periods in which it burst over its quota."
)
CFS_BURST_SECONDS = _counter(
    "container_cpu_cfs_burst_seconds_total", "CPU time used over the quota."
)

MEMORY_USAGE = _gauge("container_memory_usage_bytes", "Memory in use, page cache included.")
WORKING_SET = _gauge(
    "container_memory_working_set_bytes", "Memory in use without inactive page cache."
)
MEMORY_MAX = _gauge("container_memory_max_usage_bytes", "The most memory that was in use.")
RSS = _gauge("container_memory_rss", "Anonymous memory in bytes.")
CACHE = _gauge("container_memory_cache", "Page cache in bytes.")
MAPPED_FILE = _gauge("container_memory_mapped_file", "Memory-mapped files in bytes.")
SWAP = _gauge("container_memory_swap", "Swap in use in bytes.")
FAILCNT = _counter("container_memory_failcnt", "Times that the memory limit was hit.")
KERNEL = _gauge("container_memory_kernel_usage", "Kernel memory in bytes.")
ACTIVE_FILE = _gauge("container_memory_total_active_file_bytes", "Active page cache.")
INACTIVE_FILE = _gauge("container_memory_total_inactive_file_bytes", "Inactive page cache.")
FAILURES = _counter("container_memory_failures_total", "Page faults.")
EVENTS_MAX = _counter(
    "container_memory_events_max_total", "Times that it was about to pass memory.max."
)
EVENTS_HIGH = _counter(
    "container_memory_events_high_total", "Times that it was held back by memory.high."
)
FILE_DIRTY = _gauge("container_memory_file_dirty_bytes", "Page cache not written back yet.")
FILE_WRITEBACK = _gauge(
    "container_memory_file_writeback_bytes", "Page cache that is being written back."
)
PGSCAN = _counter("container_memory_pgscan_total", "Pages scanned by reclaim.")
PGSTEAL = _counter("container_memory_pgsteal_total", "Pages reclaimed.")
REFAULT_FILE = _counter(
    "container_memory_workingset_refault_file_total",
    "Refaults of page cache that had been given up.",
)
REFAULT_ANON = _counter(
    "container_memory_workingset_refault_anon_total",
    "Refaults of anonymous memory that had been given up.",
)

NETWORK = tuple(
    _counter(f"container_network_{direction}_{what}_total", f"Network, {direction}: {words}.")
    for direction in ("receive", "transmit")
    for what, words in (
        ("bytes", "bytes"),
        ("packets", "packets"),
        ("errors", "errors"),
        ("packets_dropped", "packets dropped"),
    )
)
"""In the order of the columns of /proc/PID/net/dev."""

BLKIO = _counter("container_blkio_device_usage_total", "Bytes by device and operation.")
FS_READ_BYTES = _counter("container_fs_reads_bytes_total", "Bytes read.")
FS_WRITE_BYTES = _counter("container_fs_writes_bytes_total", "Bytes written.")
FS_READS = _counter("container_fs_reads_total", "Reads completed.")
FS_WRITES = _counter("container_fs_writes_total", "Writes completed.")
THREADS = _gauge("container_threads", "Threads and processes.")

PRESSURE = {
    (resource, word): _counter(
        f"container_pressure_{resource}_{word}_seconds_total",
        f"Time in which {who} waited for {resource}.",
    )
    for resource in ("cpu", "memory", "io")
    for word, who in (("waiting", "any process"), ("stalled", "every process"))
}
USAGE = (
    *(CPU_USAGE, CPU_USER, CPU_SYSTEM),
    *(CFS_PERIODS, CFS_THROTTLED, CFS_THROTTLED_SECONDS, CFS_BURSTS, CFS_BURST_SECONDS),
    *(MEMORY_USAGE, WORKING_SET, MEMORY_MAX, RSS, CACHE, MAPPED_FILE, SWAP, FAILCNT, KERNEL),
    *(ACTIVE_FILE, INACTIVE_FILE, FAILURES, EVENTS_MAX, EVENTS_HIGH),
    *(FILE_DIRTY, FILE_WRITEBACK, PGSCAN, PGSTEAL, REFAULT_FILE, REFAULT_ANON),
    *NETWORK,
    *(BLKIO, FS_READ_BYTES, FS_WRITE_BYTES, FS_READS, FS_WRITES, THREADS),
    *PRESSURE.values(),
)
"""What is read in each scrape, in the order of the exposition."""

MEMORY_AVAILABLE = Family(
    "sermon_monitor_memory_controller_available",
    "gauge",
    "Whether the kernel accounts memory by container (1); where not (0) there are no container_memory_* metrics and memory limits are not enforced.",
)
UNREADABLE = Family(
    "sermon_monitor_containers_unreadable",
    "gauge",
    "Running containers whose control group could not be read, by reason.",
)
SOURCE = Family(
    "sermon_monitor_container_usage_source",
    "gauge",
    "Running containers by where their usage was read.",
)
