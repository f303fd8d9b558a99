"""Send mutated prompts to a real ComfyUI: python3 dev/fuzz.py [--seed 1] [--prompts 1000] [--node Lora]

Every node of the pack, the remote ones against fake providers. A finding is an error that is none of ours, something
taken that should not be, a hang, or a file left behind; each is printed with its prompt. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from bench.host import INSIDE, enter, load_pack

enter()
load_pack()

from wan_duet.tests.fuzz.mutations import cases, chosen  # noqa: E402
from wan_duet.tests.fuzz.prompts import good_prompts  # noqa: E402
from wan_duet.tests.fuzz.run import Fuzzer, Outcome, Report  # noqa: E402
from wan_duet.tests.fuzz.server import fuzz_server  # noqa: E402
from wan_duet.tests.fuzz.verdicts import FINDINGS, HOST, LATER, OURS, TAKEN  # noqa: E402

BASE = Path(__file__).resolve().parents[1] / ".dev" / "base"
VERDICTS = (HOST, OURS, TAKEN, LATER, *FINDINGS)


def show(outcome: Outcome) -> None:
    if outcome.is_finding:
        print(outcome, flush=True)


def table(report: Report) -> None:
    """Print how many prompts of each node came to which verdict."""
    rows = Counter((outcome.case.node.removeprefix("WanDuet_"), outcome.verdict) for outcome in report.outcomes)
    print(f"{'node':24}", *(f"{verdict:>11}" for verdict in VERDICTS))
    for node in sorted({node for node, _ in rows}):
        print(f"{node:24}", *(f"{rows[node, verdict]:11d}" for verdict in VERDICTS))


def main() -> int:
    """Print the findings, a table and the figures; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="which prompts, and in which order")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--node", default="", help="only nodes with this in their id")
    options = parser.parse_args()
    begin = time.monotonic()
    with fuzz_server(Path(os.environ[INSIDE]), BASE) as (client, output, _):
        info = client.object_info()
        goods = [good for good in good_prompts(info) if options.node in good.kind]
        picked = chosen(cases(goods, info), options.seed, options.prompts)
        report = Fuzzer(client, output).run(picked, show)
    table(report)
    figures = {
        "seed": options.seed,
        "prompts": len(report.outcomes),
        **dict(report.counts()),
        "findings": len(report.findings),
        "films": report.films,
        "same_films": report.same,
        "slowest_seconds": round(max(outcome.seconds for outcome in report.outcomes), 1),
        "seconds": round(time.monotonic() - begin),
    }
    print(json.dumps(figures))
    return 1 if report.findings or report.same != report.films else 0


if __name__ == "__main__":
    sys.exit(main())
