"""Fetch a result to a file: checked address, capped size and time, checked content, whole or not at all."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import aiohttp

from ..errors import RemoteError
from ..settings import RemoteSettings
from .addresses import PublicConnector, check_url
from .content import Content, extension, inspect
from .proxy import proxy_for

CHUNK = 1 << 18  # bytes that are read at once
BATCH = 1 << 20  # bytes that are written at once
WRITERS = 4
REDIRECTS = 3
LARGE = "No file is left of it. The job is kept: take the file from the provider's own page."


class Gone(Exception):
    """The address no longer leads to the result; the provider may have a fresh one."""


@dataclass(frozen=True)
class File:
    """A result on the disk."""

    path: Path
    sha256: str
    size: int
    content: Content


class Downloader:
    """Fetches results with a session that carries no keys."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._inspector = ThreadPoolExecutor(1, "wan-duet inspect")  # several would crowd the host's own thread out
        self._writer = ThreadPoolExecutor(WRITERS, "wan-duet write")  # a disk that is slow must not stall every job
        connector = PublicConnector(allow_loopback=settings.allow_loopback, limit=16)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        self._inspector.shutdown(wait=False)
        self._writer.shutdown(wait=False)

    async def fetch(self, url: str, stem: str, hosts: Collection[str] | None, kind: str | None = None) -> File:
        """The file at `url` as `<output>/<stem>.<its kind>`; `kind` is that of `inspect`, if it must be one.

        Raises Gone where a fresh address may help, RemoteError where it can't.
        """
        folder = self._settings.output
        part = folder / f"{stem}.{uuid.uuid4().hex[:8]}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                digest, size = await self._write(url, part, hosts)
                content = await asyncio.get_running_loop().run_in_executor(self._inspector, inspect, part, kind)
                path = folder / f"{stem}.{extension(part)}"
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise RemoteError("storage", f"The result can't be written to {folder} ({error.strerror})") from error
        return File(path, digest, size, content)

    async def _write(self, url: str, part: Path, hosts: Collection[str] | None) -> tuple[str, int]:
        loop, digest, size, batch = asyncio.get_running_loop(), hashlib.sha256(), 0, bytearray()
        try:
            async with self._open(url, hosts) as response:
                self._check_head(response)
                with part.open("wb") as target:
                    async for chunk in response.content.iter_chunked(CHUNK):
                        size += len(chunk)
                        if size > self._settings.max_download:
                            raise self._too_large(size)
                        batch += chunk
                        if len(batch) >= BATCH:
                            await loop.run_in_executor(self._writer, _append, target, digest, batch)
                            batch = bytearray()
                    await loop.run_in_executor(self._writer, _append, target, digest, batch)
                    await loop.run_in_executor(self._writer, _sync, target)
        except asyncio.TimeoutError:
            raise Gone("no data came any more") from None
        except aiohttp.ClientError as error:
            raise Gone(type(error).__name__) from None
        return digest.hexdigest(), size

    @asynccontextmanager
    async def _open(self, url: str, hosts: Collection[str] | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follow up to three redirects, each checked like the first address."""
        limits = aiohttp.ClientTimeout(
            total=self._settings.download_timeout, sock_connect=15, sock_read=self._settings.call_timeout
        )
        for _ in range(REDIRECTS + 1):
            check_url(url, hosts, allow_loopback=self._settings.allow_loopback)
            async with self._session.get(url, timeout=limits, allow_redirects=False, proxy=proxy_for(url)) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    yield response
                    return
                url = _target(url, response.headers.get("Location", ""))
        raise RemoteError("unsafe", f"The address of the result redirects more than {REDIRECTS} times")

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            raise Gone(f"HTTP {response.status}")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind.startswith("text/") or kind.endswith("json"):  # an error page; all else its first bytes tell
            raise RemoteError("protocol", f"The result is {kind}, which is neither video nor image", charged="yes")
        if (response.content_length or 0) > self._settings.max_download:
            raise self._too_large(response.content_length or 0)

    def _too_large(self, size: int) -> RemoteError:
        limit = self._settings.max_download
        return RemoteError(
            "unsafe", f"The result has {size} bytes or more; the limit is {limit}", charged="yes", advice=LARGE
        )


def _append(target: BinaryIO, digest: "hashlib._Hash", data: bytearray) -> None:
    digest.update(data)
    target.write(data)


def _sync(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())


def _target(url: str, location: str) -> str:
    """The address that a redirect leads to."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise RemoteError("unsafe", "The result redirects to what is no address") from None
