"""Run by the environment of runware-sdk: upload, search, generate and look up, and say what came of it."""

import asyncio
import json
import sys
import uuid

from runware import Runware, RunwareError

url, key = sys.argv[1:]


async def main() -> None:
    """Write one JSON object."""
    client = Runware(api_key=key, transport="rest", http_base_url=f"{url}/v1", max_retries=0)
    stored = await client.media_storage({"operation": "upload", "media": "data:image/png;base64,iVBORw0KGgo="})
    found = await client.model_search({"search": "runware:200@8"})
    id = str(uuid.uuid4())
    task = {"taskType": "videoInference", "model": "runware:200@8", "positivePrompt": "a cat", "includeCost": True}
    videos = await client.run({**task, "taskUUID": id, "numberResults": 2})
    details = await client.get_task_details({"taskUUID": id})
    try:
        await client.run({**task, "steps": 99})
        refused = ""
    except RunwareError as error:
        refused = str(error)
    await client.close()
    sys.stdout.write(
        json.dumps({"stored": stored, "found": found, "videos": videos, "details": details, "refused": refused})
    )


asyncio.run(main())
