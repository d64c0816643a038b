"""The OpenAPI description: it is of the routes that there are, of what they answer, and nothing that fits it breaks us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jsonschema import Draft202012Validator, FormatChecker

from receiver.board import description
from receiver.service import Receiver
from tests.parts.approval_kit import scene
from tests.parts.receiver_kit import alert, body, receiver
from tests.real.openapi_hooks import SECRET
from tests.real.processes import fetch
from tests.real.product import Product

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "t0ken-of-both-doors"
FOR_PEOPLE = (
    "/live",
    "/sign-",
    "/assets/",
    "/approve/",
    "/incidents",
    "/deployments",
    "/maintenance",
)
ALSO_FOR_PEOPLE = ("/", "/approvals", "/approvals/{id}", "/policy", "/audit")


def operations() -> Iterator[tuple[str, str]]:
    for path, item in description.document()["paths"].items():
        yield from ((method.upper(), path) for method in item if method != "parameters")


def check(schema: str, value: Any) -> None:
    """Raises jsonschema's ValidationError."""
    document = description.document()
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


async def test_it_is_of_every_route_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[web.Application] = []
    start = Receiver.start

    async def noted(self: Receiver) -> web.Application:
        made.append(await start(self))
        return made[-1]

    monkeypatch.setattr(Receiver, "start", noted)
    async with receiver(tmp_path, GITHUB_WEBHOOK_SECRET=SECRET):
        routed = {
            (route.method, route.resource.canonical)
            for route in made[0].router.routes()
            if route.resource and route.method != "HEAD"
        }
    for_programs = {
        (method, path)
        for method, path in routed
        if path not in ALSO_FOR_PEOPLE and not path.startswith(FOR_PEOPLE)
    }
    assert for_programs == set(operations())


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    document = description.document()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = description.text()
    named = {one.split('"')[0] for one in text.split("#/components/schemas/")[1:]}
    assert named == set(schemas)
    needed = {
        name
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
        for one in operation.get("security", ())
        for name in one
    }
    assert needed == set(document["components"]["securitySchemes"])


def test_the_bounds_of_what_is_sent_are_said() -> None:
    schemas = description.document()["components"]["schemas"]
    truncated = schemas["Webhook"]["properties"]["truncatedAlerts"]
    assert (truncated["minimum"], truncated["maximum"]) == (0, 2**31 - 1)
    number = schemas["WorkflowRun"]["properties"]["workflow_run"]["properties"]["id"]
    assert (number["minimum"], number["exclusiveMaximum"]) == (0, 2**63)


async def test_what_is_answered_of_an_incident_is_what_it_says(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await here.asked()
        await here.running.post(body(alert("Gone", labels={"alertname": "Gone", "severity": "critical"})))  # fmt: skip
        answers = {}
        for path, schema in (
            ("/api/incidents", "Incidents"),
            ("/api/incidents/1", "Incident"),
            ("/api/incidents/1/evidence", "EvidenceTexts"),
            ("/api/deployments", "Deployments"),
            ("/api/maintenance", "Maintenance"),
            ("/api/approvals", "Approvals"),
            ("/api/audit?limit=3", "Audit"),
            ("/api/incidents/999", "Problem"),
            ("/api/audit?limit=0", "Problem"),
        ):
            answers[path] = json.loads((await here.running.get(path))[1])
            check(schema, answers[path])
        status, text = await here.running.get("/api/openapi.json")
    assert (status, json.loads(text)) == (200, description.document())
    assert answers["/api/incidents/1"]["steps"]
    assert answers["/api/approvals"]["approvals"]
    assert answers["/api/audit?limit=3"]["next"]
    answers["/api/incidents/1"]["steps"][0]["more"] = 1
    with pytest.raises(Exception, match="'more' was unexpected"):
        check("Incident", answers["/api/incidents/1"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [1, pytest.param(200, marks=pytest.mark.long)])
def test_nothing_that_fits_it_or_does_not_is_answered_otherwise(
    tmp_path: Path, examples: int
) -> None:
    """schemathesis, against the real process: what is to be taken is, what is not is refused, and both as described."""
    nobody = "http://127.0.0.1:9"
    product = Product(
        tmp_path / "product",
        {
            "WEBHOOK_TOKEN": TOKEN,
            "BOARD_TOKEN": TOKEN,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_TOKEN": "github_pat_that_nobody_takes",
            "GITHUB_REPO": "a/b",
            "GITHUB_API_URL": nobody,
            "APP_URL": nobody,
            "MINIO_URL": nobody,
            "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        },
    )
    product.start()
    try:
        ran = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "run", f"{product.url}/api/openapi.json"),
                *("--header", f"Authorization: Bearer {TOKEN}", "--checks", "all", "--no-color"),
                *("--phases", "coverage,fuzzing", "--max-examples", str(examples)),
                *(["--generation-deterministic"] if examples < 100 else []),
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.real.openapi_hooks", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        described = len(list(operations()))
        assert f"Tested: {described - 1}" in ran.stdout  # it passes over its own source
        assert "WARNINGS" not in ran.stdout, ran.stdout
        assert "Traceback" not in product.log()
        assert fetch(f"{product.url}/readyz")[0] == 200
    finally:
        product.stop()
