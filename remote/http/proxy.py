"""The proxy that the system names for an address.

aiohttp's own way to ask (`trust_env`) would also send what a .netrc file has for the host, or for any host.
"""

from urllib.request import getproxies, proxy_bypass

from yarl import URL

from ..errors import RemoteError


def proxy_for(url: str) -> str | None:
    """The proxy to fetch an address through; None if there is none for it, RemoteError if it does not speak HTTP."""
    parts = URL(url)
    proxy = _proxies().get(parts.scheme)
    if proxy is None or not parts.host or proxy_bypass(parts.host):
        return None
    if proxy.scheme not in ("http", "https"):  # aiohttp would speak HTTP to it, and take its silence for an answer
        advice = f"Nothing was sent. Set {parts.scheme.upper()}_PROXY to an HTTP proxy, or NO_PROXY to {parts.host}."
        raise RemoteError("network", f"The proxy for {parts.scheme} speaks {proxy.scheme}", advice=advice)
    return str(proxy)


def proxy_hosts() -> set[str]:
    """The hosts of all proxies that the system names."""
    return {proxy.host for proxy in _proxies().values() if proxy.host}


def _proxies() -> dict[str, URL]:
    """The system's proxies by scheme; one that is named without its own speaks HTTP."""
    named = getproxies()
    return {
        scheme: URL(named[scheme] if "://" in named[scheme] else f"http://{named[scheme]}")
        for scheme in ("http", "https")
        if named.get(scheme)
    }
