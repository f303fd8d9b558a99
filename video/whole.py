"""Files that appear whole or not at all, under names that no other process takes."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Write a file under a name of its own; it becomes `path` when the block ends, and is gone if that fails."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reserve_name(numbered: Callable[[int], Path], first: int) -> Iterator[Path]:
    """Take the first free one of numbered names, from `first` on; it is free again if the block fails."""
    path = next(path for path in map(numbered, count(first)) if _taken(path))
    try:
        yield path
    except BaseException:  # an interrupt too
        path.unlink(missing_ok=True)
        raise


def _taken(path: Path) -> bool:
    """Say whether the name was free, and make it ours with an empty file."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True
