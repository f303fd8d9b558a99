"""A file without its labels, or none at all."""

from pathlib import Path

import av
import numpy as np
import pytest
from wan_duet.video.strip_metadata import strip_metadata


@pytest.mark.parametrize(("kind", "stripped"), [("mp4", True), ("mov", True), ("avi", False)])
def test_only_containers_that_a_provider_takes_are_copied(tmp_path: Path, kind: str, stripped: bool) -> None:
    source, bare = tmp_path / f"film.{kind}", tmp_path / f"bare.{kind}"
    with av.open(str(source), "w") as written:
        stream = written.add_stream("mpeg4", rate=16)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        written.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        written.mux(stream.encode(None))
    assert strip_metadata(str(source), bare) is stripped
    assert bare.exists() is stripped


def test_sound_alone_is_no_video_to_copy(tmp_path: Path) -> None:
    source, bare = tmp_path / "sound.mp4", tmp_path / "bare.mp4"
    with av.open(str(source), "w") as written:
        stream = written.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        written.mux(stream.encode(frame))
        written.mux(stream.encode(None))
    assert strip_metadata(str(source), bare) is False
    assert not bare.exists()
