"""Text people must see."""

import logging

from server import PromptServer

log = logging.getLogger("wan_duet")


def shown(text: str) -> str:
    """A report for an output: logged, and with its line breaks kept where PreviewAny draws Markdown (frontend 1.32)."""
    log.info(text)
    return text.replace("\n", "  \n")


def show(text: str, node_id: str | None) -> None:
    """Write `text` under a node that has no report to read and no widgets, and into the log.

    Frontend 1.32 saves this text among the node's widget values, where it would be taken for the next widget's.
    """
    log.info(text)
    if node_id is not None and PromptServer.instance is not None:
        PromptServer.instance.send_progress_text(text, node_id)
