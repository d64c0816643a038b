"""``python -m tests.real``: fetch what the tests with real parts need, visibly, before they run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.real import browser, daemons, debian, engine, images, node_exporter, postgres, registry

_STEPS: dict[str, Callable[[], object]] = {
    "Debian packages": lambda: debian.install(
        *engine.PACKAGES, *images.PACKAGES, *browser.PACKAGES, *postgres.PACKAGES
    ),
    "Prometheus and Alertmanager": daemons.binaries,
    "node_exporter": node_exporter.program,
    "the image registry": registry.program,
    "the root filesystem of the base image": images.python_root,
}


def main() -> None:
    """Do what can be done; what cannot is said, and the tests that need it say so again."""
    for what, step in _STEPS.items():
        print(f"real parts: {what} …", flush=True)
        began = time.monotonic()
        try:
            step()
        except debian.DebianError as problem:
            print(f"real parts: {what}: {problem}", file=sys.stderr, flush=True)
        else:
            print(f"real parts: {what}: there ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
