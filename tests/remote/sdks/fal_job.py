"""Run by the environment of fal-client: upload, subscribe and cancel, and say what came of it."""

import json
import sys

import fal_client
import fal_client.client as addresses

url, key = sys.argv[1:]
addresses.QUEUE_URL_FORMAT, addresses.REST_URL, addresses.CDN_URL = f"{url}/", url, url

client = fal_client.SyncClient(key=key)
image = client.upload(b"\x89PNG picture", "image/png", file_name="a.png")
arguments = {"prompt": "a cat", "image_url": image, "seed": 5}
states: list[str] = []
result = client.subscribe(
    "fal-ai/wan/v2.2-a14b/image-to-video",
    arguments=arguments,
    with_logs=True,
    on_queue_update=lambda state: states.append(type(state).__name__),
)
queued = client.submit("fal-ai/wan/v2.2-a14b/text-to-video", arguments={"prompt": "a dog"})
queued.cancel()
try:
    client.submit("fal-ai/wan/v2.2-14b/speech-to-video", arguments={"prompt": "x", "num_frames": 81})
    refused = ""
except fal_client.FalClientHTTPError as error:
    refused = str(error)
sys.stdout.write(json.dumps({"result": result, "states": list(dict.fromkeys(states)), "refused": refused}))
