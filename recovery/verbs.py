"""The toolkit's verbs: one line a verb. What only looks is made of checks; what changes has a file of its own."""

from __future__ import annotations

from dataclasses import dataclass

import click

from recovery.backup.create_command import backup_create
from recovery.backup.daily import backup_daily
from recovery.backup.drill import backup_drill
from recovery.backup.looking import backup_list, backup_verify
from recovery.backup.prune import backup_prune
from recovery.backup.restore_command import backup_restore
from recovery.checks.containers import container_details, containers, storage_containers
from recovery.checks.deploy import (
    backup_first,
    health_before,
    no_pin_in_the_way,
    nobody_else_at_work,
    registry_reached,
    room_for_an_image,
)
from recovery.checks.discord import discord
from recovery.checks.endpoints import endpoints, minio_cluster, minio_live
from recovery.checks.network import outside, ports
from recovery.checks.performance import load, recent_requests, response_time
from recovery.checks.project import (
    clock,
    compose_files,
    docker_engine,
    images,
    lock,
    pins,
    versions,
)
from recovery.checks.resources import container_usage, memory, memory_controller, temperature
from recovery.checks.storage import container_logs, disks, docker_disk, minio_data
from recovery.cleanup import cleanup
from recovery.finding import Verdicts
from recovery.logs import logs
from recovery.looking import Look
from recovery.postdeploy import post_deploy
from recovery.quickfix import quick_fix
from recovery.rollback_command import rollback
from recovery.services import emergency_restart, restart_services
from recovery.stop import emergency_stop
from recovery.versions import versions as show_versions

HOST = (disks, memory, load, temperature, memory_controller, clock)
PROJECT = (docker_engine, compose_files, images, versions, pins, lock)

LOOKS = (
    Look(
        "diagnose",
        """Look at everything: machine, Engine, compose project, containers, endpoints, network, versions.

        The worst comes first, each with the command that mends it. Exit code 1: something does not work.""",
        "diagnose",
        (
            *(endpoints, containers, container_details, ports),
            *PROJECT,
            *HOST,
            *(container_usage, docker_disk, container_logs, minio_data, recent_requests),
            *(outside, discord),
        ),
    ),
    Look(
        "health-check",
        """Ask the application and MinIO for their health, and the Engine for their containers.

        Exit code 0: healthy; 1: not.""",
        "health-check --json | jq .outcome",
        (endpoints, containers),
    ),
    Look(
        "network-test",
        """Look at ports, names, and whether GitHub, Discord and the registry can be reached.""",
        "network-test",
        (ports, endpoints, outside),
    ),
    Look(
        "storage-check",
        """Look how full the disks are, where MinIO's data lie, and what Docker holds.""",
        "storage-check",
        (disks, minio_data, docker_disk, container_logs),
    ),
    Look(
        "check-containers",
        """Look at each container: image, age, restarts, health, and what it takes.""",
        "check-containers",
        (docker_engine, containers, container_details, container_usage),
    ),
    Look(
        "check-minio",
        """Look at MinIO: does it answer, can it write, where do its data lie, is there room.""",
        "check-minio",
        (minio_live, minio_cluster, storage_containers, minio_data, disks),
    ),
    Look(
        "check-discord",
        """Look whether a message to Discord would arrive. Nothing is posted.""",
        "check-discord",
        (discord,),
    ),
    Look(
        "check-performance",
        """Look how fast the application answers, now and by its log of the last hour.""",
        "check-performance",
        (response_time, recent_requests, load, container_usage),
    ),
    Look(
        "check-resources",
        """Look at memory, processors, disks and temperature, and what each container takes.""",
        "check-resources",
        (memory, load, disks, temperature, memory_controller, container_usage),
    ),
    Look(
        "pre-deploy",
        """Look whether a deployment may begin: nobody else at work, no pin in the way, room, a way back.

        Exit code 1: not yet. What is unhealthy now is only warned about: the deployment may mend it.""",
        "pre-deploy && docker compose pull",
        (
            *(docker_engine, compose_files, nobody_else_at_work, no_pin_in_the_way),
            *(room_for_an_image, disks, memory, clock, registry_reached),
            *(versions, backup_first, health_before),
        ),
        Verdicts("ready", "not ready"),
    ),
)


@dataclass(frozen=True)
class Verb:
    """``changes``: it has a plan, ``--dry-run`` and ``--yes``; else it only looks."""

    command: click.Command
    changes: bool

    @property
    def name(self) -> str:
        return self.command.name or ""


_looks = {one.name: Verb(one.command(), changes=False) for one in LOOKS}

VERBS: tuple[Verb, ...] = (
    _looks.pop("diagnose"),
    _looks.pop("health-check"),
    Verb(quick_fix, changes=True),
    Verb(restart_services, changes=True),
    Verb(show_versions, changes=False),
    Verb(rollback, changes=True),
    Verb(emergency_stop, changes=True),
    Verb(emergency_restart, changes=True),
    Verb(logs, changes=False),
    Verb(backup_create, changes=True),
    Verb(backup_list, changes=False),
    Verb(backup_verify, changes=False),
    Verb(backup_restore, changes=True),
    Verb(backup_prune, changes=True),
    Verb(backup_drill, changes=True),
    Verb(backup_daily, changes=True),
    Verb(cleanup, changes=True),
    _looks.pop("pre-deploy"),
    Verb(post_deploy, changes=True),
    *_looks.values(),
)
"""In the order in which the help lists them: what a person needs first stands first."""
