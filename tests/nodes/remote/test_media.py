"""Files that leave this machine over the sockets of the remote nodes, and those that are refused before."""

import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from comfy_api.input_impl import VideoFromComponents, VideoFromFile
from comfy_api.util import VideoComponents
from PIL import Image
from wan_duet.conditioning.frame_images import FrameImage
from wan_duet.experts.lora.spec import LoraSpec
from wan_duet.nodes.remote import media
from wan_duet.nodes.remote.catalog import ROWS
from wan_duet.nodes.remote.fields import EXPLICIT, fields_of
from wan_duet.nodes.remote.files import AS_PNG, LARGE_IMAGES
from wan_duet.nodes.remote.media import fill, film, sound
from wan_duet.nodes.remote.node import _make_generation as generation_of
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.media import image_media
from wan_duet.tests.fake_providers.film import film as small_film
from wan_duet.tests.video.test_read import with_matrix
from wan_duet.video.formats import QUALITIES
from wan_duet.video.identity import identity_of_file
from wan_duet.video.strip_metadata import strip_metadata

A14B = "fal-ai/wan/v2.2-a14b"
IMAGE = torch.zeros(1, 8, 8, 3)


def labelled(path: Path, kind: str = "mp4") -> Path:
    """The small film with a graph in its metadata, as ComfyUI saves one."""
    options = {"movflags": "use_metadata_tags"} if kind in ("mp4", "mov") else {}
    with av.open(io.BytesIO(small_film())) as read, av.open(str(path), "w", format=kind, options=options) as written:
        written.metadata["prompt"] = '{"1": {"inputs": {"text": "a private graph"}}}'
        stream = written.add_stream("libx264" if kind != "webm" else "libvpx-vp9", rate=16)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in read.decode(video=0):
            written.mux(stream.encode(frame.reformat(32, 32, "yuv420p")))
        written.mux(stream.encode(None))
    return path


def pixels(source: Any) -> list[bytes]:
    with av.open(source) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system can't hold a process to one processor")
def test_a_film_is_written_alike_on_any_number_of_processors() -> None:
    images = torch.rand(12, 256, 256, 3, generator=torch.Generator().manual_seed(0))
    video = VideoFromComponents(VideoComponents(images=images, frame_rate=Fraction(16)))
    all_of_them = os.sched_getaffinity(0)
    sent = film(video)
    try:
        os.sched_setaffinity(0, {min(all_of_them)})
        assert film(video).sha256 == sent.sha256
    finally:
        os.sched_setaffinity(0, all_of_them)


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm"])
def test_a_film_is_sent_as_it_is_but_for_its_labels(tmp_path: Path, kind: str) -> None:
    path = labelled(tmp_path / f"mine.{kind}", kind)
    assert b"a private graph" in path.read_bytes()
    sent = film(VideoFromFile(str(path)))
    assert pixels(io.BytesIO(sent.data)) == pixels(str(path))
    assert b"a private graph" not in sent.data and b"mine" not in sent.data
    assert sent.sha256 == film(VideoFromFile(str(path))).sha256  # or the same graph would pay again


def test_a_container_that_no_provider_takes_is_written_anew(tmp_path: Path) -> None:
    sent = film(VideoFromFile(str(labelled(tmp_path / "mine.avi", "avi"))))
    assert sent.mime == "video/mp4" and len(pixels(io.BytesIO(sent.data))) == len(pixels(io.BytesIO(small_film())))


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ((FrameImage(IMAGE, "5"),), "image for frame 5. A provider takes first and last only"),
        ((FrameImage(IMAGE, "first"), FrameImage(IMAGE, "0")), "two images for the first frame"),
        ((FrameImage(IMAGE, "first", 0.5),), "a strength other than 1 for the first frame"),
        ((FrameImage(IMAGE.repeat(2, 1, 1, 1), "first"),), "a batch of 2 images"),
        (IMAGE.repeat(3, 1, 1, 1), "a batch of 3 images"),
    ],
)
def test_frames_that_no_provider_takes_are_refused(frames: Any, problem: str) -> None:
    for endpoint in (f"{A14B}/image-to-video", "runware/wan22_a14b_turbo"):
        with pytest.raises(ValueError, match=problem):
            fill(contract(endpoint), {"frames": frames}, "A14B")


