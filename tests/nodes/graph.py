"""Prompts that grow node by node, and what comes out of them."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import torch
from safetensors.torch import load_file
from wan_duet.dev.client import Client, Prompt, PromptError
from wan_duet.dev.server import Server

OUTPUT_NODES = ("PreviewAny", "SaveLatent")
ENDS = ("execution_success", "execution_error", "execution_interrupted")
AGAIN = "again"  # an input that no node has: another value makes the host run the node again, though nothing changed
SECONDS = 180  # for one prompt, on a busy machine
UNLOADABLE = "size mismatch|shapes cannot be multiplied"  # a wrong weight, where the host looks at it first
TEXT_ENCODER = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"

_numbers = count()


class Node:
    """A node of a graph; `node[1]` is a link to its second output, and the node itself to its first."""

    def __init__(self, node_id: str):
        self.id = node_id

    def __getitem__(self, output: int) -> list[Any]:
        return [self.id, output]


class Graph:
    """An API-format prompt."""

    def __init__(self) -> None:
        self.prompt: Prompt = {}

    def add(self, class_type: str, **inputs: Any) -> Node:
        """Add one node of any kind."""
        node = Node(str(len(self.prompt) + 1))
        links = {name: value[0] if isinstance(value, Node) else value for name, value in inputs.items()}
        self.prompt[node.id] = {"class_type": class_type, "inputs": links}
        return node

    def load(self, high: str, low: str = "auto", **settings: Any) -> Node:
        """A pair of experts by their file names."""
        usual = {"weight_dtype": "default", "residency": "auto"}
        return self.add("WanDuet_LoadExperts", high=high, low=low, **{**usual, **settings})

    def model(self, name: str) -> Node:
        """One expert by the host's own loader."""
        return self.add("UNETLoader", unet_name=name, weight_dtype="default")

    def plan(self, experts: Node, **settings: Any) -> Node:
        """A plan of four steps, three of them high for T2V."""
        numbers = {"steps": 4, "cfg_high": 1.0, "cfg_low": 1.0, "shift": 0.0, "strength": 1.0}
        names = {"sampler": "euler", "scheduler": "simple"}
        return self.add("WanDuet_StagePlan", experts=experts, **{**numbers, **names, **settings})

    def inputs(self) -> dict[str, Node]:
        """Two prompts and an empty latent of 1 x 16 x 3 x 8 x 8, as a sampler takes them."""
        clip = self.add("CLIPLoader", clip_name=TEXT_ENCODER, type="wan")
        texts = {name: self.add("CLIPTextEncode", clip=clip, text=name) for name in ("positive", "negative")}
        return {**texts, "latent": self.add("EmptyHunyuanLatentVideo", width=64, height=64, length=9, batch_size=1)}

    def sample(self, experts: Node, plan: Node, seed: int = 0, **more: Any) -> Node:
        """The run, by the guider under the host's SamplerCustomAdvanced."""
        inputs = self.inputs()
        latent = inputs.pop("latent")
        return self.add(
            "SamplerCustomAdvanced",
            noise=self.add("RandomNoise", noise_seed=seed),
            guider=self.add("WanDuet_Guider", experts=experts, plan=plan, **inputs),
            sampler=plan[1],
            sigmas=plan[2],
            latent_image=latent,
            **more,
        )

    def show(self, text: list[Any]) -> Node:
        """Make an output of a text."""
        return self.add("PreviewAny", source=text)

    def save(self, latent: Node | list[Any]) -> Node:
        """Make an output of a latent."""
        return self.add("SaveLatent", samples=latent, filename_prefix="latent")


class Result:
    """What a finished prompt put out."""

    def __init__(self, entry: dict[str, Any], base: Path):
        self.entry = entry
        self.base = base

    def text(self, node: Node) -> str:
        """What a `show` node shows."""
        return "\n".join(self.entry["outputs"][node.id]["text"])

    def latents(self, node: Node) -> list[torch.Tensor]:
        """What a `save` node has saved: one latent, or several if a list went through it."""
        saved = self.entry["outputs"].get(node.id, {}).get("latents", [])
        return [load_file(self.base / f["type"] / f["subfolder"] / f["filename"])["latent_tensor"] for f in saved]

    def latent(self, node: Node) -> torch.Tensor:
        """The only latent that a `save` node has saved."""
        (latent,) = self.latents(node)
        return latent

    def cached(self) -> set[str]:
        """The ids of the nodes that did not run again."""
        messages = dict(self.entry["status"]["messages"])
        return set(messages["execution_cached"]["nodes"])


class Runner:
    """Runs graphs on one server and keeps what they save in a folder below its output folder."""

    def __init__(self, server: Server, folder: str):
        self.server = server
        self.client = Client(server.url)
        self.folder = folder

    def __call__(self, graph: Graph, on_poll: Callable[[], None] = lambda: None) -> Result:
        """The result of a graph; raises PromptError if it was refused or failed."""
        prompt_id = self.client.queue(self._to_run(graph))
        return Result(self.client.wait(prompt_id, timeout=SECONDS, on_poll=on_poll), self.server.base)

    def _to_run(self, graph: Graph) -> Prompt:
        for node in graph.prompt.values():
            if node["class_type"] in OUTPUT_NODES:
                node["inputs"][AGAIN] = next(_numbers)
            if "filename_prefix" in node["inputs"]:
                node["inputs"]["filename_prefix"] = f"{self.folder}/{node['class_type']}"
        return graph.prompt

    def logged(self, graph: Graph) -> str:
        """What the server logs while it runs a graph, which may fail."""
        before = len(self.server.log_text())
        with suppress(PromptError):
            self(graph)
        return self.server.log_text()[before:]

    def watched(self, graph: Graph) -> tuple[list[dict[str, Any]], list[bytes]]:
        """The JSON messages and the binary ones that a browser gets while a graph runs, up to its end or an error."""
        return asyncio.run(asyncio.wait_for(self._watch(self._to_run(graph)), SECONDS))

    async def _watch(self, prompt: Prompt) -> tuple[list[dict[str, Any]], list[bytes]]:
        said: list[dict[str, Any]] = []
        sent: list[bytes] = []
        browser = f"browser-{next(_numbers)}"
        url = f"{self.server.url}/ws?clientId={browser}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            self.client.request("/prompt", {"prompt": prompt, "client_id": browser})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    sent.append(message.data)
                    continue
                said.append(json.loads(message.data))
                if said[-1]["type"] in ENDS:
                    break
        return said, sent
