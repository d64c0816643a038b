"""How many files may be open."""

from __future__ import annotations

import subprocess
import sys


def test_the_limit_of_open_files_is_raised_and_kept_to() -> None:
    """In a process of its own, whose limits are its own."""
    told = subprocess.run(
        [sys.executable, "-c", _LIMITED], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "True", "300"]


_LIMITED = """
import resource
from exporter.cgroup_reader import Descriptors, raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
print(Descriptors().take(20))
raise_descriptor_limit()
print(Descriptors().take(20))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
