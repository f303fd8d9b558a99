"""Open ComfyUI with the pack in it, on tiny models: python3 dev/serve.py [--port 8188]"""

from __future__ import annotations

import argparse
import sys

from environment import HOME, prepare
from server import ServerError, serve
from steps import SetupError


def main() -> int:
    """Serve until the server ends or Ctrl-C; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8188)
    port: int = parser.parse_args().port
    env = prepare()
    log = HOME / "serve.log"
    print(f"starting ComfyUI, log in {log}", flush=True)
    with serve(env.comfyui, env.base, python=env.python, log=log, port=port) as server:
        print(f"open {server.url}  (Ctrl-C stops it)", flush=True)
        return server.process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, ServerError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
