"""A user's file goes up once, only with consent, within the documented limits."""

import base64
import dataclasses
import io
import socket
import uuid
import wave
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from wan_duet.remote import media as media_module
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.errors import RemoteError
from wan_duet.remote.job import State
from wan_duet.remote.jobs.record import JobUpdate
from wan_duet.remote.jobs.request import GenerationRequest, make_request
from wan_duet.remote.keys import write_key
from wan_duet.remote.media import Media, audio_media, image_media, video_media
from wan_duet.remote.providers import fal as fal_module
from wan_duet.tests.fake_providers.fal import FakeFal
from wan_duet.tests.fake_providers.faults import Answer
from wan_duet.tests.fake_providers.film import film
from wan_duet.tests.fake_providers.provider import KEY
from wan_duet.tests.remote.conftest import AGREED, PROMPTS, Bench, MakeBench

I2V = {
    "runware": "runware/wan22_a14b_turbo",
    "fal": "fal-ai/wan/v2.2-a14b/image-to-video",
    "rivya": "rivya/wan22_a14b_turbo",
}


def picture(seed: int = 0) -> Media:
    return image_media(torch.rand(8, 12, 3, generator=torch.Generator().manual_seed(seed)))


def image_order(bench: Bench, image: Media, **consent: Any) -> GenerationRequest:
    """An image-to-video request in each provider's words."""
    place = {
        "runware": {"inputs.frameImages": [{"image": image.placeholder}]},
        "fal": {"image_url": image.placeholder},
        "rivya": {"params.referenceMediaItems": [{"url": image.placeholder, "kind": "image"}]},
    }[bench.name]
    values = {PROMPTS[bench.name]: "a cat", **place}
    return make_request(contract(I2V[bench.name]), values, [image], **{**AGREED, **consent})


def test_a_file_is_uploaded_once_and_named_in_the_request(any_bench: Bench) -> None:
    image = picture()
    any_bench.run(image_order(any_bench, image))
    any_bench.restart()
    any_bench.run(image_order(any_bench, image, force_new=1))
    assert list(any_bench.fake.uploads.values()) == [image.data]
    assert len(any_bench.fake.charges) == 2 and any_bench.fake.count("upload") == 1
    bodies = [job.request for job in any_bench.fake.generations.values()]
    assert "media:" not in str(bodies) and "base64" not in str(bodies)


def test_an_upload_that_may_be_gone_is_made_again(any_bench: Bench) -> None:
    image = picture()
    any_bench.run(image_order(any_bench, image))
    any_bench.clock.skew = 30 * 86_400.0
    any_bench.run(image_order(any_bench, image, force_new=1))
    assert any_bench.fake.count("upload") == 2


GONE: dict[str, Answer] = {
    "runware": Answer(400, {"errors": [{"code": "invalidImage", "message": "No such media."}]}),
    "fal": Answer(422, {"detail": [{"loc": ["body", "image_url"], "msg": "not found", "type": "file_download_error"}]}),
    "rivya": Answer(400, {"error": {"code": "validation_failed", "message": "referenceMediaItems: file not found"}}),
}


def image_of(bench: Bench, request: dict[str, Any]) -> Any:
    """The name of a picture in the request that the fake got."""
    match bench.name:
        case "runware":
            return request["inputs"]["frameImages"][0]["image"]
        case "fal":
            return request["image_url"]
    return request["params"]["referenceMediaItems"][0]["url"]


def test_a_file_that_the_provider_has_lost_is_uploaded_anew(any_bench: Bench) -> None:
    image = picture()
    any_bench.run(image_order(any_bench, image))
    any_bench.fake.fault("submit", GONE[any_bench.name])
    any_bench.run(image_order(any_bench, image, force_new=1))
    assert any_bench.fake.count("upload") == 2 and any_bench.fake.count("submit") == 3
    assert {job.state for job in any_bench.manager.journal.jobs()} == {State.DOWNLOADED}
    assert len(any_bench.fake.charges) == 2
    first, second = (image_of(any_bench, job.request) for job in any_bench.fake.generations.values())
    assert first != second


def test_a_refusal_is_said_though_the_journal_fails(any_bench: Bench) -> None:
    """It is the refusal that is raised, not that the lost file can't be noted."""
    image = picture()
    any_bench.run(image_order(any_bench, image))
    any_bench.fake.fault("submit", GONE[any_bench.name])

    def break_journal(update: JobUpdate) -> None:
        if update.job.state is State.SUBMITTING:
            any_bench.manager.journal._db.execute("PRAGMA query_only=ON")

    with pytest.raises(RemoteError) as refused:
        any_bench.manager.start(image_order(any_bench, image, force_new=1), break_journal).future.result(20)
    assert refused.value.kind == "validation" and len(any_bench.fake.charges) == 1


