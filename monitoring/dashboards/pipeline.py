"""Sermon Monitor itself: from the scrape to the message on Discord."""

from __future__ import annotations

from monitoring.dashboards.panel import JOB, Board, Panel, Query, Row, number

BOARD = Board(
    "sermon-pipeline",
    "Sermon Monitor: pipeline",
    "Scrapes, alerts, messages and steps: whether what watches is well itself.",
    (
        Row(
            "Now",
            (
                number(
                    "Watchdog heard",
                    "After WATCHDOG_TIMEOUT (5 m) the receiver says that monitoring is blind.",
                    f"time() - max(sermon_monitor_watchdog_last_seen_timestamp_seconds{{{JOB}}})",
                    unit="s",
                    limits=((150, "orange"), (300, "red")),
                    decimals=0,
                ),
                number(
                    "Messages that wait",
                    "To be sent to people.",
                    f"sum(sermon_monitor_outbox_depth{{{JOB}}})",
                    limits=((1, "orange"), (10, "red")),
                ),
                number(
                    "Oldest of them",
                    "OutboxStuck fires after 10 minutes.",
                    f"max(sermon_monitor_outbox_oldest_seconds{{{JOB}}})",
                    unit="s",
                    limits=((60, "orange"), (600, "red")),
                    decimals=0,
                ),
                number(
                    "Open incidents",
                    "Of every severity.",
                    f"sum(sermon_monitor_incidents_open{{{JOB}}})",
                    limits=((1, "orange"),),
                ),
                number(
                    "Collectors that fail",
                    "MonitorDown fires after 10 minutes.",
                    f"count(sermon_monitor_collector_success{{{JOB}}} == 0) or vector(0)",
                    limits=((1, "red"),),
                ),
                number(
                    "Version",
                    "Of Sermon Monitor.",
                    f"sermon_monitor_build_info{{{JOB}}}",
                    legend="{{version}}",
                    shows="name",
                    below="blue",
                ),
            ),
        ),
        Row(
            "From alert to message",
            (
                Panel(
                    "Webhooks by outcome, in 5 minutes",
                    "What became of Alertmanager's requests.",
                    (
                        Query(
                            f"sum by (outcome) (increase(sermon_monitor_webhooks_total{{{JOB}}}[5m]))",
                            "{{outcome}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Alerts in webhooks, in 5 minutes",
                    "Repeats included.",
                    (
                        Query(
                            f"sum by (status, severity) (increase(sermon_monitor_alerts_total{{{JOB}}}[5m]))",
                            "{{status}} {{severity}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Messages, in an hour",
                    "Attempts to tell people, by what became of them.",
                    (
                        Query(
                            f"sum by (notifier, outcome) (increase(sermon_monitor_notifications_total{{{JOB}}}[1h]))",
                            "{{notifier}} {{outcome}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Steps, in a day",
                    "What was done, by how it ended.",
                    (
                        Query(
                            f"sum by (action, outcome) (increase(sermon_monitor_actions_total{{{JOB}}}[1d]))",
                            "{{action}} {{outcome}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
                Panel(
                    "Steps that a gate held back, in a day",
                    "By the gate that did not pass.",
                    (
                        Query(
                            f"sum by (gate) (increase(sermon_monitor_gate_refusals_total{{{JOB}}}[1d]))",
                            "{{gate}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                    width=24,
                ),
            ),
        ),
        Row(
            "Its own cost",
            (
                Panel(
                    "Time of each collector",
                    "Within one scrape.",
                    (
                        Query(
                            f"max by (collector) (sermon_monitor_collector_duration_seconds{{{JOB}}})",
                            "{{collector}}",
                        ),
                    ),
                    unit="s",
                    least=0,
                ),
                Panel(
                    "Processor of the process",
                    "1 is one core.",
                    (
                        Query(
                            f"sum by (instance) (rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]))",
                            "{{instance}}",
                        ),
                    ),
                    least=0,
                ),
                Panel(
                    "Memory of the process",
                    "Resident.",
                    (
                        Query(
                            f"sum by (instance) (process_resident_memory_bytes{{{JOB}}})",
                            "{{instance}}",
                        ),
                    ),
                    unit="bytes",
                    least=0,
                ),
                Panel(
                    "Messages between Prometheus and Alertmanager that failed, in an hour",
                    "0 while the pipeline works.",
                    (
                        Query(
                            "sum(increase(prometheus_notifications_errors_total[1h]))",
                            "Prometheus to Alertmanager",
                        ),
                        Query(
                            "sum by (integration) (increase(alertmanager_notifications_failed_total[1h])) > 0 or sum(increase(alertmanager_notifications_failed_total[1h]))",
                            "Alertmanager to {{integration}}",
                        ),
                    ),
                    least=0,
                    decimals=0,
                ),
            ),
        ),
    ),
)
