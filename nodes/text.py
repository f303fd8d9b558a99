"""Text people must see, shown on the node itself."""

import logging

from server import PromptServer

log = logging.getLogger("wan_duet")


def show(text: str, node_id: str | None) -> None:
    """Write `text` under the node while it runs, and into the log."""
    log.info(text)
    if node_id is not None and PromptServer.instance is not None:
        PromptServer.instance.send_progress_text(text, node_id)
