"""fal's list of the requests that an account has made, in which one whose id was lost can be found by its input."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from ..errors import ErrorKind, RemoteError
from ..http.transport import Call, Transport
from ..job import Job
from .answer import table, tables, text

# The documents have named both; the second is said to be for the owner of an endpoint.
LISTS = ("v1/models/requests/by-endpoint", "v1/serverless/requests/by-endpoint")
NO_SUCH_LIST = (404, 405, 410)
PAGES = 5
APART = 600.0  # seconds that the clocks may differ and a submit may last


class FalRequests:
    """The finished requests of an account. It finds nothing where fal does not give the list."""

    def __init__(self, base: str, transport: Transport, headers: Mapping[str, str]) -> None:
        self._base = base
        self._transport = transport
        self._headers = headers

    async def like(self, job: Job) -> list[str]:
        """The ids of the requests with the very input that a job has sent, made when it was.

        Raises RemoteError if fal could not be asked.
        """
        try:
            sent = json.loads(job.body)
        except ValueError:  # it was not to be written down
            return []
        items = [item for path in LISTS for item in await self._all(path, job)]
        near = [item for item in items if item.get("json_input") == sent and _near(item.get("sent_at"), job.sent)]
        return list(dict.fromkeys(id for item in near if (id := text(item.get("request_id")))))

    async def _all(self, path: str, job: Job) -> list[dict[str, Any]]:
        start = datetime.fromtimestamp(job.sent - APART, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"endpoint_id": job.endpoint, "start": start, "limit": "100", "expand": "payloads"}
        found: list[dict[str, Any]] = []
        for _ in range(PAGES):
            reply = await self._transport.ask(Call("GET", f"{self._base}/{path}?{urlencode(query)}", self._headers))
            if reply.status not in (200, *NO_SUCH_LIST):
                kind: ErrorKind = "auth" if reply.status in (401, 403) else "network"
                raise RemoteError(kind, f"fal does not give its list of requests (HTTP {reply.status})")
            body = table(reply.json()) if reply.status == 200 else {}
            found += tables(body.get("items"))
            cursor = text(body.get("next_cursor"))
            if not body.get("has_more") or not cursor:
                break
            query["cursor"] = cursor
        return found


def _near(said: Any, sent: float) -> bool:
    try:
        return abs(datetime.fromisoformat(str(said).replace("Z", "+00:00")).timestamp() - sent) < APART
    except ValueError:
        return False
