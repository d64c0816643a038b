"""What programs may ask of the receiver, as OpenAPI 3.1: ``GET /api/openapi.json``.

What an object holds is taken from the records themselves, so that it cannot be another here.
Source: spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, TypeAdapter

from receiver import audit
from receiver.approving.approvals import Wish
from receiver.hearing.alertmanager import Webhook
from receiver.hearing.github import WorkflowRun
from receiver.maintenance.calendar import Occurrence
from receiver.records import (
    AlertInstance,
    Approval,
    Event,
    EvidenceFile,
    Incident,
    PictureFile,
    Step,
    Window,
)
from target.versions import Release

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_NULL: Schema = {"type": "null"}
_MOST = 10**18 - 1
_READERS: list[Schema] = [{"boardToken": []}, {"boardPassword": []}]
_SENDERS: list[Schema] = [{"webhookToken": []}, {"webhookPassword": []}]


@cache
def text(base: str = "") -> str:
    """The whole document, as JSON."""
    return json.dumps(document(base))


def document(base: str = "") -> Schema:
    """The whole document. ``base``: what the paths of one of several deployments begin with."""
    paths = {**_for_senders(), **_for_readers(), **_for_everybody()}
    if base:  # these are the process's
        paths = {path: one for path, one in paths.items() if path not in ("/alerts", "/healthz")}
    return {
        **({"servers": [{"url": base}]} if base else {}),
        "openapi": "3.1.0",
        "info": {
            "title": "Sermon Monitor, the receiver",
            "version": version("sermon-monitor"),
            "description": "What Alertmanager and GitHub send, and what the board shows, as JSON. Times are RFC 3339."
            " Where a token is not set, which is possible on loopback alone, none is asked for.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _credentials()},
    }


def _for_senders() -> Schema:
    signed = [
        _header("X-Hub-Signature-256", "The HMAC of the raw body.", "^sha256=[0-9a-f]{64}$"),
        _header("X-GitHub-Delivery", "Taken once.", "^[A-Za-z0-9-]{1,64}$"),
        _header("X-GitHub-Event", "Of others than workflow_run nothing is done.", "^[a-z_]{1,64}$"),
    ]
    return {
        "/alerts": {
            "post": {
                "summary": "Alertmanager's webhook, version 4. 200 only after all of it is in the store; a repeat too.",
                "security": _SENDERS,
                **_body("Webhook"),
                **_answers("Committed", 400, 401, 413, 415, 503),
            }
        },
        "/webhooks/github": {
            "post": {
                "summary": "GitHub's webhook, where GITHUB_WEBHOOK_SECRET is set.",
                "parameters": signed,
                **_body("WorkflowRun"),
                **_answers("Done", 400, 401, 413, 415, 503),
            }
        },
    }


def _for_readers() -> Schema:
    number = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": _MOST},
    }
    decide = {
        "summary": "Decide. Only where BOARD_TOKEN is set.",
        "security": _READERS,
        **_body("Wish"),
        **_answers("Done", 400, 401, 403, 404, 409, 415, 503),
    }
    return {
        "/api/incidents": _read("Open incidents first, then the newest.", "Incidents"),
        "/api/incidents/{id}": _read("One incident.", "Incident", number),
        "/api/incidents/{id}/evidence": _read("What was collected for it.", "EvidenceTexts", number),
        "/api/deployments": _read("What ran when, the newest first.", "Deployments"),
        "/api/maintenance": _read("Windows: those there were, and those to come.", "Maintenance"),
        "/api/approvals": _read("What people are or were asked.", "Approvals"),
        "/api/approvals/{id}": {"parameters": [number], "post": decide},
        "/api/audit": _read("The audit trail, the newest first.", "Audit", *_of_audit()),
    }  # fmt: skip


def _for_everybody() -> Schema:
    def get(summary: str, kind: str, *others: int) -> Schema:
        answers = {
            status: {"description": summary, "content": {kind: {}}} for status in (200, *others)
        }
        return {"get": {"summary": summary, "security": [], "responses": _by_status(answers)}}

    return {
        "/api/openapi.json": get("This.", "application/json"),
        "/healthz": get("Alive.", "text/plain"),
        "/readyz": get("The store takes a write and the worker runs; else 503 with why.", "text/plain", 503),
        "/status": get("How it stands, for people.", "text/html", 503),
    }  # fmt: skip


def _of_audit() -> list[Schema]:
    number = {"type": "integer", "minimum": 0, "maximum": _MOST}
    schemas = {
        "limit": {"type": "integer", "minimum": 1, "maximum": audit.MOST_A_PAGE, "default": 100},
        "incident": number,
        "since": {"anyOf": [{"type": "string", "format": "date-time"}, {"const": ""}]},
        "kind": _TEXT,
        "before": number,
    }
    return [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()]


def _read(summary: str, schema: str, *parameters: Schema) -> Schema:
    errors = [401, 503]
    errors += [404] if any(one["in"] == "path" for one in parameters) else []
    errors += [400] if any(one["in"] == "query" for one in parameters) else []
    asked = {"summary": summary, "security": _READERS, **_answers(schema, *errors)}
    return {"parameters": [*parameters], "get": asked}


def _header(name: str, words: str, pattern: str) -> Schema:
    schema = {**_TEXT, "pattern": pattern}
    return {"name": name, "in": "header", "required": True, "schema": schema, "description": words}


def _body(schema: str) -> Schema:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(schema)}}}
    }


_WORDS = {
    400: "Not as it should be; `fields` says where.",
    401: "No or a wrong credential.",
    403: "Without BOARD_TOKEN the board is read-only.",
    404: "There is none of this number.",
    409: "It does not count; `error` says why.",
    413: "Larger than MAX_BODY_BYTES.",
    415: "Allowed: Content-Type application/json.",
    503: "Not now: the store cannot take or tell it, or too many ask at once.",
}


def _answers(schema: str, *errors: int) -> Schema:
    ours: Schema = {"schema": _ref("Problem")}
    answers: dict[int, Schema] = {
        200: {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}
    }
    for status in errors:
        content: Schema = {"application/json": ours}
        if status in (400, 404, 503):  # where it was answered before it came to us
            content["text/plain"] = {}
        answers[status] = {"description": _WORDS[status], "content": content}
    return {"responses": _by_status(answers)}


def _by_status(answers: Mapping[int, Schema]) -> Schema:
    return {str(status): answers[status] for status in sorted(answers)}


def _credentials() -> Schema:
    return {
        "webhookToken": {"type": "http", "scheme": "bearer", "description": "WEBHOOK_TOKEN"},
        "webhookPassword": {"type": "http", "scheme": "basic", "description": "WEBHOOK_TOKEN, of any user"},
        "boardToken": {"type": "http", "scheme": "bearer", "description": "BOARD_TOKEN"},
        "boardPassword": {"type": "http", "scheme": "basic", "description": "BOARD_TOKEN, of any user"},
    }  # fmt: skip


def _schemas() -> Schema:
    asked = _record(Approval, title=_TEXT, open=_BOOLEAN)
    event = _record(Event)
    incident = _record(
        Incident,
        alerts=_list(_record(AlertInstance, firing=_BOOLEAN)),
        steps=_list(_record(Step)),
        approvals=_list(_ref("Approval")),
        evidence=_list(_record(EvidenceFile)),
        picture={"anyOf": [_record(PictureFile), _NULL]},
        events=_list(event),
    )
    window, coming = _record(Window, active=_BOOLEAN), _record(Occurrence)
    release = _record(Release, title=_TEXT, running=_BOOLEAN)
    return {
        "Webhook": _model(Webhook),
        "WorkflowRun": _model(WorkflowRun),
        "Wish": _model(Wish),
        "Incident": incident,
        "Approval": asked,
        "Incidents": _object(incidents=_list(_ref("Incident"))),
        "EvidenceTexts": _object(evidence=_list(_record(EvidenceFile, text=_TEXT))),
        "Deployments": _object(deployments=_list(release)),
        "Maintenance": _object(maintenance=_list(window), coming=_list(coming)),
        "Approvals": _object(approvals=_list(_ref("Approval"))),
        "Audit": _object(
            audit=_list(_chosen(event, audit.COLUMNS)),
            next={"anyOf": [{"type": "integer"}, _NULL]},
        ),
        "Committed": _object(status={"const": "committed"}, alerts={"type": "integer", "minimum": 0}),
        "Done": _object(status=_TEXT),
        "Problem": {
            **_object(error=_TEXT, fields=_list(_object(field=_TEXT, problem=_TEXT))),
            "required": ["error"],
        },
    }  # fmt: skip


def _record(kind: type, **more: Schema) -> Schema:
    """All fields of a record, each always there, and what is shown beside them."""
    found = TypeAdapter(kind).json_schema(mode="serialization")
    return _object(**{name: _bare(one) for name, one in found["properties"].items()}, **more)


def _model(kind: type[BaseModel]) -> Schema:
    """What is read of a body, whole: models within it stand in their places."""
    found = kind.model_json_schema(mode="validation", ref_template="{model}")
    inner: Schema = found.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return filled(inner[value["$ref"]])
            return {name: filled(one) for name, one in value.items()}
        return [filled(one) for one in value] if isinstance(value, list) else value

    whole: Schema = filled(found)
    return whole


def _bare(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name not in ("title", "default")}


def _chosen(schema: Schema, names: tuple[str, ...]) -> Schema:
    return _object(**{name: schema["properties"][name] for name in names})


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
