"""Mistakes that no test notices: python3 dev/mutants.py [--mutants 80] [--seed TEXT] [--files START ...]

Draws lines of the product, puts one mistake into each, one at a time, and runs the tests that know the file, then those
of its package, in a worktree of its own of the commit. Prints every survivor as a diff and, as the last line, one JSON
object. Mistakes that change nothing anybody could see stand in dev/mutation/equivalent.json with the reason, by the
line's text; they are drawn and not counted. Tests that are cut off at --limit prove nothing, nor does a test that fails
without the mistake, too, for which all that failed run once more at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from environment import ROOT, Environment, prepare
from mutation.mistakes import Mistake, mistakes
from mutation.tests_of import tests_of
from steps import SetupError

EQUIVALENT = Path(__file__).parent / "mutation" / "equivalent.json"
KILLED, SURVIVED, CUT_OFF, KNOWN, UNPROVEN = "killed", "survived", "cut off", "equivalent", "unproven"
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - .*)?$", re.MULTILINE)


def main() -> int:
    """Draw, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=80, help="how many are counted")
    parser.add_argument("--seed", help="of the draw; the commit's hash by default")
    parser.add_argument("--files", nargs="*", default=[""], help="of those drawn, try only those in these files")
    parser.add_argument("--limit", type=float, default=300, help="seconds for the tests of one")
    parser.add_argument("--list", action="store_true", help="print what is drawn, and the tests of it, and end")
    options = parser.parse_args()
    seed = options.seed or _git("rev-parse", "HEAD")
    with worktree(prepare()) as tree:
        drawn = draw(tree.folder, options.mutants, seed)
        chosen = [(mistake, known) for mistake, known in drawn if mistake.file.startswith(tuple(options.files))]
        if options.list:
            for mistake, known in chosen:
                print(f"{mistake.file}:{mistake.number}{' (equivalent)' * known}\n{mistake.diff}")
            return 0
        verdicts = try_all(tree, chosen, options.limit)
    counted = verdicts.total() - verdicts[KNOWN]
    share = round(verdicts[SURVIVED] / max(counted, 1), 4)
    names = (KILLED, SURVIVED, CUT_OFF, UNPROVEN, KNOWN)
    figures = {name.replace(" ", "_"): verdicts[name] for name in names}
    print(json.dumps({"seed": seed, "mutants": counted, **figures, "survived_share": share}))
    return 0


def draw(folder: Path, count: int, seed: str) -> list[tuple[Mistake, bool]]:
    """`count` mistakes on as many lines, and among them what was drawn that is known to be equivalent."""
    reasons = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    sources = {file: (folder / file).read_text(encoding="utf-8") for file in product_files(folder)}
    lines: dict[tuple[str, int], list[Mistake]] = {}
    for file, source in sources.items():
        for mistake in mistakes(file, source):
            lines.setdefault((file, mistake.number), []).append(mistake)
    chance = random.Random(seed)
    drawn: list[tuple[Mistake, bool]] = []
    for place in chance.sample(sorted(lines), len(lines)):
        mistake = chance.choice(lines[place])
        if mistake.compiles_in(sources[mistake.file]):
            drawn.append((mistake, mistake.key in reasons))
        if sum(not known for _, known in drawn) == count:
            break
    return drawn


def product_files(folder: Path) -> list[str]:
    """The files of the pack's own packages, below its folder."""
    packages = (path.parent for path in folder.glob("*/__init__.py"))
    return sorted(path.relative_to(folder).as_posix() for package in packages for path in package.rglob("*.py"))


def try_all(tree: Tree, chosen: Sequence[tuple[Mistake, bool]], limit: float) -> Counter[str]:
    """The verdicts on all, or on those tried until somebody interrupts; each is printed as soon as it is known."""
    verdicts: Counter[str] = Counter()
    killers: list[str] = []
    with suppress(KeyboardInterrupt):
        for number, (mistake, known) in enumerate(chosen, 1):
            begin = time.monotonic()
            verdict, failed = (KNOWN, None) if known else tree.tried(mistake, limit)
            verdicts[verdict] += 1
            killers += [failed] if failed else []
            place = f"{mistake.file}:{mistake.number}"
            print(f"{number:3d} {verdict:10s} {time.monotonic() - begin:4.0f} s  {place}  {failed or ''}", flush=True)
            if verdict in (SURVIVED, CUT_OFF):
                print(mistake.diff, flush=True)
    without = tree.failures(sorted(set(killers)), 10 * limit)[1] if killers else []
    for test in without:
        print(f"fails without a mistake, too: {test}")
        verdicts.update({UNPROVEN: killers.count(test), KILLED: -killers.count(test)})
    return verdicts


@dataclass(frozen=True)
class Tree:
    """A worktree of the commit, the interpreter for it, and the variables by which its tests find the host."""

    folder: Path
    python: Path
    variables: dict[str, str]

    def tried(self, mistake: Mistake, limit: float) -> tuple[str, str | None]:
        """The verdict, and the test that has failed."""
        path = self.folder / mistake.file
        source = path.read_text(encoding="utf-8")
        path.write_text(mistake.put_into(source), encoding="utf-8")
        try:
            for tests in tests_of(self.folder, mistake.file):
                code, failed = self.failures(tests, limit)
                if code is None:
                    return CUT_OFF, None
                if code:
                    return KILLED, next(iter(failed), None)
            return SURVIVED, None
        finally:
            path.write_text(source, encoding="utf-8")

    def failures(self, tests: Sequence[str], limit: float) -> tuple[int | None, list[str]]:
        """Run tests up to the first that fails, or all if they are named one by one: exit code and failures.

        The code is None if they were cut off.
        """
        stop = [] if "::" in tests[0] else ["-x"]
        command = [self.python, "-m", "pytest", "-q", *stop, "-p", "no:cacheprovider", *tests]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
            output.seek(0)
            return code, FAILED.findall(output.read())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a run of tests, its servers too."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def worktree(env: Environment) -> Iterator[Tree]:
    """A worktree of the commit, with copies of the host's folders."""
    with tempfile.TemporaryDirectory(prefix="wan-duet-mutants-") as scratch:
        folder = Path(scratch) / "wan-duet"
        _git("worktree", "add", "--detach", str(folder), "HEAD")
        try:
            bases = []
            for base in (env.base, env.miniature_base):
                bases.append(folder / ".dev" / base.name)
                shutil.copytree(base, bases[-1], symlinks=True)
                link = bases[-1] / "custom_nodes" / "wan-duet"
                link.unlink()
                link.symlink_to(folder, target_is_directory=True)
            ours = {
                "COMFYUI_PATH": str(env.comfyui),
                "WAN_DUET_BASE": str(bases[0]),
                "WAN_DUET_MINIATURE": str(bases[1]),
                "OMP_WAIT_POLICY": "PASSIVE",
                "PYTHONDONTWRITEBYTECODE": "1",  # a file that changes within a second would be taken from its cache
            }
            yield Tree(folder, env.python, {**os.environ, **ours})
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    for end in (signal.SIGINT, signal.SIGTERM):  # a shell makes what it starts in the background deaf to the first
        signal.signal(end, signal.default_int_handler)
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(f"\n{error}")