def test_frames_without_a_name_are_first_and_last() -> None:
    auto = (FrameImage(IMAGE), FrameImage(IMAGE + 1))
    values, files = fill(contract("runware/wan22_a14b_turbo"), {"frames": auto}, "Turbo")
    assert [item["frame"] for item in values["inputs.frameImages"]] == ["first", "last"]
    assert [item["image"] for item in values["inputs.frameImages"]] == [file.placeholder for file in files.all]
    values, _ = fill(contract(f"{A14B}/image-to-video"), {"frames": auto}, "A14B")
    assert [values["image_url"], values["end_image_url"]] == [file.placeholder for file in files.all]


def test_a_last_image_is_refused_where_there_is_no_place_for_it() -> None:
    ends = (FrameImage(IMAGE, "first"), FrameImage(IMAGE, "last"))
    with pytest.raises(ValueError, match="5B takes a first one only"):
        fill(contract("fal-ai/wan/v2.2-5b/image-to-video"), {"frames": ends}, "5B")


def test_a_last_image_alone_is_refused_where_a_first_one_is_needed() -> None:
    with pytest.raises(ValueError, match="no image for the first frame, and A14B needs one"):
        fill(contract(f"{A14B}/image-to-video"), {"frames": (FrameImage(IMAGE, "last"),)}, "A14B")


def test_sound_is_of_a_kind_that_is_documented() -> None:
    sent = sound({"waveform": torch.zeros(1, 1, 1600), "sample_rate": 16_000})
    assert sent.mime in contract("rivya/wan22_a14b_turbo").uploads["audio"]["mime"]
    assert sent.name.endswith(".wav")


def test_a_socket_that_the_variant_has_no_place_for_is_refused() -> None:
    with pytest.raises(ValueError, match="loras is connected, and A14B Turbo takes none"):
        fill(contract(f"{A14B}/text-to-video/turbo"), {"loras": (LoraSpec("x.safetensors"),)}, "A14B Turbo")


@pytest.mark.parametrize(
    ("endpoint", "advice"),
    [(f"{A14B}/text-to-video/lora", "owner/repository/file.safetensors"), ("runware/wan22_a14b_turbo", "an AIR")],
)
def test_a_lora_that_is_a_local_file_only_is_refused_with_what_to_do(endpoint: str, advice: str) -> None:
    with pytest.raises(ValueError, match=rf"LoRA style\.safetensors is a file on this machine only\. .*{advice}"):
        fill(contract(endpoint), {"loras": (LoraSpec("style.safetensors"),)}, "it")


def loras(**row: Any) -> list[dict[str, Any]]:
    given = {"remote_id": "https://x.example/s.safetensors", **row}
    values, _ = fill(contract(f"{A14B}/text-to-video/lora"), {"loras": (LoraSpec("s.safetensors", **given),)}, "it")
    return [{name: value for name, value in item.items() if name != "path"} for item in values.get("loras", [])]


def test_the_transformer_of_a_lora_is_always_said() -> None:
    assert loras() == [{"scale": 1.0, "transformer": "both"}]
    assert loras(expert="low", strength=-2.0) == [{"scale": -2.0, "transformer": "low"}]


def test_a_strength_for_each_stage_becomes_an_entry_for_each_transformer() -> None:
    stages = [{"scale": 0.45, "transformer": "high"}, {"scale": 0.5, "transformer": "low"}]
    assert loras(schedule="0.9;1", strength=0.5) == stages
    assert loras(schedule=";1") == [{"scale": 1.0, "transformer": "low"}]
    with pytest.raises(ValueError, match="changes within a stage"):
        loras(schedule="0.9,0.5;1")


