"""Read keys and signed addresses from the environment or keys.json; a graph only ever names a profile."""

import json
import logging
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path

from .errors import RemoteError

log = logging.getLogger("wan_duet")

DEFAULT = "default"
FILE = "keys.json"
PUT = "put"  # the entry of a profile that is no key but a signed address
WEBHOOK = "webhook"  # one that is the address to be told
Variables = tuple[tuple[str, ...], ...]
"""The environment variables of a provider's key: alternatives, each of one name or of parts joined by `:`."""


def read_key(provider: str, variables: Variables, profile: str, private: Path, environ: Mapping[str, str]) -> str:
    """The key of a provider under a profile; RemoteError says where one can be put.

    The environment is asked for the profile `default` only. keys.json is `{"default": {"<provider>": "…"}}`.
    """
    if (found := _find(provider, variables, profile, private, environ)) is not None:
        return _checked(*found)
    entry = f'{{"{profile}": {{"{provider}": "…"}}}} into {private / FILE}.'
    if profile != DEFAULT:
        raise RemoteError("auth", f"Profile {profile!r} has no key for {provider}", advice=f"Write {entry}")
    names = " or ".join(" and ".join(group) for group in variables)
    advice = f"Set it there; where nobody sits, set {names}, or write {entry}"
    raise RemoteError("auth", f"Settings, Wan Duet: there is no key for {provider}", advice=advice)


def key_source(
    provider: str, variables: Variables, profile: str, private: Path, environ: Mapping[str, str]
) -> str | None:
    """The source of the key: variables of the environment, or keys.json; None if none is set."""
    found = _find(provider, variables, profile, private, environ)
    return None if found is None else found[1]


def _find(
    provider: str, variables: Variables, profile: str, private: Path, environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """A key and its source."""
    if profile == DEFAULT:
        for names in variables:
            if all(environ.get(name, "").strip() for name in names):
                return ":".join(environ[name].strip() for name in names), " and ".join(names)
    value = _profiles(private / FILE).get(profile, {}).get(provider, "")
    return (value.strip(), f"{FILE}, profile {profile}") if isinstance(value, str) and value.strip() else None


def write_key(provider: str, profile: str, key: str, private: Path) -> None:
    """Keep a key in keys.json, for this user of the machine only; an empty one is taken out.

    RemoteError if it can't be a key or the file can't be read.
    """
    path = private / FILE
    kept = {name: dict(keys) for name, keys in _profiles(path).items()}
    kept.setdefault(profile, {})[provider] = _checked(key.strip(), "what was entered")
    kept = {name: left for name, keys in kept.items() if (left := {of: value for of, value in keys.items() if value})}
    try:
        private.mkdir(parents=True, exist_ok=True)
        replace_private(path, json.dumps(kept, indent=1))
    except OSError as error:
        raise RemoteError("storage", f"The key can't be written to {private} ({error.strerror})") from error


def replace_private(path: Path, content: str) -> None:
    """Write a file whole or not at all, for this user of the machine only."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_put_address(profile: str, private: Path) -> str:
    """The signed address that a profile has for finished files: `{"work": {"put": "https://…"}}`; else RemoteError."""
    return read_address(PUT, profile, private)


def read_address(entry: str, profile: str, private: Path) -> str:
    """The address that a profile has under `put` or `webhook`; RemoteError if it has none."""
    path = private / FILE
    value = _profiles(path).get(profile, {}).get(entry, "")
    if isinstance(value, str) and value.strip():
        return _checked(value.strip(), f"{FILE}, profile {profile}")
    advice = f'Write {{"{profile}": {{"{entry}": "https://…"}}}} into {path}.'
    use = "to put a file at" if entry == PUT else "to tell"
    raise RemoteError("auth", f"profile {profile!r} names no address {use}", advice=advice)


def profiles(private: Path) -> list[str]:
    """The names of the profiles, `default` first."""
    return [DEFAULT, *sorted(_profiles(private / FILE).keys() - {DEFAULT})]


def _profiles(path: Path) -> Mapping[str, Mapping[str, str]]:
    if not path.is_file():
        return {}
    _make_private(path)
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        raise RemoteError(
            "auth", f"{path} is not JSON", advice="Correct the file."
        ) from None  # no excerpt: it has keys
    if not isinstance(read, dict) or not all(isinstance(value, dict) for value in read.values()):
        raise RemoteError("auth", f"{path} must map profiles to keys by provider", advice="Correct the file.")
    return read


def _make_private(path: Path) -> None:
    """Take the file away from other users of the machine, where the system knows such a thing."""
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        try:
            path.chmod(0o600)
            log.warning("%s was open to other users of this machine; it is not any more", path)
        except OSError:
            log.warning("%s is open to other users of this machine", path)


def _checked(key: str, source: str) -> str:
    if any(character.isspace() or not character.isprintable() for character in key) or not key.isascii():
        advice = "Copy the key again, as one line."
        raise RemoteError("auth", f"the key in {source} has a character that no key has", advice=advice)
    return key
