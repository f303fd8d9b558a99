"""Put a finished file at an address that was signed beforehand. Such an address is a secret: no message shows it."""

import asyncio
from pathlib import Path

import aiohttp
from yarl import URL

from ..errors import RemoteError
from ..settings import RemoteSettings
from .addresses import PublicConnector, check_url
from .proxy import proxy_for

TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".png": "image/png",
    ".jpg": "image/jpeg",
}
STORED = (200, 201, 204)
REFUSED = "The signed address may have run out: write a new one into keys.json."
UNREACHED = "Check the connection and the address in keys.json."
UNSAFE = "Nothing was sent: the address in keys.json must be https at a public host."


async def put_file(path: Path, url: str, settings: RemoteSettings) -> None:
    """Send the file in one PUT, as S3 and its like take it; RemoteError if the other side has not stored it.

    The address must be https at a public host. Redirects are not followed: the signature is for this one.
    """
    try:
        check_url(url, None, allow_loopback=settings.allow_loopback)
        status = await _status_of_put(path, url, settings)
    except RemoteError as error:
        raise RemoteError(error.kind, error.reason, advice=UNSAFE) from None
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as error:
        # The name alone: some messages quote the address
        raise RemoteError("network", f"The file was not sent ({type(error).__name__})", advice=UNREACHED) from None
    if status not in STORED:
        raise RemoteError("storage", f"The file was not stored (HTTP {status})", advice=REFUSED)


async def _status_of_put(path: Path, url: str, settings: RemoteSettings) -> int:
    limits = aiohttp.ClientTimeout(total=settings.upload_timeout, sock_connect=15)
    connector = PublicConnector(allow_loopback=settings.allow_loopback)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        with path.open("rb") as file:
            sent = session.put(
                URL(url, encoded=True),  # as it was signed, letter for letter
                data=file,
                headers={"Content-Type": TYPES.get(path.suffix, "application/octet-stream")},
                timeout=limits,
                allow_redirects=False,
                proxy=proxy_for(url),
            )
            async with sent as response:
                return response.status
