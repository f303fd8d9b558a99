"""A folder of diffusion models of the test's own, and files to put there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import pytest
from wan_duet.experts import files
from wan_duet.tests.experts.headers import shapes_of, write_header

SMALL = {"dim": 256, "ffn_dim": 512, "num_heads": 2, "num_layers": 2}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which the host looks for diffusion models."""
    _, extensions = folder_paths.folder_names_and_paths[files.FOLDER]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, files.FOLDER, ([str(tmp_path)], extensions))
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    return tmp_path


@pytest.fixture
def put(folder: Path) -> Callable[..., str]:
    """A function that puts a T2V header (or of other sizes) into the folder under a name, which it returns."""

    def put(name: str, **sizes: Any) -> str:
        write_header(folder / name, shapes_of(**{**SMALL, **sizes}))
        return name

    return put
