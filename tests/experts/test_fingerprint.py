"""A file that a widget names is told from the one that was there before."""

import os
from collections.abc import Callable
from pathlib import Path

from wan_duet.experts.files import FOLDER
from wan_duet.experts.fingerprint import fingerprint


def test_the_fingerprint_follows_path_time_and_size(put: Callable[..., str], folder: Path) -> None:
    high = put("wan_high_noise.safetensors")
    path = folder / high
    first = fingerprint(high, FOLDER)
    assert first == fingerprint(high, FOLDER)
    os.utime(path, (1, 1))
    second = fingerprint(high, FOLDER)
    os.truncate(path, 1)
    os.utime(path, (1, 1))
    assert len({first, second, fingerprint(high, FOLDER)}) == 3
    assert fingerprint("gone.safetensors", FOLDER) is None
