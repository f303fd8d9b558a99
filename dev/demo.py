"""Make one short film from start to end: python3 dev/demo.py ["a red circle moving left"] [options]

It runs the shipped workflow on a real ComfyUI with the miniature, a Wan 2.2 small enough for any machine. That knows
red, green, blue and yellow circles, squares and triangles, moving left, right, up or down, in 17 frames of 64x64.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from typing import Any

from client import Client, Prompt, PromptError, outputs
from environment import DEV, HOME, ROOT, prepare
from server import Server, ServerError, serve
from steps import SetupError

PROMPT = "a red circle moving left"
WORKFLOW = ROOT / "workflows" / "api" / "text_to_video.json"


def main() -> int:
    """Make the film and return the exit code of its check."""
    options = _options()
    width, height = options.size
    env = prepare()
    prompt: Prompt = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    _override(prompt, "EmptyHunyuanLatentVideo", width=width, height=height, length=options.length)
    _override(prompt, "WanDuet_StagePlan", steps=options.steps)
    _override(prompt, "RandomNoise", noise_seed=options.seed)
    _positive_text(prompt)["text"] = options.prompt

    log = HOME / "demo.log"
    print(f"starting ComfyUI, log in {log}", flush=True)
    with serve(env.comfyui, env.miniature_base, python=env.python, log=log) as server:
        entry = _run(server, prompt)
    for report in _texts(prompt, entry):
        print(f"\n{report}\n", flush=True)
    films = [env.miniature_base / file for file in outputs(entry) if file.suffix == ".mp4"]
    if len(films) != 1:
        raise SystemExit(f"expected one MP4 among the outputs, got {[*map(str, outputs(entry))]}")
    expected = (str(width), str(height), str(options.length))
    return subprocess.run([str(env.python), str(DEV / "check_film.py"), str(films[0]), *expected]).returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt", nargs="?", default=PROMPT, help=f"default: {PROMPT}")
    parser.add_argument("--size", type=_size, default=(64, 64), metavar="WxH", help="default 64x64")
    parser.add_argument("--length", type=_length, default=17, metavar="N", help="frames, default 17")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="default 20")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    return parser.parse_args()


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not match or int(match[1]) % 16 or int(match[2]) % 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in multiples of 16, such as 256x144")
    return int(match[1]), int(match[2])


def _length(text: str) -> int:
    if not text.isdecimal() or int(text) % 4 != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 4 plus 1, such as 17")
    return int(text)


def _override(prompt: Prompt, class_type: str, **inputs: int) -> None:
    nodes = [node for node in prompt.values() if node["class_type"] == class_type]
    if len(nodes) != 1:
        raise SystemExit(f"{WORKFLOW.name} has {len(nodes)} {class_type} nodes where the demo expects one")
    nodes[0]["inputs"].update(inputs)


def _positive_text(prompt: Prompt) -> dict[str, Any]:
    """Return the inputs of the CLIPTextEncode that `positive` comes from, through whatever lies between."""
    inputs = next(node["inputs"] for node in prompt.values() if "positive" in node["inputs"])
    while "positive" in inputs:
        inputs = prompt[inputs["positive"][0]]["inputs"]
    return inputs


def _run(server: Server, prompt: Prompt) -> dict[str, Any]:
    client = Client(server.url)
    begin = time.monotonic()
    shown = ""

    def show() -> None:
        nonlocal shown
        if (line := server.last_line().strip()) != shown:
            shown = line
            print(f"  {time.monotonic() - begin:4.0f} s  {line[:100]}", flush=True)

    entry = client.wait(client.queue(prompt), on_poll=show)
    print(f"  {time.monotonic() - begin:4.0f} s  done", flush=True)
    return entry


def _texts(prompt: Prompt, entry: dict[str, Any]) -> list[str]:
    """Return what the workflow's PreviewAny nodes show: the plan report."""
    previews = [node_id for node_id, node in prompt.items() if node["class_type"] == "PreviewAny"]
    return [text for node_id in previews for text in entry["outputs"].get(node_id, {}).get("text", [])]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SetupError, ServerError, PromptError, TimeoutError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
