"""The runbooks and the guide: what they promise is what policy.yml does, and what they say to type exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest
import yaml

from receiver.deciding.policy import Row, load_policy
from recovery.cli import main as recovery
from sermon_monitor.cli import main as monitor
from target.durations import format_duration

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
PAGES = [*RUNBOOKS, ROOT / "docs" / "rollback-and-recovery.md", ROOT / "docs" / "operations.md"]
WORKFLOWS = (
    ROOT / ".github" / "workflows" / "rollback.yml",
    ROOT / "deploy" / "workflows" / "self-hosted-deploy.yml",
)
POLICY = load_policy(ROOT / "monitoring" / "policy.yml")
ROWS = list(POLICY.alerts)
PROGRAMS: dict[str, click.Group] = {"sermon-monitor": monitor, "sermon-recovery": recovery}
FRONTS = {"./scripts/recovery-toolkit.sh": "sermon-recovery"}

_PROMISED = {
    "restart": r"\b[Rr]estart",
    "rollback": r"\b([Rr]ollback|rolled back)",
    "person": r"\bperson\b",
    "cleanup": r"\b([Cc]lean|removed|deletion)",
    "investigate": r"\b([Ee]vidence|[Ii]nvestigat)",
    "emergency_stop": r"\b[Ss]top",
}
"""How a page names an action."""
_CLAIMED = {
    "restart": r"A restart of",
    "rollback": r"A rollback (at once|after|once)",
    "person": r"(A|a) person (is called|\d|after)|, a person",
    "cleanup": r"cleaned up (at once|by itself)",
}
"""How a page would promise what no row asks for."""
_NUMBERS = {1.0: "one", 2.0: "two", 5.0: "five", 10.0: "ten"}
_KNOWN = {
    "docker", "curl", "df", "du", "free", "top", "ps", "ls", "ping", "sort", "head", "tail", "grep", "journalctl",
    "systemctl", "systemd-sysusers", "crontab", "chown", "chmod", "cd", "git", "cp", "python3", "cat", "install",
    ".venv/bin/pip", "apt-get", "reboot", "ssh", "rm", "gpasswd",
}  # fmt: skip
_NEVER = r"prune\b.*--volumes|docker volume (rm|prune)|fuser -k|pkill|stop docker\b|rm -rf"


def section(page: Path, heading: str) -> str:
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(), re.M | re.S)
    return " ".join(str(found).split())


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: "-".join([row.alert, *dict(row.match).values()])
)
def test_a_page_promises_what_the_policy_does(row: Row) -> None:
    """Each step is named with its time; ``at once`` and ``after 2 minutes`` is how the pages say it."""
    says = section(ROOT / "docs" / "runbooks" / f"{row.alert}.md", "What happens by itself")
    for step in row.steps:
        assert re.search(_PROMISED[step.action], says), f"{row.alert} does not say: {step.action}"
        minutes = step.after / timedelta(minutes=1)
        when = (
            rf"\b({minutes:g}|{_NUMBERS.get(minutes, 'never')})\b"
            if minutes
            else r"\b(at once|once|is proposed|is called|minutes of silence)\b"
        )
        assert re.search(when, says), f"{row.alert}: {step.action} @{format_duration(step.after)}"
    wanted = {step.action for step in row.steps}
    for action, claim in _CLAIMED.items():
        assert action in wanted or not re.search(claim, says), f"{row.alert} promises: {action}"
    assert row.steps or re.search(r"\b[Nn]othing|[Nn]obody is called", says), row.alert


def typed(page: Path) -> Iterator[str]:
    """Each command line of the ``sh`` blocks; a line that ends with a backslash goes on."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.M | re.S):
        text = re.sub(r"<<(\w+)\n.*?^\1$", "", block, flags=re.M | re.S).replace("\\\n", " ")
        yield from (line.strip() for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_said_to_type_can_be_typed(page: Path) -> None:
    for line in typed(page):
        assert not re.search(_NEVER, line), line
        for part in re.split(r"\|\|?|&&|;", re.sub(r"\s#.*|>>?\s*\S+", "", line)):
            _check(_words(part), line)


def _words(part: str) -> list[str]:
    words = shlex.split(re.sub(r"\$\([^)]*\)", "WORD", part))
    while words and ("=" in words[0] or words[0] == "sudo"):
        words = words[1:]
    return words


def _check(words: list[str], line: str) -> None:
    if not words:
        return
    program = FRONTS.get(words[0], words[0].rpartition("/")[2])
    if words[0] == "docker" and "exec" in words:
        inside = words.index("exec")
        _check(words[inside + 2 :], line)
    elif program in PROGRAMS:
        _parse(PROGRAMS[program], program, words[1:], line)
    else:
        assert words[0] in _KNOWN, line


def _parse(
    group: click.Group, path: str, words: list[str], line: str, parent: click.Context | None = None
) -> None:
    """Verb and options are those of the real command; values are not looked at.

    As click itself does it: a command keeps its help option as its first context had it.
    """
    context = click.Context(group, parent, path, **group.context_settings)
    name = next((word for word in words if not word.startswith("-")), "")
    command = group.get_command(context, name)
    assert command is not None, f"no such command: {line}"
    rest = words[words.index(name) + 1 :]
    if isinstance(command, click.Group):
        _parse(command, f"{path} {name}", rest, line, context)
        return
    try:
        alone = click.Context(command, context, name, **command.context_settings)
        _, left, _ = command.make_parser(alone).parse_args(rest)
    except click.UsageError as error:
        pytest.fail(f"{line}: {error.message}")
    assert not left, f"too many words: {line}"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_types_exists(workflow: Path) -> None:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    lines = [
        re.sub(r">\S+|\"\$\{force\[@\]\}\"", "", line.strip())
        for line in "\n".join(scripts).replace("\\\n", " ").splitlines()
        if line.strip().startswith("sermon-")
    ]
    assert lines
    for line in lines:
        _check(_words(line), line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_said_to_type_in_a_sentence_exists_too(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for code in re.findall(r"`(sermon-(?:monitor|recovery) [^`\n]+)`", text.replace("\n", " ")):
        if not re.search(r"…|COMMAND", code):
            _check(_words(code), code)
