"""The files that a request needs: uploaded, made smaller where that is agreed to, or already on the web."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...remote.contract.contracts import Contract
from ...remote.errors import RemoteError
from ...remote.http.addresses import check_url
from ...remote.media import Media, compressed

AS_PNG = "refuse"
SMALLER: Mapping[str, tuple[str, int]] = {"JPEG 95": ("JPEG", 95), "JPEG 85": ("JPEG", 85), "WebP 95": ("WEBP", 95)}
LARGE_IMAGES = (AS_PNG, *SMALLER)


@dataclass
class Files:
    """The files of one request, in order. `large_images` says what becomes of one that the provider won't take."""

    contract: Contract
    large_images: str = AS_PNG
    all: list[Media] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, media: Media) -> Media:
        """Take a file in, as it will be uploaded; ValueError if it is an image of more bytes than are taken."""
        most = self.contract.uploads.get(media.kind, {}).get("max_bytes")
        if media.kind == "image" and most is not None and len(media.data) > most:
            media = self._smaller(media, most)
        self.all.append(media)
        return media

    def _smaller(self, media: Media, most: int) -> Media:
        size = f"image takes {len(media.data)} bytes as PNG, and {self.contract.provider} takes up to {most}"
        if self.large_images not in SMALLER:
            raise ValueError(f"{size}. Choose a format in large_images, or scale the image down.")
        made = compressed(media, *SMALLER[self.large_images])
        if len(made.data) > most:
            raise ValueError(f"{size}; as {self.large_images} it takes {len(made.data)}. Scale the image down.")
        self.notes.append(f"{size}: sent as {self.large_images}, with {len(made.data)} bytes")
        return made


def addresses(text: str, name: str, most: int = 1) -> list[str]:
    """The addresses in a text, one a line; ValueError unless there are 1 to `most` and each is https on the web.

    The provider fetches them, not we; so a name is not looked up here.
    """
    found = text.split()
    if not 1 <= len(found) <= most:
        raise ValueError(
            f"{name} is {text!r}. Connect a file, or a text with {'one address' if most == 1 else '1 or 2'}."
        )
    for url in found:
        try:
            check_url(url, None)
        except RemoteError as error:
            raise ValueError(f"{name} is {url!r}: {error.reason}. Use an https address that anyone may open.") from None
    return found