def test_a_film_is_known_by_its_pixels_its_rate_and_its_sound() -> None:
    images = torch.rand(5, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    sound = {"waveform": torch.linspace(-1, 1, 8000)[None, None], "sample_rate": 16000}

    def identity(frames: torch.Tensor = images, rate: int = 16, audio: Any = None) -> str:
        return film(
            VideoFromComponents(VideoComponents(images=frames, frame_rate=Fraction(rate), audio=audio))
        ).identity

    softer = {**sound, "waveform": sound["waveform"] / 2}
    kinds = [identity(), identity(images.flip(0)), identity(rate=24), identity(audio=sound), identity(audio=softer)]
    assert len(set(kinds)) == 5 and kinds[0] == identity()


def test_a_film_is_the_same_whatever_encodes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(5, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    video = VideoFromComponents(VideoComponents(images=images, frame_rate=Fraction(16)))
    one = film(video)
    monkeypatch.setattr(media, "SENT", media.SENT._replace(quality=QUALITIES["low"]))
    other = film(video)
    assert one.sha256 != other.sha256 and one.identity == other.identity


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm"])
def test_a_file_is_known_by_what_is_stored_and_not_by_its_labels(tmp_path: Path, kind: str) -> None:
    path, bare = labelled(tmp_path / f"mine.{kind}", kind), tmp_path / "bare"
    assert strip_metadata(str(path), bare) and bare.read_bytes() != path.read_bytes()
    read = io.BytesIO(bare.read_bytes())
    read.seek(100)  # where whoever read it last has left it
    known = identity_of_file(read)
    assert known == identity_of_file(str(path)) == (film(VideoFromFile(str(path))).identity, "")
    (tmp_path / "other").write_bytes(small_film())
    assert known != identity_of_file(str(tmp_path / "other"))


def spoken(path: Path, late: float) -> Path:
    """The small film with a sound that begins so many seconds after the picture; its packets are always the same."""
    tone = {"waveform": torch.sin(torch.arange(16000) / 20)[None, None], "sample_rate": 16000}
    images = torch.rand(8, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    whole = film(VideoFromComponents(VideoComponents(images=images, frame_rate=Fraction(8), audio=tone)))
    with av.open(io.BytesIO(whole.data)) as read, av.open(str(path), "w", format="mp4") as written:
        copies = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts, packet.dts = (t + round(late / packet.time_base) for t in (packet.pts, packet.dts))
            packet.stream = copies[packet.stream.index]
            written.mux(packet)
    return path


def test_a_turned_film_and_one_whose_sound_begins_late_are_other_films(tmp_path: Path) -> None:
    films = [spoken(tmp_path / f"{late}.mp4", late) for late in (0.0, 0.25, 0.5)]
    films += [with_matrix(spoken(tmp_path / f"turned{m}.mp4", 0.0), *m) for m in ((0, 1, -1, 0), (-1, 0, 0, -1))]
    sent = [film(VideoFromFile(str(path))) for path in films]
    assert len({one.identity for one in sent}) == len(films)
    assert len({one.identity_before or one.identity for one in sent}) == 1  # which they once shared
    for path, one in zip(films, sent, strict=True):
        (tmp_path / "bare").write_bytes(one.data)
        assert identity_of_file(str(tmp_path / "bare")).now == identity_of_file(str(path)).now == one.identity


HOSTED = "https://example.com/mine.bin"


@pytest.mark.parametrize(
    ("endpoint", "given", "parts"),
    [
        (
            f"{A14B}/image-to-video",
            {"frames": f"{HOSTED}\n{HOSTED}?2"},
            {"image_url": HOSTED, "end_image_url": f"{HOSTED}?2"},
        ),
        (f"{A14B}/video-to-video", {"video": f" {HOSTED}\n"}, {"video_url": HOSTED}),
        (
            "fal-ai/wan/v2.2-14b/speech-to-video",
            {"image": HOSTED, "audio": HOSTED},
            {"image_url": HOSTED, "audio_url": HOSTED},
        ),
        (
            "runware/wan22_animate",
            {"image": HOSTED, "video": HOSTED},
            {"inputs.referenceImages": [HOSTED], "inputs.referenceVideos": [HOSTED]},
        ),
        ("runware/wan22_a14b_turbo", {"frames": HOSTED}, {"inputs.frameImages": [{"image": HOSTED, "frame": "first"}]}),
        ("runware/wan25_preview", {"audio": HOSTED}, {"inputs.audio": HOSTED}),
        (
            "rivya/wan22_a14b_turbo",
            {"image": HOSTED, "audio": HOSTED},
            {"params.referenceMediaItems": [{"url": HOSTED, "kind": "image"}, {"url": HOSTED, "kind": "audio"}]},
        ),
    ],
)
def test_what_is_on_the_web_is_not_uploaded(endpoint: str, given: dict[str, str], parts: dict[str, Any]) -> None:
    made, files = fill(contract(endpoint), given, "A14B")
    assert (made, files.all) == (parts, [])


@pytest.mark.parametrize(
    "text", ["", "not an address", "http://example.com/a.png", "https://127.1/a", f"{HOSTED} {HOSTED}"]
)
def test_what_is_no_address_on_the_web_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="image is"):
        fill(contract(f"{A14B}/image-to-image"), {"image": text}, "A14B")


RIVYA = contract("rivya/wan22_a14b_turbo")
SMALL = replace(RIVYA, uploads={**RIVYA.uploads, "image": {**RIVYA.uploads["image"], "max_bytes": 40_000}})
NOISE = torch.rand(1, 256, 256, 1, generator=torch.Generator().manual_seed(1)).repeat(1, 1, 1, 3) * 0.2


def test_an_image_above_the_limit_is_refused_until_a_format_is_chosen() -> None:
    with pytest.raises(
        ValueError, match=r"image takes \d+ bytes as PNG, and rivya takes up to 40000\. Choose.*large_images"
    ):
        fill(SMALL, {"image": NOISE}, "Turbo")
    with pytest.raises(ValueError, match=r"as JPEG 85 it takes \d+\. Scale"):
        fill(SMALL, {"image": NOISE.repeat(1, 4, 4, 1)}, "Turbo", "JPEG 85")


@pytest.mark.parametrize("choice", [choice for choice in LARGE_IMAGES if choice != AS_PNG])
def test_an_image_above_the_limit_is_sent_as_chosen_and_that_is_said(choice: str) -> None:
    parts, files = fill(SMALL, {"image": NOISE}, "Turbo", choice)
    (sent,) = files.all
    assert len(sent.data) <= 40_000 and sent.mime == f"image/{choice.split()[0].lower()}"
    (item,) = parts["params.referenceMediaItems"]
    assert (item["url"], item["mimeType"], item["name"]) == (sent.placeholder, sent.mime, sent.name)
    with Image.open(io.BytesIO(sent.data)) as picture:
        difference = np.abs(np.asarray(picture.convert("RGB"), dtype=float) / 255 - NOISE[0].numpy()).mean()
    assert difference < 0.02
    before = f"image takes {png(NOISE)} bytes as PNG, and rivya takes up to 40000"
    assert files.notes == [f"{before}: sent as {choice}, with {len(sent.data)} bytes"]
    assert fill(SMALL, {"image": NOISE[:, :8, :8]}, "Turbo", choice)[1].all[0].mime == "image/png"  # below the limit


def test_the_node_sends_a_large_image_as_agreed_and_its_order_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = (row for row in ROWS if row.id == "RivyaWan22Turbo")
    monkeypatch.setattr(type(row), "contracts", property(lambda _: {"Turbo": SMALL}))
    fields = fields_of(row.contracts)
    given = {field.name: EXPLICIT.get(field.path, "") for field in fields}
    given |= {"prompt": "a cat", "resolution": "480p", "seed": 1, "image": NOISE, "allow_paid": True}
    given["large_images"] = "WebP 95"
    placed = generation_of(row, fields, "Turbo", given)
    (sent,) = placed.media.values()
    assert sent.mime == "image/webp" and any("sent as WebP 95" in warning for warning in placed.warnings)
    with pytest.raises(ValueError, match="Choose a format in large_images"):
        generation_of(row, fields, "Turbo", given | {"large_images": AS_PNG})


def png(image: torch.Tensor) -> int:
    return len(image_media(image[0]).data)
