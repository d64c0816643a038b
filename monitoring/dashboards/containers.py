"""The containers of the deployment: what they use, and how they live."""

from __future__ import annotations

from monitoring.dashboards.panel import JOB, UP_OR_DOWN, Board, Panel, Query, Row

OF = f'{JOB},name=~"$container"'
_RATE = "[$__rate_interval]"

BOARD = Board(
    "sermon-containers",
    "Sermon Uploader: containers",
    "Processor, memory, disk and network by container, and their states, restarts and kills.",
    (
        Row(
            "Life",
            (
                Panel(
                    "Running",
                    "By name, whatever its id.",
                    (
                        Query(
                            f'max by (name) (container_state{{{OF},state="running"}})', "{{name}}"
                        ),
                    ),
                    "states",
                    words=UP_OR_DOWN,
                ),
                Panel(
                    "Own health check",
                    "What the container's health check says.",
                    (Query(f"max by (name) (container_health_state{{{OF}}})", "{{name}}"),),
                    "states",
                    words={
                        "-1": ("has none", "blue"),
                        "0": ("starting or unhealthy", "orange"),
                        "1": ("healthy", "green"),
                    },
                ),
                Panel(
                    "Restarts in 10 minutes",
                    "ContainerRestarting fires above 3.",
                    (
                        Query(
                            f"sum by (name) (increase(container_restarts_total{{{OF}}}[10m]))",
                            "{{name}}",
                        ),
                    ),
                    limits=((3, "red"),),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Kills for want of memory, in an hour",
                    "ContainerOOMKilled fires at the first.",
                    (
                        Query(
                            f"sum by (name) (increase(container_oom_events_total{{{OF}}}[1h]))",
                            "{{name}}",
                        ),
                    ),
                    limits=((1, "red"),),
                    least=0,
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Processor and memory",
            (
                Panel(
                    "Processor",
                    "1 is one core.",
                    (
                        Query(
                            f"sum by (name) (rate(container_cpu_usage_seconds_total{{{OF}}}{_RATE}))",
                            "{{name}}",
                        ),
                    ),
                    unit="short",
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Memory",
                    "Without page cache that can be given back: what `docker stats` shows.",
                    (
                        Query(
                            f"sum by (name) (container_memory_working_set_bytes{{{OF}}})",
                            "{{name}}",
                        ),
                    ),
                    unit="bytes",
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Share of the memory limit",
                    "Only containers with a limit; at 100 % the kernel kills.",
                    (
                        Query(
                            f"max by (name) (container_memory_working_set_bytes{{{OF}}} / (container_spec_memory_limit_bytes{{{OF}}} > 0))",
                            "{{name}}",
                        ),
                    ),
                    unit="percentunit",
                    limits=((0.9, "red"),),
                    least=0,
                    most=1,
                ),
                Panel(
                    "Memory of its own",
                    "Anonymous memory: what a leak makes grow.",
                    (Query(f"sum by (name) (container_memory_rss{{{OF}}})", "{{name}}"),),
                    unit="bytes",
                    least=0,
                ),
            ),
        ),
        Row(
            "Network and disk",
            (
                Panel(
                    "Network",
                    "Received, and sent as negative values.",
                    (
                        Query(
                            f"sum by (name) (rate(container_network_receive_bytes_total{{{OF}}}{_RATE}))",
                            "{{name}} in",
                        ),
                        Query(
                            f"-sum by (name) (rate(container_network_transmit_bytes_total{{{OF}}}{_RATE}))",
                            "{{name}} out",
                        ),
                    ),
                    unit="Bps",
                ),
                Panel(
                    "Disk",
                    "Read, and written as negative values.",
                    (
                        Query(
                            f"sum by (name) (rate(container_fs_reads_bytes_total{{{OF}}}{_RATE}))",
                            "{{name}} read",
                        ),
                        Query(
                            f"-sum by (name) (rate(container_fs_writes_bytes_total{{{OF}}}{_RATE}))",
                            "{{name}} written",
                        ),
                    ),
                    unit="Bps",
                ),
                Panel(
                    "Writable layer",
                    "What a container wrote beside its volumes; it is lost with the container.",
                    (Query(f"sum by (name) (container_fs_usage_bytes{{{OF}}})", "{{name}}"),),
                    unit="bytes",
                    least=0,
                ),
                Panel(
                    "Processes and threads",
                    "Of each container.",
                    (Query(f"sum by (name) (container_threads{{{OF}}})", "{{name}}"),),
                    least=0,
                    decimals=0,
                ),
            ),
        ),
    ),
    by_container=True,
)
