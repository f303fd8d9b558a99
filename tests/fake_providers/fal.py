"""fal's queue and storage: submit, status, result and cancel under the application's id, uploads to its CDN."""

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from aiohttp import web

from .provider import KEY, Fake, Generation, location
from .validation import problems


class FakeFal(Fake):
    """`token_works` is off where the CDN refuses, so that a client takes the second way; `cancels` that work stops.

    `lists`: whether an account gets the list of its requests; the documents disagree about it.
    """

    token_works = True
    cancels = True
    lists = False
    log: tuple[str, ...] = ()  # what the model writes; told to those who ask
    put_url: str | None = None  # where files are to be put, in place of the signed address here

    def routes(self) -> None:
        add = self.app.router
        add.add_post("/storage/auth/token", self.token)
        add.add_post("/storage/upload/initiate", self.initiate)
        add.add_put("/put/{name}", self.put)
        add.add_post("/files/upload", self.upload)
        add.add_post("/files/upload/multipart", self.begin_parts)
        add.add_put("/files/{name}/multipart/{upload}/{number}", self.part)
        add.add_post("/files/{name}/multipart/{upload}/complete", self.complete)
        add.add_get("/v1/models/requests/by-endpoint", self.listed)
        add.add_get("/{owner}/{alias}/requests/{id}/status", self.status)
        add.add_get("/{owner}/{alias}/requests/{id}", self.result)
        add.add_put("/{owner}/{alias}/requests/{id}/cancel", self.cancel)
        add.add_post("/{endpoint:.+}", self.submit)

    def _denied(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Key {KEY}":
            return None
        return _json({"detail": "Cannot access application. Authentication is required to access it."}, 401)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            document = self.documents.get(request.match_info["endpoint"])
            if denied := self._denied(request):
                return denied
            if document is None:
                return _json({"detail": "Path /unknown not found"}, 404)
            body = await request.json()
            if wrong := problems(document, body):
                return _json({"detail": [_detail(path, why) for path, why in wrong]}, 422)
            job = self.start(document.name, body)
            return _json({**self._handle(job), "status": "IN_QUEUE", "queue_position": 0})

        return await self.guarded("submit", request, handle)

    def _handle(self, job: Generation) -> dict[str, str]:
        base = f"{self.url}/{'/'.join(job.endpoint.split('/')[:2])}/requests/{job.id}"
        return {
            "request_id": job.id,
            "response_url": base,
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
        }

    async def status(self, request: web.Request) -> web.StreamResponse:
        def told(job: Generation) -> web.Response:
            return self._status(job, self.log if request.query.get("logs") == "1" else ())

        return await self._about_job("poll", request, told)

    async def result(self, request: web.Request) -> web.StreamResponse:
        return await self._about_job("result", request, self._result)

    async def _about_job(
        self, op: str, request: web.Request, answer: Callable[[Generation], web.Response]
    ) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            job = self.generations.get(request.match_info["id"])
            missing = _json({"detail": "Request not found"}, 404)
            return self._denied(request) or (answer(job) if job else missing)

        return await self.guarded(op, request, handle)

    def _status(self, job: Generation, log: tuple[str, ...]) -> web.Response:
        logs = [{"message": line, "level": "INFO", "timestamp": "2026-11-21T10:00:00.000Z"} for line in log]
        state = "done" if job.cancelled else job.state(self.clock.seconds)
        if state == "queued":
            return _json({**self._handle(job), "status": "IN_QUEUE", "queue_position": 3}, 202)
        if state == "running":
            return _json({**self._handle(job), "status": "IN_PROGRESS", "logs": logs}, 202)
        failure = {"error": "failed", "error_type": "request_error"} if job.error else {}
        metrics = {"inference_time": job.running}
        logs += [{**logs[-1], "message": "finished"}] if logs else []
        return _json({**self._handle(job), "status": "COMPLETED", "logs": logs, "metrics": metrics, **failure})

    def _result(self, job: Generation) -> web.Response:
        if job.cancelled:
            return _json({"detail": "Request was cancelled", "error_type": "request_cancelled"}, 499)
        if job.state(self.clock.seconds) != "done":
            return _json({"detail": "Request is still in progress"}, 400)
        if job.error:
            status, body = job.error
            return _json(body, status)
        return _json(self._output(job))

    def _output(self, job: Generation) -> dict[str, Any]:
        kind = self.documents[job.endpoint].output
        name, mime = (f"{job.id}.png", "image/png") if kind == "image" else (f"{job.id}.mp4", "video/mp4")
        file = {"url": self.file_url(job, name), "content_type": mime, "file_name": name}
        asked = job.request.get("return_frames_zip")
        frames = {"frames_zip": {"url": self.file_url(job, f"{job.id}.zip")}} if asked else {}
        told = {"seed": job.request.get("seed", 7), "prompt": ""}
        documented = self.documents[job.endpoint].answer
        return {kind: file, **frames, **{name: value for name, value in told.items() if name in documented}}

    async def listed(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if denied := self._denied(request):
                return denied
            if not self.lists:
                return _json({"error": {"type": "not_found", "message": "No such route"}}, 404)
            wanted, start = request.query["endpoint_id"], request.query["start"]
            done = [job for job in self.generations.values() if job.state(self.clock.seconds) == "done"]
            mine = [self._listing(job, "payloads" in request.query.get("expand", "")) for job in done]
            mine = [item for item in mine if item["endpoint_id"] == wanted and item["sent_at"] >= start]
            page = int(request.query.get("cursor", "0"))
            more = len(mine) > page + 1
            return _json({"items": mine[page : page + 1], "has_more": more, "next_cursor": str(page + 1)})

        return await self.guarded("list", request, handle)

    def _listing(self, job: Generation, payloads: bool) -> dict[str, Any]:
        sent = datetime.fromtimestamp(job.created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        input_ = {"json_input": job.request} if payloads else {}
        return {"request_id": job.id, "endpoint_id": job.endpoint, "sent_at": sent, "status_code": 200, **input_}

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            job = self.generations.get(request.match_info["id"])
            if job is None:
                return _json({"status": "NOT_FOUND"}, 404)
            match job.state(self.clock.seconds):
                case "done":
                    return _json({"status": "ALREADY_COMPLETED"}, 400)
                case "queued":
                    self.charges.remove(job.id)
            job.cancelled = self.cancels
            return _json({"status": "CANCELLATION_REQUESTED"}, 202)

        return await self.guarded("cancel", request, handle)

    async def token(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if denied := self._denied(request):
                return denied
            later = "2099-01-01T00:00:00+00:00"
            return _json({"token": "cdn", "token_type": "Bearer", "base_url": self.url, "expires_at": later})

        return await self.guarded("token", request, handle)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if not self.token_works or request.headers.get("Authorization") != "Bearer cdn":
                return _json({"detail": "not authorised"}, 401)
            return _json({"access_url": self._keep(request, await request.read())})

        return await self.guarded("upload", request, handle)

    def _keep(self, request: web.Request, body: bytes) -> str:
        name = f"{uuid.uuid4().hex}-{request.headers.get('X-Fal-File-Name', 'file')}"
        self.uploads[name] = body
        return f"{self.url}/files/{name}"

    async def begin_parts(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            return _json({"access_url": self._keep(request, b""), "uploadId": "u1"})

        return await self.guarded("upload", request, handle)

    async def part(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            body = await request.read()
            self.uploads[f"part {request.match_info['number']}"] = body
            return web.Response(headers={"ETag": f'"{len(body)}"'})

        return await self.guarded("part", request, handle)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            parts = (await request.json())["parts"]
            whole = b"".join(self.uploads.pop(f"part {part['partNumber']}") for part in parts)
            self.uploads[request.match_info["name"]] = whole
            return web.Response()

        return await self.guarded("complete", request, handle)

    async def initiate(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if denied := self._denied(request):
                return denied
            name = f"{uuid.uuid4().hex}-{(await request.json())['file_name']}"
            signed = f"{self.url}/put/{name}?X-Amz-Signature=planted-signature-77aa"
            return _json({"upload_url": self.put_url or signed, "file_url": f"{self.url}/files/{name}"})

        return await self.guarded("initiate", request, handle)

    async def put(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            self.uploads[request.match_info["name"]] = await request.read()
            return web.Response()

        return await self.guarded("put", request, handle)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _detail(path: str, why: str) -> dict[str, Any]:
    kind = "missing" if why == "field required" else "value_error"
    return {"loc": ["body", *location(path)], "msg": why, "type": kind, "url": "https://docs.fal.ai/errors", "input": 0}
