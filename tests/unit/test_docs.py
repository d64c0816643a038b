"""What the documentation says is what the product is: settings, commands, alerts, links, targets, metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic.fields import FieldInfo

from receiver.deciding.gates import GATE_NAMES
from receiver.deciding.policy import load_policy
from receiver.records import Ring
from recovery.cli import main as recovery
from sermon_monitor.cli import main as monitor
from sermon_monitor.settings import NEEDS, Settings
from target.durations import format_duration

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "transcripts"))  # fmt: skip
SYSTEM_STATE_DIR = "/var/lib/sermon-monitor"
BUILT_IN_TARGETS = {"sure"}
"""Words after "make" in running text that are no targets."""


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def section(page: str, heading: str) -> str:
    """The text under one heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", text(page), re.M | re.S)  # fmt: skip
    assert found, f"{page} has no heading {heading!r}"
    return found[2]


def rows(markdown: str) -> list[list[str]]:
    """The cells of every table row; a ``|`` inside code is written ``\\|``."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


# Settings


def setting_rows() -> dict[str, list[str]]:
    found = [row for row in rows(text("docs/settings.md")) if re.fullmatch(r"`[A-Z_]+`", row[0])]
    names = [row[0].strip("`") for row in found]
    assert len(names) == len(set(names)), "a setting has two rows"
    return dict(zip(names, found, strict=True))


def shown(name: str, default: Any) -> str:
    """A default as docs/settings.md writes it."""
    if name == "state_dir":  # depends on who asks; the page says so
        return f"`{SYSTEM_STATE_DIR}`"
    match default:
        case None | "":
            return "unset"
        case bool():
            return f"`{str(default).lower()}`"
        case timedelta():
            return f"`{format_duration(default)}`"
        case tuple():
            return f"`{','.join(map(str, default))}`"
        case _:
            return f"`{default}`"


def test_the_page_has_the_settings_that_exist_and_no_other() -> None:
    assert set(setting_rows()) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(("name", "info"), Settings.model_fields.items())
def test_a_setting_has_its_true_default(name: str, info: FieldInfo) -> None:
    _, default, allowed, meaning, secret = setting_rows()[name.upper()]
    assert default == shown(name, info.default)
    assert allowed
    assert meaning
    assert secret == ("yes" if "SecretStr" in str(info.annotation) else "")


def test_names_without_effect_are_said() -> None:
    said = section("docs/settings.md", "Without effect")
    assert set(re.findall(r"`([A-Z_]+)`", said)) == {*NEEDS, *NEEDS.values()}


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    known = set(setting_rows()) | {"GRAFANA_PORT"}
    in_table = {
        name
        for row in rows(section("README.md", "Configuration"))
        for name in re.findall(r"`([A-Z_]+)`", row[0])
    }
    assert in_table
    assert in_table <= known


# Commands


def commands(group: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below ``group`` as typed after its program's name."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        if command := group.get_command(context, name):
            yield from commands(command, f"{path} {name}".strip())


PROGRAMS = {"sermon-monitor": monitor, "sermon-recovery": recovery}
COMMANDS = [(program, path, command) for program, group in PROGRAMS.items() for path, command in commands(group)]  # fmt: skip


@pytest.mark.parametrize(("program", "path", "command"), COMMANDS)
def test_a_command_has_a_row_with_its_options_and_an_example(
    program: str, path: str, command: click.Command
) -> None:
    page = section("README.md", "Commands")
    (row,) = [r for r in rows(page) if r[0] == f"`{path}`"]
    assert f"`{program} {path}" in row[2]
    for option in (p for p in command.params if isinstance(p, click.Option)):
        assert f"`{option.opts[0]}`" in page, f"{program} {path} {option.opts[0]}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_options_of_a_program_itself_are_said(program: str) -> None:
    for option in (p for p in PROGRAMS[program].params if isinstance(p, click.Option)):
        named = re.search(rf"{program}(?: \[--config FILE\] COMMAND)?[^|\n]*{option.opts[0]}", section("README.md", "Commands"))  # fmt: skip
        assert named, option.opts[0]


def test_no_row_is_of_a_command_that_does_not_exist() -> None:
    named = [r[0].strip("`") for r in rows(section("README.md", "Commands")) if len(r) == 3]
    assert set(named) - {"command"} == {path for _, path, _ in COMMANDS}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_can_be_typed(page: str) -> None:
    lines = re.findall(r"(?:^|[\s(]|bin/)(sermon-(?:monitor|recovery)) ([^\n`|\"]+)", _typed(page), re.M)  # fmt: skip
    for program, rest in lines:
        known = {path.split()[0] for name, path, _ in COMMANDS if name == program}
        first = re.sub(r"\[?--config FILE\]?", "", rest).split() or ["COMMAND"]
        assert first[0] in known | {"COMMAND", "--version", "…"}, f"{program} {rest}"


def _typed(page: str) -> str:
    """Only what stands as code in a page."""
    whole = text(page)
    blocks = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", whole, re.M | re.S)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", whole, flags=re.S))])  # fmt: skip


# Alerts and gates


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(text("monitoring/alerts.yml"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_the_table_of_alerts_is_that_of_rules_and_policy() -> None:
    policy = load_policy(ROOT / "monitoring/policy.yml")
    written = yaml.safe_load(text("monitoring/policy.yml"))["alerts"]
    wanted = []
    for rule in alert_rules():
        name, labels = rule["alert"], rule["labels"]
        shown_name = f"{name} `cause={labels['cause']}`" if "cause" in labels else name
        if name in policy.heartbeat:
            wanted.append([shown_name, labels["severity"], "never", "–", "none"])
            continue
        row = next(r for r in policy.alerts if r.matches({"alertname": name, **labels}))
        (steps,) = [r.get("steps", []) for r in written if (r["alert"], r.get("match", {})) == (row.alert, dict(row.match))]  # fmt: skip
        told = {Ring.MENTION: "rings", Ring.NOTIFY: "push", Ring.SILENT: "silent"}[row.ring]
        rings = "board" if row.discord == "digest" else told
        confirmed = "–" if row.confirm == "none" else row.confirm
        ladder = " → ".join(step.replace("@", "") for step in steps) or "none"
        wanted.append([shown_name, row.severity, rings, confirmed, ladder])
    said = [[r[0], *r[2:]] for r in rows(section("README.md", "Alerts and actions"))[1:]]
    assert sorted(said) == sorted(wanted)


@pytest.mark.parametrize("page", ["README.md", "docs/incidents.md"])
def test_the_gates_stand_in_their_order(page: str) -> None:
    before_a_change = [name for name in GATE_NAMES if name != "still broken"]
    assert [r[0] for r in rows(_dedented(page)) if r[0] in GATE_NAMES] == before_a_change


def _dedented(page: str) -> str:
    return re.sub(r"^ +\|", "|", text(page), flags=re.M)


# Links, targets, metrics


def anchors(page: str) -> set[str]:
    """GitHub's anchors of a page's headings."""
    outside_code = re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", outside_code, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text(page))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), link
        if anchor:
            assert anchor in anchors(str(there.resolve().relative_to(ROOT))), link


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", text("Makefile"), re.M))
    named = set(re.findall(r"(?:`|^\s*|\| )make ([a-z]+)", text(page), re.M)) - BUILT_IN_TARGETS
    assert named <= targets
    if page == "README.md":
        assert named == targets


def test_every_metric_named_in_the_readme_has_its_row() -> None:
    known = {row[0].strip("`") for row in rows(text("docs/metrics.md"))}
    named = set(re.findall(r"\bsermon_(?:uploader|monitor)_[a-z_]+", text("README.md")))
    assert named
    assert named <= known
