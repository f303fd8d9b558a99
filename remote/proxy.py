"""The proxy that the system names for an address.

aiohttp's own way to ask (`trust_env`) would also send what a .netrc file has for the host, or for any host.
"""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """The proxy to fetch an address through; None if there is none for it."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def proxy_hosts() -> set[str]:
    """The hosts of all proxies that the system names."""
    return {host for url in getproxies().values() if (host := urlsplit(url).hostname)}
