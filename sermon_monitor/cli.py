"""The command line: ``sermon-monitor``. Exit 0 done, 1 unhealthy or refused, 2 wrong usage."""

from __future__ import annotations

from pathlib import Path

import click

from sermon_monitor.lazy import LazyGroup

COMMANDS = {
    "approvals": "sermon_monitor.approvals:approvals_command",
    "approve": "sermon_monitor.approvals:approve_command",
    "audit": "sermon_monitor.audit:audit_command",
    "check": "sermon_monitor.check_cli:check_command",
    "deny": "sermon_monitor.approvals:deny_command",
    "digest": "sermon_monitor.digest:digest_command",
    "discard": "sermon_monitor.by_hand:discard_command",
    "evidence": "sermon_monitor.evidence:evidence_command",
    "explain": "sermon_monitor.explain_cli:explain_command",
    "health-monitor": "sermon_monitor.health_monitor:health_monitor",
    "incidents": "sermon_monitor.incidents:incidents_command",
    "install-units": "sermon_monitor.install_cli:install_units",
    "install-workflow": "sermon_monitor.install_cli:install_workflow",
    "maintenance": "sermon_monitor.maintenance:maintenance_group",
    "mark": "sermon_monitor.mark:mark_command",
    "note": "sermon_monitor.by_hand:note_command",
    "policy": "sermon_monitor.policy_test:policy_group",
    "replay": "sermon_monitor.explain_cli:replay_command",
    "report-rollback": "sermon_monitor.report_cli:report_rollback",
    "retry": "sermon_monitor.by_hand:retry_command",
    "rules": "sermon_monitor.rules_cli:rules_command",
    "secrets": "sermon_monitor.secrets_cli:secrets_group",
    "serve": "sermon_monitor.serve_cli:serve_command",
    "status": "sermon_monitor.status:status_command",
    "store": "sermon_monitor.store_cli:store_group",
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sermon-monitor")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="KEY=VALUE settings file (default: $SERMON_MONITOR_CONFIG).",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Watches the Sermon Uploader, tells people on Discord when it breaks, and puts it right.

    Example: sermon-monitor serve
    """
    context.obj = config
