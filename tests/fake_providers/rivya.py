"""Rivya's public API: generations under an idempotency key, files by form, credits."""

import hashlib
import json
import uuid
from typing import Any

from aiohttp import web

from .provider import KEY, SIGNATURE, Fake, Generation
from .validation import problems

PRICE = 12
STATUSES = {"queued": "queued", "running": "processing", "done": "succeeded"}
MAGIC = {b"\x89PNG": "image", b"\xff\xd8\xff": "image", b"RIFF": "audio", b"fLaC": "audio", b"ID3": "audio"}


class FakeRivya(Fake):
    """`credits` are what the account has left."""

    credits = 100
    signed_uploads = False

    def routes(self) -> None:
        self.keys: dict[str, tuple[str, str]] = {}
        self.app.router.add_post("/api/v1/generations", self.create)
        self.app.router.add_get("/api/v1/generations/{id}", self.read)
        self.app.router.add_post("/api/v1/files", self.upload)
        self.app.router.add_get("/api/v1/credits", self.balance)

    def _denied(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {KEY}":
            return None
        return _error(401, "api_key_invalid", "The API key is not valid.")

    async def create(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if denied := self._denied(request):
                return denied
            raw = await request.read()
            key, digest = request.headers.get("Idempotency-Key"), hashlib.sha256(raw).hexdigest()
            if key in self.keys:
                before, id = self.keys[key]
                if before != digest:
                    return _error(409, "idempotency_conflict", "The key was used with another body.")
                return self._task(self.generations[id])
            document = self.documents["rivya/wan22_a14b_turbo"]
            if wrong := problems(document, body := json.loads(raw)):
                return _error(400, "validation_failed", "; ".join(f"{path}: {why}" for path, why in wrong))
            if self.credits < PRICE:
                return _error(402, "insufficient_credits", "Not enough credits.")
            job = self.start(document.name, body, f"task_{uuid.uuid4().hex}")
            self.credits -= PRICE
            if key:
                self.keys[key] = digest, job.id
            return self._task(job)

        return await self.guarded("submit", request, handle)

    async def read(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            job = self.generations.get(request.match_info["id"])
            if denied := self._denied(request):
                return denied
            return self._task(job) if job else _error(404, "not_found", "No such generation.")

        return await self.guarded("poll", request, handle)

    def _task(self, job: Generation) -> web.Response:
        state = job.state(self.clock.seconds)
        status = "failed" if job.error and state == "done" else STATUSES[state]
        url = self.file_url(job, f"{job.id}.mp4")
        body = {
            "id": job.id,
            "status": status,
            "model": "wan-2-2-a14b-turbo",
            "reserved_credits": PRICE,
            "final_credits": PRICE if status == "succeeded" else 0,
            "created_at": "2026-05-11T00:00:00.000Z",
            "updated_at": "2026-05-11T00:00:00.000Z",
            "result": {"primary_url": url, "urls": [url]} if status == "succeeded" else None,
            "error": {"code": "generation_failed", "message": str(job.error)} if status == "failed" else None,
        }
        return _json(body)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            if denied := self._denied(request):
                return denied
            form = await request.post()
            file = form["file"]
            assert isinstance(file, web.FileField)
            data, kind = file.file.read(), form["kind"]
            if len(data) > 10 * 1024 * 1024 or not any(data.startswith(m) and k == kind for m, k in MAGIC.items()):
                return _error(400, "validation_failed", "file: not a supported file of this kind")
            name = f"{uuid.uuid4().hex}-{file.filename}"
            self.uploads[name] = data
            query = f"?X-Amz-Signature={SIGNATURE}" if self.signed_uploads else ""
            answer = {"id": name, "url": f"{self.url}/files/{name}{query}", "kind": kind}
            return _json({**answer, "duration_token": "dt_1"} if kind == "audio" else answer)

        return await self.guarded("upload", request, handle)

    async def balance(self, request: web.Request) -> web.StreamResponse:
        async def handle() -> web.StreamResponse:
            return self._denied(request) or _json({"current_credits": self.credits})

        return await self.guarded("credits", request, handle)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message, "requestId": "req_1"}}, status)
