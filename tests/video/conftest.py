"""Clips with frames that can be told apart after encoding, and a sound with one click."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from wan_duet.video.clip import Clip
from wan_duet.video.encode import write_video
from wan_duet.video.formats import EncoderSettings

RATE = 44_100


def ramp(count: int, width: int = 96, height: int = 64) -> Tensor:
    """Grey images [B, H, W, 3] that get brighter from frame to frame."""
    return torch.linspace(0.1, 0.9, count).view(-1, 1, 1, 1).expand(count, height, width, 3)


def click(seconds: float, at: float, channels: int = 2, rate: int = RATE) -> dict[str, Any]:
    """A silent AUDIO but for one loud sample."""
    waveform = torch.zeros(1, channels, round(seconds * rate))
    waveform[..., round(at * rate)] = 1.0
    return {"waveform": waveform, "sample_rate": rate}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a clip and returns the file."""

    def write(clip: Clip, settings: EncoderSettings | None = None, **metadata: str) -> Path:
        chosen = settings or EncoderSettings()
        path = tmp_path / f"clip.{chosen.extension}"
        write_video(path, clip, chosen, metadata, lambda: None)
        return path

    return write