def test_a_file_that_was_just_uploaded_is_not_uploaded_again_for_a_refusal(any_bench: Bench) -> None:
    any_bench.fake.fault("submit", GONE[any_bench.name], GONE[any_bench.name])
    with pytest.raises(RemoteError) as refused:
        any_bench.run(image_order(any_bench, picture()))
    assert refused.value.kind == "validation"
    assert any_bench.fake.count("upload") == 1 and any_bench.fake.count("submit") == 1
    any_bench.check(State.REJECTED, charges=0, files=0)


def test_a_file_that_is_missed_after_the_submit_is_uploaded_anew_by_the_next_run(bench: MakeBench) -> None:
    """fal finds out when the job runs; that job is over, and is not made again without a word."""
    fal = bench("fal")
    fal.fake.fails_with = (422, GONE["fal"].body)
    with pytest.raises(RemoteError, match="image_url: not found"):
        fal.run(image_order(fal, picture()))
    fal.check(State.FAILED, charges=1, files=0)
    fal.fake.fails_with = None
    fal.run(image_order(fal, picture()))
    assert fal.fake.count("upload") == 2 and fal.fake.count("submit") == 2


@pytest.mark.parametrize("target", ["http://10.0.0.1/put", "https://127.0.0.1/put", "https://169.254.169.254/put"])
def test_a_file_is_not_put_to_a_private_address(bench: MakeBench, target: str) -> None:
    fal = bench("fal")
    fal.fake.token_works, fal.fake.put_url = False, target
    with pytest.raises(RemoteError, match=r"is not https|not a public address") as unsafe:
        fal.run(image_order(fal, picture()))
    assert unsafe.value.kind == "unsafe"
    fal.check(State.PLANNED, charges=0, files=0)


