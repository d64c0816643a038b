"""``python -m tests.chaos``: play scenarios until enough receivers were killed, and print where.

Exit 0: every law held and every point was hit often enough. 1: not; the line to play the failing
scenario again is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign, Goal
from tests.chaos.plots import PLOTS
from tests.chaos.scenario import Scenario
from tests.chaos.tally import read_tally


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first scenario; default: a random one")
    parser.add_argument("--kills", type=int, default=500, help="at least so many in all")
    parser.add_argument("--each", type=int, default=20, help="at least so many at each point")
    parser.add_argument("--worlds", type=int, help="play exactly so many scenarios")
    parser.add_argument("--plots", type=_words, help=f"of: {', '.join(PLOTS)}")
    parser.add_argument("--spare", type=_words, default=(), help="points to be killed at seldom")
    parser.add_argument("--at-once", type=int, default=14, help="receivers at a time")
    parser.add_argument("--minutes", type=float, default=120.0, help="give up after so many")
    parser.add_argument(
        "--keep", type=Path, help="where logs and stores go; default: they are removed"
    )
    parser.add_argument(
        "--tally", type=Path, help="go on with what this file has counted, and write it anew"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.plots or ()) - set(PLOTS):
        parser.error(f"no such plot: {', '.join(sorted(unknown))}")
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    goal = Goal(arguments.kills, arguments.each, arguments.worlds, arguments.minutes * 60)
    tally = read_tally(arguments.tally)

    def tell(line: str) -> None:
        print(line, flush=True)
        if arguments.tally:  # whoever ends us keeps what was counted
            tally.save(arguments.tally)

    campaign = Campaign(seed, goal, arguments.at_once, tell, tally)
    if arguments.plots:
        campaign.fixed = Scenario(seed, tuple(arguments.plots), frozenset(arguments.spare))
    # A caller that is killed in the middle of its request is what all this is about.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        asyncio.run(campaign.run(arguments.keep or Path(directory)))
    if arguments.tally:
        tally.save(arguments.tally)
    print("\n".join(campaign.report()))
    sys.exit(0 if campaign.succeeded else 1)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


if __name__ == "__main__":
    main()
