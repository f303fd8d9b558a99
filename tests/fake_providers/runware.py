"""Runware's REST wire: an array of tasks to one address, results by getResponse and getTaskDetails."""

import base64
import json
import uuid
from typing import Any

from aiohttp import web

from .provider import KEY, Fake, Generation
from .validation import problems

Reply = dict[str, list[dict[str, Any]]]
OPS = {
    "videoInference": "submit",
    "getResponse": "poll",
    "getTaskDetails": "details",
    "mediaStorage": "upload",
    "modelSearch": "search",
}


class FakeRunware(Fake):
    """`models` are those that a search finds; `late_uploads` gives the id "1" until it is asked for again."""

    models = ("runware:200@8", "runware:200@6", "runware:201@1")
    late_uploads = False
    forgets = False  # getResponse no longer knows what getTaskDetails does
    failed_results: tuple[int, ...] = ()
    tells_failures = "each"  # under `errors`; "twice": within `data` as well; "once": one error for all of them
    failure = "The result could not be made."
    nsfw = False
    price = 0.25

    def routes(self) -> None:
        self.app.router.add_post("/v1", self.tasks)
        self.app.router.add_get("/resolve/{air}", self.resolve)

    async def tasks(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        kind = body[0].get("taskType", "") if isinstance(body, list) and body else ""

        async def handle() -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {KEY}":
                return self._reply({"errors": [_error("invalidApiKey", "Invalid API key.", {})]}, 401)
            reply: Reply = {"data": [], "errors": []}
            for task in body:
                for name, items in self.task(task).items():
                    reply[name] += items
            return self._reply({name: items for name, items in reply.items() if items}, 200 if reply["data"] else 400)

        return await self.guarded(OPS.get(kind, "unknown"), request, handle)

    def _reply(self, body: Any, status: int) -> web.Response:
        return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        known = request.match_info["air"] in self.models
        return web.json_response({"requestSchema": "…"} if known else {}, status=200 if known else 404)

    def task(self, task: dict[str, Any]) -> Reply:
        """One task of the array: its data and errors."""
        match task.get("taskType"):
            case "videoInference":
                return self.generate(task)
            case "getResponse":
                return self.results(task)
            case "getTaskDetails":
                return self.details(task)
            case "mediaStorage":
                return self.store(task)
            case "modelSearch":
                found = [{"air": air, "name": air} for air in self.models if task["search"] in air]
                return _data(task, totalResults=len(found), results=found)
        return {"errors": [_error("invalidTaskType", "Unknown taskType.", task, "taskType")]}

    def generate(self, task: dict[str, Any]) -> Reply:
        if task.get("model") not in self.models:
            return {"errors": [_error("invalidModel", f"Model {task.get('model')} is not available.", task, "model")]}
        document = self.documents[_page(task)]
        wrong = problems(document, {**task, "model": document.tree["children"]["model"]["const"]})
        if wrong:
            return {"errors": [_error("invalidParameter", f"{path} {why}.", task, path) for path, why in wrong]}
        self.start(document.name, task, task["taskUUID"], task.get("numberResults", 1))
        return _data(task)

    def results(self, task: dict[str, Any]) -> Reply:
        if task["taskUUID"] in self.uploads:
            return {"data": [self._stored(task["taskUUID"])]}
        job = self.generations.get(task["taskUUID"])
        if job is None or self.forgets:
            return {"errors": [_error("taskFailedOrNotFound", "Task not found or failed.", task)]}
        if job.state(self.clock.seconds) != "done":
            return {"data": [{"taskType": "videoInference", "taskUUID": job.id, "status": "processing"}]}
        return self._outcome(job)

    def _outcome(self, job: Generation) -> Reply:
        reply: Reply = {"data": [], "errors": []}
        for index in range(job.request.get("numberResults", 1)):
            if job.error or index in self.failed_results:
                code, message = job.error or ("providerError", self.failure)
                failure = {**_error(code, message, job.request), "status": "error"}
                if self.tells_failures != "once" or not reply["errors"]:
                    reply["errors"].append(failure)
                if self.tells_failures == "twice":
                    reply["data"].append(failure)
            else:
                reply["data"].append(self._result(job, index))
        return {name: items for name, items in reply.items() if items}

    def _result(self, job: Generation, index: int) -> dict[str, Any]:
        video = uuid.uuid5(uuid.UUID(job.id), str(index))
        item = {
            "taskType": "videoInference",
            "taskUUID": job.id,
            "status": "success",
            "resultIndex": index,
            "videoUUID": str(video),
            "videoURL": self.file_url(job, f"{video}.mp4"),
            "seed": job.request.get("seed", 7) + index,
        }
        item |= {"NSFWContent": True} if self.nsfw else {}
        return {**item, "cost": self.price} if job.request.get("includeCost") else item

    def details(self, task: dict[str, Any]) -> Reply:
        job = self.generations.get(task["taskUUID"])
        if job is None:
            return {"errors": [_error("taskNotFound", "No such task.", task)]}
        done = job.state(self.clock.seconds) == "done"
        return _data(task, request=[job.request], response=self._outcome(job) if done else {"data": []})

    def store(self, task: dict[str, Any]) -> Reply:
        if task.get("operation") != "upload":
            return {"errors": [_error("invalidParameter", "operation is not supported.", task, "operation")]}
        self.uploads[task["taskUUID"]] = base64.b64decode(task["media"].partition(",")[2] or task["media"])
        if self.late_uploads:
            return _data(task, mediaUUID="1")
        return {"data": [self._stored(task["taskUUID"])]}

    def _stored(self, id: str) -> dict[str, Any]:
        media = uuid.uuid5(uuid.UUID(id), "media")
        url = f"{self.url}/files/{media}"
        return {"taskType": "mediaStorage", "taskUUID": id, "mediaUUID": str(media), "mediaURL": url}


def _page(task: dict[str, Any]) -> str:
    if task["model"] == "runware:201@1":
        return "runware/wan25_preview"
    animate = "advancedFeatures" in task or "referenceVideos" in task.get("inputs", {})
    return "runware/wan22_animate" if animate else "runware/wan22_a14b_turbo"


def _data(task: dict[str, Any], **fields: Any) -> Reply:
    return {"data": [{"taskType": task["taskType"], "taskUUID": task["taskUUID"], **fields}]}


def _error(code: str, message: str, task: dict[str, Any], parameter: str | None = None) -> dict[str, Any]:
    known = {name: task[name] for name in ("taskUUID", "taskType") if name in task}
    page = "https://runware.ai/docs/platform/errors"
    place = {"parameter": parameter} if parameter else {}
    return {"code": code, "message": message, "documentation": page, **place, **known}