def test_a_file_is_not_put_to_a_name_that_leads_to_a_private_address(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal = bench("fal")
    real = socket.getaddrinfo

    def rebound(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real("10.0.0.1" if host == "bucket.example.com" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    fal.fake.token_works, fal.fake.put_url = False, "https://bucket.example.com/put"
    with pytest.raises(RemoteError, match=r"bucket.example.com is at 10.0.0.1, which is not a public address"):
        fal.run(image_order(fal, picture()))
    fal.check(State.PLANNED, charges=0, files=0)


def test_jobs_at_once_share_an_upload(any_bench: Bench) -> None:
    image = picture()
    handles = [any_bench.manager.start(image_order(any_bench, image, force_new=n)) for n in range(5)]
    for handle in handles:
        handle.future.result(20)
    assert any_bench.fake.count("upload") == 1 and len(any_bench.fake.charges) == 5


def test_nothing_is_uploaded_without_consent(any_bench: Bench) -> None:
    with pytest.raises(RemoteError, match=r"needs your files \(image\) and allow_upload is off"):
        any_bench.run(image_order(any_bench, picture(), allow_upload=False))
    assert any_bench.fake.count("upload") == 0
    any_bench.check(State.PLANNED, charges=0, files=0)


def test_another_file_makes_another_job(any_bench: Bench) -> None:
    any_bench.run(image_order(any_bench, picture(1)))
    any_bench.run(image_order(any_bench, picture(2)))
    assert len(any_bench.fake.charges) == 2


def test_an_upload_that_takes_its_time_is_waited_for(bench: MakeBench) -> None:
    runware = bench("runware")
    runware.fake.late_uploads = True
    runware.run(image_order(runware, picture()))
    (job,) = runware.fake.generations.values()
    assert job.request["inputs"]["frameImages"][0]["image"] != "1"
    runware.check(State.DOWNLOADED, charges=1, files=1)


def test_fals_second_way_is_taken_when_the_first_is_closed(bench: MakeBench) -> None:
    fal = bench("fal")
    fal.fake.token_works = False
    fal.run(image_order(fal, picture()))
    assert fal.fake.count("put") == 1
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_a_file_is_written_out_for_runware_in_pieces(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece is large: what encodes one keeps the interpreter from the host's loop."""
    pieces: list[int] = []
    encode = base64.b64encode
    monkeypatch.setattr(base64, "b64encode", lambda data: (pieces.append(len(data)), encode(data))[1])
    runware, film_ = bench("runware"), Media("video", "video/mp4", bytes(range(251)) * 10_000)
    values = {"inputs.referenceVideos": [film_.placeholder], "inputs.referenceImages": [str(uuid.uuid4())]}
    wanted = make_request(contract("runware/wan22_animate"), values, [film_], **AGREED)
    runware.run(wanted)
    assert list(runware.fake.uploads.values()) == [film_.data]
    assert max(pieces) <= 1 << 20 and sum(pieces) == len(film_.data)


def test_a_large_file_goes_to_fal_in_parts(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fal_module, "LARGE", 100)
    monkeypatch.setattr(fal_module, "PART", 64)
    fal, image = bench("fal"), picture()
    fal.run(image_order(fal, image))
    assert list(fal.fake.uploads.values()) == [image.data]
    assert fal.fake.count("part") == -(-len(image.data) // 64)


def test_the_token_for_a_large_file_goes_to_no_other_host(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fal_module, "LARGE", 100)
    fal = bench("fal")
    with FakeFal().serving() as elsewhere:
        fal.fake.fault("upload", Answer(200, {"access_url": f"{elsewhere.url}/files/x", "uploadId": "u1"}))
        fal.run(image_order(fal, picture()))
    assert elsewhere.seen == [] and fal.fake.count("put") == 1
    fal.check(State.DOWNLOADED, charges=1, files=1)


def test_another_account_gets_a_file_of_its_own(any_bench: Bench) -> None:
    write_key(any_bench.name, "work", KEY, any_bench.settings.private)
    any_bench.run(image_order(any_bench, picture()))
    any_bench.run(image_order(any_bench, picture(), profile="work", force_new=1))
    assert any_bench.fake.count("upload") == 2


def test_sound_has_its_proof_of_length_beside_it(bench: MakeBench) -> None:
    rivya = bench("rivya")
    image, sound = picture(), audio_media(torch.zeros(1, 1600), 16_000)
    items = [{"url": image.placeholder, "kind": "image"}, {"url": sound.placeholder, "kind": "audio"}]
    values = {"prompt": "she speaks", "params.referenceMediaItems": items}
    rivya.run(make_request(contract(I2V["rivya"]), values, [image, sound], **AGREED))
    (job,) = rivya.fake.generations.values()
    assert [item.get("durationToken") for item in job.request["params"]["referenceMediaItems"]] == [None, "dt_1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"data": b"\x89PNG" + bytes(10_000_000)}, "takes up to 10000000"), ({"mime": "image/gif"}, "image is image/gif")],
)
def test_documented_limits_are_kept_before_anything_is_sent(
    bench: MakeBench, change: dict[str, Any], message: str
) -> None:
    rivya = bench("rivya")
    with pytest.raises(RemoteError, match=message):
        rivya.run(image_order(rivya, dataclasses.replace(picture(), **change)))
    assert rivya.fake.count("upload") == 0
    rivya.check(State.PLANNED, charges=0, files=0)


def test_a_picture_is_kept_to_the_bit() -> None:
    pixels = torch.randint(0, 256, (9, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    data = image_media(pixels / 255).data
    back = torch.tensor(list(Image.open(io.BytesIO(data)).tobytes()), dtype=torch.uint8).reshape(9, 7, 3)
    assert torch.equal(back, pixels)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_kept_to_the_sample(channels: int) -> None:
    import av

    wanted = torch.randint(-32767, 32767, (channels, 5000), generator=torch.Generator().manual_seed(2))
    media = audio_media(wanted / 32767, 16_000)
    with av.open(io.BytesIO(media.data)) as container:
        frames = [torch.from_numpy(frame.to_ndarray()) for frame in container.decode(audio=0)]
        assert container.streams.audio[0].rate == 16_000
    got = torch.cat(frames, dim=1).reshape(-1, channels).T
    assert torch.equal(got.long(), wanted)


def test_a_video_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "clip.bin"
    path.write_bytes(film())
    assert (video_media(path).mime, video_media(path).name[-4:]) == ("video/mp4", ".mp4")
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
    with pytest.raises(ValueError, match="neither MP4, MOV nor WebM"):
        video_media(path)


@pytest.mark.parametrize("shape", [(3, 8, 8, 3), (8, 8, 7)])
def test_a_wrong_shape_is_said(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pick one image"):
        media_module.image_media(torch.zeros(shape))
