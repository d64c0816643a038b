"""What the tests share that kill the receiver while it rolls back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from receiver.store import steps
from receiver.store.database import reading
from target.engine import Engine, EngineError
from tests.parts.receiver_kit import body
from tests.real.processes import wait_for
from tests.real.product import Product
from tests.real.project import APP


def rollback(product: Product) -> Any:
    """The step, as the store has it."""
    return found(product, "rollback")


def found(product: Product, action: str) -> Any:
    with reading(product.state / "receiver.sqlite3") as c:
        return next((s for s in steps.steps(c, 1) if s.action == action), None)


def phase_is(product: Product, phase: str) -> Callable[[], bool]:
    def is_it() -> bool:
        one = rollback(product)
        assert one is None or one.state in ("pending", "running"), one
        return one is not None and one.phase == phase

    return is_it


def killed_when(product: Product, condition: Callable[[], object], what: str) -> None:
    product.start()
    status, _ = product.post(json.dumps(body()).encode())
    assert status == 200
    wait_for(condition, what, within=120)
    product.kill()


def image_of(client: Engine) -> str:
    try:
        return client.container(APP).image_id
    except EngineError:  # between two containers
        return ""


def end(product: Product) -> Any:
    product.start()
    wait_for(lambda: rollback(product).state in ("done", "failed"), "the end", within=180)
    return rollback(product)
