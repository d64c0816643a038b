"""Every parser of what comes from outside, as a function of bytes that raises only what it says.

A target also says what must hold of what was read: that it does not depend on how the bytes were cut, that
what is printed can be read again, and so on. AssertionError is a finding, as is any error that is not foreseen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr, ValidationError

from receiver.deciding.policy import Policy, PolicyError, PolicyStep, parse_policy
from receiver.github import answers, records
from receiver.hearing.alertmanager import BodyError, parse_webhook
from receiver.hearing.github import WorkflowRun, is_signed
from receiver.hearing.listing import ListingError, parse_groups, parse_status
from receiver.http import Answer
from receiver.notifiers.discord_answers import attached, created, trouble_of, verdict
from receiver.settings import ReceiverSettings
from receiver.telling.delivery import DeliveryError
from sermon_monitor.settings import Settings
from target.access_log import SIGN_BEGINNINGS
from target.durations import format_duration, parse_duration
from target.http_answer import Answer as HttpAnswer
from target.http_answer import BrokenBodyError, NotHttpError
from target.setting_problem import setting_problem
from target.settings import SettingsError, parse_settings_file
from tests.fuzz import engine_targets as engine

SECRET = SecretStr("It's a Secret to Everybody")
FIELDS = {
    name.upper(): one
    for model in (ReceiverSettings, Settings)
    for name, one in model.model_fields.items()
}
GITHUB_ANSWERS = (
    answers.Dispatched,
    answers.Run,
    answers.Runs,
    answers.RunDetails,
    answers.Workflow,
    answers.Runners,
    answers.Deployments,
    answers.DeploymentStatuses,
    records._Numbered,
    records._Issue,
    records._Issues,
)


@dataclass(frozen=True)
class Target:
    """``run`` may raise ``foreseen`` and nothing else.

    ``longest``: bytes of an input. ``json_at``: where JSON begins in it. ``words``: what is worth a try.
    """

    run: Callable[[bytes], object]
    foreseen: tuple[type[Exception], ...] = ()
    longest: int = 1024
    json_at: int | None = None
    words: tuple[str, ...] = ()

    def try_one(self, data: bytes) -> None:
        """Raises what must not be raised."""
        try:
            self.run(data)
        except self.foreseen as error:
            _has_words(str(error))


def _has_words(text: str) -> None:
    assert text, "an error without words"


def webhook(data: bytes) -> None:
    found = parse_webhook(data)
    for alert in found.alerts:
        assert alert.severity in ("critical", "warning", "info")
        assert alert.key
        assert alert.name
        assert alert.service


def github_webhook(data: bytes) -> None:
    assert not is_signed(data, data[:80].decode("latin-1"), SECRET)
    WorkflowRun.model_validate_json(data)


def duration(data: bytes) -> None:
    read = parse_duration(data.decode("utf-8", "surrogateescape"))
    assert timedelta(0) <= read <= timedelta(days=366)
    if read.microseconds == 0 and read:
        assert parse_duration(format_duration(read)) == read


def policy(data: bytes) -> None:
    """As it is written, in YAML."""
    parse_policy(data.decode("utf-8", "replace"), "policy.yml")


def policy_form(data: bytes) -> None:
    """What YAML made of it, here of JSON: quicker, and so deeper. A step that is printed is read as the same."""
    found = Policy.model_validate(json.loads(data))
    for row in found.alerts:
        assert found.row({"alertname": row.alert, **row.match}, row.severity).alert == row.alert
        for step in row.steps:
            assert PolicyStep.model_validate(str(step)) == step


def settings(data: bytes) -> None:
    """Through the file and all models; what is wrong is said in one line each."""
    found = parse_settings_file(data.decode("utf-8", "replace"))
    try:
        Settings.model_validate(found)
    except ValidationError as error:
        for item in error.errors():
            assert setting_problem(dict(item), FIELDS)


def http_answer(data: bytes) -> None:
    """An answer to a probe is the same, however it arrives."""
    whole, parts = HttpAnswer(), HttpAnswer()
    whole.feed(data[1:])
    for piece in engine.pieces(data):
        parts.feed(piece)
    assert (parts.status, bytes(parts.body), parts.done) == (whole.status, bytes(whole.body), whole.done)  # fmt: skip
    assert parts.location == whole.location


def github_answer(data: bytes) -> None:
    """The first byte says what GitHub was asked."""
    model = GITHUB_ANSWERS[(data[0] if data else 0) % len(GITHUB_ANSWERS)]
    found = answers.parse(model, Answer(200, {}, data[1:]))
    if isinstance(found, answers.Runners):
        for runner in found.runners:
            assert runner.has(frozenset())
            assert runner.online is (runner.status == "online")


def discord_answer(data: bytes) -> None:
    """The first byte is the status, and whether its bucket is empty."""
    status = (200, 400, 401, 403, 404, 429, 500, 503)[data[0] % 8] if data else 200
    headers = {
        "Retry-After": data[1:9].decode("latin-1"),
        "X-RateLimit-Remaining": "1" if data[:1] >= b"\x80" else "0",
    }
    answer = Answer(status, headers, data[9:])
    told = verdict(answer, trouble_of(answer), creating=True)
    assert (told is None) == (status == 200)
    if told is not None and told.retry_after is not None:
        assert 0 <= told.retry_after < 10**9
    for read in (created, attached):
        try:
            read(answer)
        except DeliveryError as error:
            _has_words(error.words)


def alertmanager_answer(data: bytes) -> None:
    """What Alertmanager lists."""
    answer = Answer(200, {}, data).json()
    for read in (parse_status, lambda found: parse_groups(found, ("monitor",), ("Watchdog",))):
        try:
            read(answer)
        except ListingError as error:
            _has_words(str(error))


POLICY_WORDS = (
    *("version: 1", "alerts:", "others:", "timing:", "maintenance:", "heartbeat:", "local_fallback:"),
    *("alert:", "match:", "steps:", "severity:", "discord:", "confirm:", "rollback_if:", "critical"),
    *("ask", "restart app @0m", "rollback @2m", "person @10m", "cleanup images @0m", "!!timestamp"),
    *("!!int", "<<: ", "&a ", "*a", "? ", ": ", "- ", "|\n", ">\n", "---\n", "\\U0010ffff", "2026-13-45"),
)  # fmt: skip
CGROUP_WORDS = (
    "total",
    "oom_kill",
    "rbytes=",
    "Total",
    "some",
    "full",
    "user_usec",
    "inactive_file",
)
LOG_WORDS = (
    *("12:00:01 | 200 | ", " | 1.5s | ", " | 10.0.0.1 | POST | /api/upload", "panic: ", "\x1b[31m", "1h2m3.4s"),
    *("2026/03/07 23:00:00 ", *(one.decode() for one in SIGN_BEGINNINGS), "handler=UploadBatch"),
)  # fmt: skip
HTTP_WORDS = (
    *("HTTP/1.1 200 OK", "\r\n\r\n", "Content-Length: ", "Transfer-Encoding: chunked", "Location: "),
    *("100 Continue", "0\r\n\r\n", "5\r\nhello\r\n", "ffffffff", "\r\n\t", "chunked, identity"),
)  # fmt: skip
TARGETS: Mapping[str, Target] = {
    "webhook": Target(webhook, (BodyError,), longest=16384, json_at=0),
    "github_webhook": Target(github_webhook, (ValidationError,), json_at=0),
    "log_line": Target(engine.log_line, words=LOG_WORDS),
    "duration": Target(duration, (ValueError,), longest=64),
    "docker_frames": Target(engine.docker_frames, longest=512),
    "engine_lines": Target(engine.engine_lines, json_at=1),
    "log_entries": Target(engine.log_entries, json_at=1),
    "log_file": Target(engine.log_file, json_at=1, words=LOG_WORDS),
    "cgroup": Target(engine.cgroup, words=CGROUP_WORDS),
    "policy": Target(policy, (PolicyError,), longest=384, words=POLICY_WORDS),
    "policy_form": Target(policy_form, (ValueError, RecursionError), longest=2048, json_at=0),
    "settings": Target(settings, (SettingsError,), longest=512, words=tuple(f"{n}=" for n in FIELDS)),
    "http_answer": Target(http_answer, (NotHttpError, BrokenBodyError), longest=2048, words=HTTP_WORDS),
    "github_answer": Target(github_answer, (DeliveryError,), longest=2048, json_at=1),
    "discord_answer": Target(discord_answer, json_at=9),
    "alertmanager_answer": Target(alertmanager_answer, (ValueError,), longest=2048, json_at=0),
}  # fmt: skip
