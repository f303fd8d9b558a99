"""Tell when a file that a widget names has changed."""

import os

import folder_paths


def fingerprint(name: str, folder: str) -> tuple[str, float, int] | None:
    """Path, modification time and size of a file in one of the host's model folders; None if it is not there."""
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        return None
    status = os.stat(path)
    return os.path.realpath(path), status.st_mtime, status.st_size
