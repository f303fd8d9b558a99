"""Open ComfyUI with the pack in it, on models that a CPU can run: python3 dev/serve.py [--noise] [--port 8188]

The models are the miniature's, which films coloured shapes at 64x64, or with --noise random ones under every name
that the workflows use, at 128x128. The workflows are there, of 17 frames, under Workflows as "small …".
"""

from __future__ import annotations

import argparse
import sys

from environment import HOME, ROOT, prepare
from server import ServerError, serve
from small import write_small
from steps import SetupError

PROMPT = "a red circle moving left"
MINIATURE = (
    "The models here are the miniature's: it films red, green, blue and yellow circles, squares and triangles that "
    "move left, right, up or down, at 64x64, and nothing else. 17 frames take a CPU about half a minute."
)
NOISE = "The models here are random: every film is noise. 128x128 and 17 frames take a CPU a few seconds."


def main() -> int:
    """Serve until the server ends or Ctrl-C; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", action="store_true", help="random models: every workflow runs, every film is noise")
    parser.add_argument("--port", type=int, default=8188)
    options = parser.parse_args()
    env = prepare()
    base, side, prompt, about = (
        (env.base, 128, None, NOISE) if options.noise else (env.miniature_base, 64, PROMPT, MINIATURE)
    )
    names = write_small(ROOT / "workflows", base, side, prompt, about)
    log = HOME / "serve.log"
    print(f"starting ComfyUI, log in {log}", flush=True)
    with serve(env.comfyui, base, python=env.python, log=log, port=options.port) as server:
        print(f"open {server.url}  (Ctrl-C stops it)\n{about}\nUnder Workflows (w): {', '.join(names)}", flush=True)
        return server.process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, ServerError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
