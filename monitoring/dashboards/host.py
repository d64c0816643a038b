"""The machine: processor, memory, disks, network, and what a Raspberry Pi says of itself."""

from __future__ import annotations

from monitoring.dashboards.panel import JOB, Board, Panel, Query, Row, number

_RATE = "[$__rate_interval]"

BOARD = Board(
    "sermon-host",
    "Sermon Uploader: host",
    "The machine that all of it runs on.",
    (
        Row(
            "Now",
            (
                number(
                    "Processor",
                    "Mean of all cores; HighCPUUsage fires above 95 %.",
                    f'1 - avg(sum by (instance, cpu) (rate(node_cpu_seconds_total{{{JOB},mode=~"idle|iowait"}}[5m])))',
                    unit="percentunit",
                    limits=((0.8, "orange"), (0.95, "red")),
                    decimals=0,
                ),
                number(
                    "Memory",
                    "HighMemoryUsage fires above 90 %.",
                    f"max(1 - node_memory_MemAvailable_bytes{{{JOB}}} / node_memory_MemTotal_bytes{{{JOB}}})",
                    unit="percentunit",
                    limits=((0.8, "orange"), (0.9, "red")),
                    decimals=0,
                ),
                number(
                    "Fullest disk",
                    "HighDiskUsage fires above 90 %.",
                    f"max(1 - mount:node_filesystem_avail_bytes:storage{{{JOB}}} / node_filesystem_size_bytes{{{JOB}}})",
                    unit="percentunit",
                    limits=((0.8, "orange"), (0.9, "red")),
                    decimals=0,
                ),
                number(
                    "Warmest spot",
                    "A Raspberry Pi slows down at 80 °C.",
                    f"max(node_thermal_zone_temp{{{JOB}}})",
                    unit="celsius",
                    limits=((70, "orange"), (80, "red")),
                    decimals=0,
                ),
                number(
                    "Power supply",
                    "Whether a Raspberry Pi had too little voltage within the hour.",
                    f"max(max_over_time(sermon_monitor_rpi_under_voltage{{{JOB}}}[1h]))",
                    words={"0": ("good", "green"), "1": ("too weak", "red")},
                ),
                number(
                    "Up for",
                    "Since the last boot.",
                    f"max(node_time_seconds{{{JOB}}} - node_boot_time_seconds{{{JOB}}})",
                    unit="s",
                    below="blue",
                    decimals=0,
                ),
            ),
        ),
        Row(
            "Processor and memory",
            (
                Panel(
                    "Processor by what it does",
                    "1 is one core. `iowait` is waiting for a disk, not work.",
                    (
                        Query(
                            f'sum by (mode) (rate(node_cpu_seconds_total{{{JOB},mode!="idle"}}{_RATE}))',
                            "{{mode}}",
                        ),
                    ),
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Load",
                    "Processes that run or wait; more than cores means queueing.",
                    (
                        Query(f"max(node_load1{{{JOB}}})", "1 minute"),
                        Query(f"max(node_load5{{{JOB}}})", "5 minutes"),
                        Query(f"max(node_load15{{{JOB}}})", "15 minutes"),
                        Query(f'count(node_cpu_seconds_total{{{JOB},mode="idle"}})', "cores"),
                    ),
                    least=0,
                ),
                Panel(
                    "Memory",
                    "Available is what can be had without swapping.",
                    (
                        Query(
                            f"sum(node_memory_MemTotal_bytes{{{JOB}}} - node_memory_MemAvailable_bytes{{{JOB}}})",
                            "used",
                        ),
                        Query(f"sum(node_memory_MemAvailable_bytes{{{JOB}}})", "available"),
                    ),
                    unit="bytes",
                    least=0,
                    stacked=True,
                ),
                Panel(
                    "Swapped and paged",
                    "Pages a second to and from swap, and page faults that had to read a disk.",
                    (
                        Query(f"sum(rate(node_vmstat_pswpin{{{JOB}}}{_RATE}))", "swapped in"),
                        Query(f"sum(rate(node_vmstat_pswpout{{{JOB}}}{_RATE}))", "swapped out"),
                        Query(f"sum(rate(node_vmstat_pgmajfault{{{JOB}}}{_RATE}))", "major faults"),
                    ),
                    unit="ops",
                    least=0,
                ),
            ),
        ),
        Row(
            "Disks and network",
            (
                Panel(
                    "Disks in use",
                    "By what a user may still write. HighDiskUsage fires above 90 %.",
                    (
                        Query(
                            f"max by (instance, mountpoint) (1 - mount:node_filesystem_avail_bytes:storage{{{JOB}}} / node_filesystem_size_bytes{{{JOB}}})",
                            "{{mountpoint}}",
                        ),
                    ),
                    unit="percentunit",
                    limits=((0.9, "red"),),
                    least=0,
                    most=1,
                ),
                Panel(
                    "Disk traffic",
                    "Read, and written as negative values. An SD card dislikes being written to.",
                    (
                        Query(
                            f"sum by (device) (rate(node_disk_read_bytes_total{{{JOB}}}{_RATE}))",
                            "{{device}} read",
                        ),
                        Query(
                            f"-sum by (device) (rate(node_disk_written_bytes_total{{{JOB}}}{_RATE}))",
                            "{{device}} written",
                        ),
                    ),
                    unit="Bps",
                ),
                Panel(
                    "Disks at work",
                    "Share of the time; 100 % is a disk that cannot keep up.",
                    (
                        Query(
                            f"max by (device) (rate(node_disk_io_time_seconds_total{{{JOB}}}{_RATE}))",
                            "{{device}}",
                        ),
                    ),
                    unit="percentunit",
                    least=0,
                ),
                Panel(
                    "Network",
                    "Received, and sent as negative values.",
                    (
                        Query(
                            f'sum by (device) (rate(node_network_receive_bytes_total{{{JOB},device!="lo"}}{_RATE}))',
                            "{{device}} in",
                        ),
                        Query(
                            f'-sum by (device) (rate(node_network_transmit_bytes_total{{{JOB},device!="lo"}}{_RATE}))',
                            "{{device}} out",
                        ),
                    ),
                    unit="Bps",
                ),
            ),
        ),
        Row(
            "Raspberry Pi",
            (
                Panel(
                    "Temperature",
                    "Of each thermal zone.",
                    (
                        Query(
                            f"max by (instance, type, zone) (node_thermal_zone_temp{{{JOB}}})",
                            "{{type}} {{zone}}",
                        ),
                    ),
                    unit="celsius",
                    limits=((80, "red"),),
                ),
                Panel(
                    "Voltage and throttling",
                    "1 while the firmware says so.",
                    (
                        Query(f"max(sermon_monitor_rpi_under_voltage{{{JOB}}})", "under-voltage"),
                        Query(
                            f"max by (condition) (sermon_monitor_rpi_throttled{{{JOB}}})",
                            "{{condition}}",
                        ),
                    ),
                    "states",
                    words={"0": ("no", "green"), "1": ("yes", "red")},
                ),
            ),
        ),
    ),
)
