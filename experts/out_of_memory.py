"""Explain that there is no memory left to open an expert."""

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management

_WORDS = ("Cannot allocate memory", "can't allocate memory", "not enough memory")


@contextmanager
def explain_out_of_memory(what: str) -> Iterator[None]:
    """Raise a lack of memory again with what it was for and what to do; still the host's own kind if it was that.

    The host unloads all models when it meets its own kind.
    """
    try:
        yield
    except Exception as error:  # a lack of memory has many kinds, some told only by their words
        if not _lacks_memory(error):
            raise
        kind = type(error) if isinstance(error, comfy.model_management.OOM_EXCEPTION) else MemoryError
        raise kind(
            f"not enough memory to open {what}. Choose smaller files (fp8), or, if residency in Load Wan 2.2 Experts "
            "is another, 'one at a time'."
        ) from error


def _lacks_memory(error: Exception) -> bool:
    """PyTorch has no exception of its own for it on the CPU, and mapping a file fails in yet other words."""
    if isinstance(error, MemoryError | comfy.model_management.OOM_EXCEPTION):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
