"""Every parser of what comes from outside, as a function of bytes that raises only what it says.

A target also says what must hold of what was read: that it does not depend on how the bytes were cut, that
what is printed can be read again, and so on. AssertionError is a finding, as is any error that is not foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from pydantic import SecretStr, ValidationError

from exporter.cgroup_files import files
from exporter.cgroup_layout import Layout, tokens_of
from exporter.log_frames import FrameCutter
from exporter.log_json import parse_json_entry
from exporter.log_reader import LogReader, counters
from exporter.traffic import Traffic
from receiver.deciding.policy import PolicyError, parse_policy
from receiver.github.answers import Runs, Workflow, parse
from receiver.hearing.alertmanager import BodyError, parse_webhook
from receiver.hearing.github import WorkflowRun, is_signed
from receiver.hearing.listing import ListingError, parse_groups, parse_status
from receiver.http import Answer
from receiver.notifiers.discord_answers import attached, created, trouble_of, verdict
from receiver.settings import ReceiverSettings
from receiver.telling.delivery import DeliveryError
from sermon_monitor.settings import Settings
from target import access_log
from target.durations import format_duration, parse_duration
from target.engine import EngineError
from target.engine_frames import FrameParser, LineParser, parse_event
from target.http_answer import Answer as HttpAnswer
from target.http_answer import BrokenBodyError, NotHttpError
from target.log_lines import LineAssembler, parse_entry
from target.setting_problem import setting_problem
from target.settings import SettingsError, parse_settings_file

CGROUP_FILES = [file for version in (1, 2) for file in files(version, 4, True, lambda numbers: numbers)]  # fmt: skip
SECRET = SecretStr("It's a Secret to Everybody")


@dataclass(frozen=True)
class Target:
    """``run`` may raise ``foreseen`` and nothing else."""

    run: Callable[[bytes], object]
    foreseen: tuple[type[Exception], ...] = ()

    def try_one(self, data: bytes) -> None:
        """Raises what must not be raised."""
        try:
            self.run(data)
        except self.foreseen as error:
            _has_words(str(error))


def _has_words(text: str) -> None:
    assert text, "an error without words"


def _pieces(data: bytes) -> list[bytes]:
    """The bytes behind the first, cut as that one says."""
    step = data[0] % 37 + 1 if data else 1
    return [data[at : at + step] for at in range(1, len(data), step)]


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


def log_line(data: bytes) -> None:
    found = access_log.parse_line(data)
    if isinstance(found, access_log.Access):
        assert 0 <= found.status <= 999
        assert 0 <= found.seconds <= access_log.LONGEST_SECONDS
    access_log.parse_duration(data.decode("latin-1"))


def duration(data: bytes) -> None:
    read = parse_duration(data.decode("utf-8", "surrogateescape"))
    assert timedelta(0) <= read <= timedelta(days=366)
    if read.microseconds == 0 and read:
        assert parse_duration(format_duration(read)) == read


def docker_frames(data: bytes) -> None:
    """Both ways of cutting frames find the same, however the stream arrives."""
    whole, cut, pieces = FrameParser(), FrameCutter(), FrameParser()
    told = whole.feed(data[1:])
    assert [one for piece in _pieces(data) for one in pieces.feed(piece)] == told
    frames = [one for piece in _pieces(data) for one in cut.cut(piece)[0]]
    assert len(frames) <= len(told) + 1


def engine_lines(data: bytes) -> None:
    lines, pieces = LineParser(), LineParser()
    told = lines.feed(data[1:])
    assert b"".join([one for piece in _pieces(data) for one in pieces.feed(piece)]) == b"".join(
        told
    )
    for line in told:
        try:
            parse_event(line)
        except EngineError as error:
            _has_words(str(error))


def log_entries(data: bytes) -> None:
    assembler = LineAssembler(tty=bool(data[:1] == b"t"))
    for raw in data[1:].split(b"\n"):
        entry = parse_entry(raw)
        assembler.feed(1, entry.body)
        parse_json_entry(raw)


def log_file(data: bytes) -> None:
    """The Engine's json-file: by the block and by the line the same is counted."""
    lines = [line + b"\n" for line in data[1:].split(b"\n")]
    assert _counted([b"".join(lines)]) == _counted(lines)


def _counted(blocks: list[bytes]) -> str:
    traffic = Traffic()
    made = counters(traffic)
    reader = LogReader("one", 0, made)
    for block in blocks:
        reader.take_file(block)
    made.settle()
    told = {name: getattr(traffic, name) for name in vars(traffic) if not name.startswith("_")}
    return repr(told)


def cgroup(data: bytes) -> None:
    """What a layout finds, it finds again in the same text, as numbers."""
    tokens = tokens_of([data])
    for file in CGROUP_FILES:
        layout = Layout([data], [file.locate])
        found = layout.values(tokens)
        if layout.complete:
            assert found is None or all(text.isdigit() for text in found[0] if text)


def policy(data: bytes) -> None:
    parse_policy(data.decode("utf-8", "replace"), "policy.yml")


def settings(data: bytes) -> None:
    """Through the file and all models; what is wrong is said in one line each."""
    found = parse_settings_file(data.decode("utf-8", "replace"))
    try:
        Settings.model_validate(found)
    except ValidationError as error:
        fields = {name.upper(): one for name, one in ReceiverSettings.model_fields.items()}
        fields |= {name.upper(): one for name, one in Settings.model_fields.items()}
        for item in error.errors():
            assert setting_problem(dict(item), fields)


def http_answer(data: bytes) -> None:
    """An answer to a probe is the same, however it arrives."""
    whole, pieces = HttpAnswer(), HttpAnswer()
    whole.feed(data[1:])
    for piece in _pieces(data):
        pieces.feed(piece)
    assert (pieces.status, bytes(pieces.body), pieces.done) == (whole.status, bytes(whole.body), whole.done)  # fmt: skip


def github_answer(data: bytes) -> None:
    answer = Answer(200, {}, data)
    for model in (Runs, Workflow):
        try:
            parse(model, answer)
        except DeliveryError as error:
            _has_words(error.words)


def discord_answer(data: bytes) -> None:
    status = (200, 400, 401, 403, 404, 429, 500, 503)[data[0] % 8] if data else 200
    answer = Answer(status, {"Retry-After": data[1:9].decode("latin-1")}, data[1:])
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


TARGETS: Mapping[str, Target] = {
    "webhook": Target(webhook, (BodyError,)),
    "github_webhook": Target(github_webhook, (ValidationError,)),
    "log_line": Target(log_line),
    "duration": Target(duration, (ValueError,)),
    "docker_frames": Target(docker_frames, (EngineError,)),
    "engine_lines": Target(engine_lines),
    "log_entries": Target(log_entries),
    "log_file": Target(log_file),
    "cgroup": Target(cgroup),
    "policy": Target(policy, (PolicyError,)),
    "settings": Target(settings, (SettingsError,)),
    "http_answer": Target(http_answer, (NotHttpError, BrokenBodyError)),
    "github_answer": Target(github_answer),
    "discord_answer": Target(discord_answer),
    "alertmanager_answer": Target(alertmanager_answer, (ValueError,)),
}
