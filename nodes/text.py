"""Text people must see."""

import logging
import textwrap

from server import PromptServer

NARROW = 34  # letters

log = logging.getLogger("wan_duet")


def log_report(text: str) -> str:
    """A report for an output: logged, and with its line breaks kept where PreviewAny draws Markdown (frontend 1.32)."""
    log.info(text)
    return text.replace("\n", "  \n")


def show(text: str, node_id: str | None) -> None:
    """Write `text` under a node that has no report to read and no widgets, and into the log.

    Frontend 1.32 saves this text among the node's widget values, where it would be taken for the next widget's.
    """
    log.info(text)
    if node_id is not None and PromptServer.instance is not None:
        PromptServer.instance.send_progress_text(wrap(text), node_id)


def wrap(text: str) -> str:
    """The text in lines that a narrow node holds: the frontend breaks longer ones within words."""
    return "\n".join(
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, NARROW, break_long_words=False, break_on_hyphens=False) or [""]
    )
