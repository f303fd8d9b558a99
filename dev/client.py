"""Client of a ComfyUI server's HTTP interface, with nothing but the standard library."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

Prompt = dict[str, dict[str, Any]]
POLL_SECONDS = 0.15


class PromptError(RuntimeError):
    """A prompt that the server refused (`node_errors`) or that failed or was interrupted while it ran."""

    def __init__(self, message: str, node_errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.node_errors = node_errors or {}


class Client:
    """The calls that a script or a test makes to one server."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET `path`, or POST `body` to it, and return the decoded answer (None when it is empty)."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def object_info(self) -> dict[str, Any]:
        """Return the schema of every node that the server knows."""
        return self.request("/object_info")

    def queue(self, prompt: Prompt) -> str:
        """Queue an API-format prompt and return its id; raise PromptError if it does not validate."""
        try:
            return self.request("/prompt", {"prompt": prompt})["prompt_id"]
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            answer = json.load(error)
        raise PromptError(_refusal(answer), answer.get("node_errors"))

    def wait(self, prompt_id: str, timeout: float = 600, on_poll: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Return the prompt's history entry once it has run; raise PromptError if it did not succeed."""
        deadline = time.monotonic() + timeout
        while not (entry := self.request(f"/history/{prompt_id}").get(prompt_id)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"prompt {prompt_id} has not finished within {timeout:g} s")
            on_poll()
            time.sleep(POLL_SECONDS)
        if entry["status"]["status_str"] != "success":
            raise PromptError(_failure(entry))
        return entry

    def run(self, prompt: Prompt, timeout: float = 600) -> dict[str, Any]:
        """Queue a prompt and wait for its history entry."""
        return self.wait(self.queue(prompt), timeout)

    def history(self) -> dict[str, Any]:
        """Return the history entries by prompt id."""
        return self.request("/history")

    def interrupt(self) -> None:
        """Ask the running prompt to stop."""
        self.request("/interrupt", {})

    def free(self) -> None:
        """Ask the server to unload all models and forget cached results before its next prompt."""
        self.request("/free", {"free_memory": True})


def outputs(entry: dict[str, Any]) -> list[PurePosixPath]:
    """Return the files that a history entry names, relative to the server's base directory."""
    return [
        PurePosixPath(file["type"], file["subfolder"], file["filename"])
        for shown in entry["outputs"].values()
        for items in shown.values()
        for file in items
        if isinstance(file, dict) and "filename" in file
    ]


def _refusal(answer: dict[str, Any]) -> str:
    lines = [f"{answer['error']['message']}: {answer['error']['details']}".rstrip(": ")]
    for node_id, node in answer.get("node_errors", {}).items():
        lines += [f"  {node['class_type']} {node_id}: {e['message']}: {e['details']}" for e in node["errors"]]
    return "\n".join(lines)


def _failure(entry: dict[str, Any]) -> str:
    for kind, details in entry["status"]["messages"]:
        if kind == "execution_error":
            return f"{details['node_type']} {details['node_id']}: {details['exception_message']}".strip()
        if kind == "execution_interrupted":
            return f"{details['node_type']} {details['node_id']}: interrupted"
    return f"the prompt ended with status {entry['status']['status_str']!r}"
