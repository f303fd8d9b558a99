"""Reject addresses that are not public; checked once more when the connection is made."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ..errors import RemoteError
from .proxy import proxy_hosts

NAT64 = ipaddress.ip_network("64:ff9b::/96")
INWARD = [*map(ipaddress.ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24"))]

TRUST = (
    "Nothing was read from there. If you trust the host, name {host} in the environment variable "
    "WAN_DUET_RESULT_HOSTS, restart, and run the same graph again."
)
LOOPBACK = "127.0.0.1"
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")  # what a system takes for an address: 127.1, 2130706433, 0177.0.0.1


def is_public(address: str) -> bool:
    """True unless an IP address belongs to a private network, to this machine or to a cloud's metadata."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    inward = any(ip.version == network.version and ip in network for network in INWARD)
    return ip.is_global and not ip.is_multicast and not inward


class PublicResolver(ThreadedResolver):
    """Looks names up and gives public addresses only: what is checked is what is connected to, so rebinding is moot.

    A proxy of the system may be anywhere; it is the proxy then that looks up the name of the result's host.
    """

    def __init__(self) -> None:
        super().__init__()
        self._proxies = proxy_hosts()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if host in self._proxies:
            return found
        for result in found:
            if not is_public(result["host"]):
                raise RemoteError("unsafe", f"{host} is at {result['host']}, which is not a public address")
        return found


class PublicConnector(aiohttp.TCPConnector):
    """Connects to public addresses only. Who is really there is looked at before a request is written.

    A host that is all digits is never looked up by some versions of aiohttp, and what a proxy's name leads to may be
    inside: so the resolver's word is not the last. `allow_loopback` is for tests, as in check_url.
    """

    def __init__(self, *, allow_loopback: bool = False, limit: int = 100) -> None:
        super().__init__(resolver=PublicResolver(), limit=limit)
        self._allow_loopback = allow_loopback

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(req, *args, **kwargs)
        try:
            self._check_peer(req, connection.transport)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_peer(self, req: aiohttp.ClientRequest, transport: asyncio.BaseTransport | None) -> None:
        peer = transport.get_extra_info("peername") if transport else None
        if not peer:
            raise aiohttp.ClientConnectionError("the connection was lost at once")
        if req.proxy or (self._allow_loopback and req.url.scheme == "http" and req.url.host == peer[0] == LOOPBACK):
            return
        if not is_public(peer[0]):
            raise RemoteError("unsafe", f"{req.url.host} is at {peer[0]}, which is not a public address")


def check_url(url: str, hosts: Collection[str] | None, *, allow_loopback: bool = False) -> None:
    """Raise RemoteError unless the address is https at a host that may be used.

    `hosts` are names, `*.example.com` for a domain with all below it; None is any. Names are looked up later.
    """
    try:
        parts = URL(url)  # as aiohttp will read it: ①②⑦.0.0.1 is 127.0.0.1 to it
    except ValueError:
        raise RemoteError("unsafe", "What should be an address is none") from None
    host = (parts.raw_host or "").lower().removesuffix(".")
    if allow_loopback and parts.scheme == "http" and host == LOOPBACK:
        return
    if parts.scheme != "https":
        raise RemoteError("unsafe", f"{parts.scheme}://{host} is not https")
    if parts.user or parts.password:
        raise RemoteError("unsafe", f"The address at {host} has a user name in it")
    _check_host(host)
    if hosts is not None and not any(_matches(host, pattern) for pattern in hosts):
        advice = TRUST.format(host=host)
        raise RemoteError("unsafe", f"The result is at {host}; expected {', '.join(hosts)}", advice=advice)


def _check_host(host: str) -> None:
    """Refuse private addresses, and whatever is neither a name nor an address in its usual form."""
    try:
        public = is_public(host)
    except ValueError:
        if not NAME.fullmatch(host) or NUMBER.fullmatch(host):
            text = f"{host or 'An address without a host'} is neither a name nor an address in its usual form"
            raise RemoteError("unsafe", text) from None
        return
    if not public or "%" in host:
        raise RemoteError("unsafe", f"{host} is not a public address")


def _matches(host: str, pattern: str) -> bool:
    domain = pattern.removeprefix("*.")
    return host == domain or (pattern != domain and host.endswith(f".{domain}"))
