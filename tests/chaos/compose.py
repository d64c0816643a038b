"""``docker compose`` as far as a rollback by the machine itself needs it: a command in the receiver's PATH.

It answers what the files mean; an ``up`` it leaves to the scenario, as the real one leaves it to the
Engine, and waits for it. So it outlives a receiver that is killed, as the real one does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from target.files import replace_text

PROJECT = "uploader"
LOOK_SECONDS = 0.05
_SCRIPT = """#!/bin/sh
# what follows -f last names the image that counts
file=; follows=
for word; do
  test "$follows" && file=$word
  case $word in -f) follows=1 ;; *) follows= ;; esac
done
case " $* " in
*" version "*) echo 2.24.0 ;;
*" config "*)
  image=$(sed -n '/sermon-uploader:$/,$s/^ *image: *"\\{0,1\\}\\([^ "#]*\\).*/\\1/p' "$file" | head -n 1)
  printf '{"name": "uploader", "services": {"sermon-uploader": {"image": "%s"}, "minio": {"image": "minio:v0"}}}\\n' "$image"
  ;;
*" up "*)
  image=$(sed -n '/sermon-uploader:$/,$s/^ *image: *"\\{0,1\\}\\([^ "#]*\\).*/\\1/p' "$file" | head -n 1)
  echo "$image" >"DIRECTORY/.up.$$"
  mv "DIRECTORY/.up.$$" "DIRECTORY/up.$$"
  for _ in $(seq 100); do test -e "DIRECTORY/up.$$" || exit 0; sleep 0.05; done
  rm -f "DIRECTORY/up.$$"
  echo "nobody did it" >&2
  exit 1
  ;;
*) exit 1 ;;
esac
"""


class Project:
    """A directory with a compose file, and one with the command."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "project"
        self.path = directory / "bin"
        self._asked = directory / "asked"
        for made in (self.directory, self.path, self._asked):
            made.mkdir(parents=True)
        command = self.path / "docker"
        command.write_text(_SCRIPT.replace("DIRECTORY", str(self._asked)))
        command.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """For the receiver, which finds this command before the machine's own."""
        return {
            "PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}",
            "COMPOSE_PROJECT_DIR": str(self.directory),
            "BACKUP_DIR": str(self.directory / "backups"),
        }

    def names(self, image: str) -> None:
        """The file is written anew, as a deployment does it."""
        text = f"services:\n  sermon-uploader:\n    image: {image}\n  minio:\n    image: minio:v0\n"
        replace_text(self.directory / "compose.yml", text)

    async def serve(self, up: Callable[[str], None]) -> None:
        """Do every ``up`` that is asked for; ``up`` gets the image's name."""
        while True:
            for asked in sorted(self._asked.glob("up.*")):
                up(asked.read_text().strip())
                asked.unlink(missing_ok=True)
            await asyncio.sleep(LOOK_SECONDS)
