"""A graph is the same job whatever has encoded its files, and one that was made by their bytes is still found."""

import dataclasses
import io

import pytest
import torch
from PIL import Image
from wan_duet.remote.contract.contracts import contract
from wan_duet.remote.jobs.request import GenerationRequest, make_request
from wan_duet.remote.media import Media, audio_media, image_media
from wan_duet.tests.remote.conftest import AGREED, Bench, MakeBench
from wan_duet.tests.remote.test_uploads import I2V, image_order, picture


def encoded_anew(media: Media) -> Media:
    """The same picture or sound, in the bytes of another version of what writes files."""
    if media.kind == "audio":
        return dataclasses.replace(media, data=media.data + b"LIST\x00\x00\x00\x00")
    target = io.BytesIO()
    Image.open(io.BytesIO(media.data)).save(target, "PNG", compress_level=0)
    return dataclasses.replace(media, data=target.getvalue())


def test_the_same_pixels_in_other_bytes_are_not_paid_twice(any_bench: Bench) -> None:
    image = picture()
    other = encoded_anew(image)
    assert image.sha256 != other.sha256
    any_bench.run(image_order(any_bench, image))
    any_bench.restart()
    assert any_bench.run(image_order(any_bench, other)).attached
    assert len(any_bench.fake.charges) == 1


def test_a_job_made_by_the_bytes_is_found_and_known_by_its_pixels_from_then_on(any_bench: Bench) -> None:
    image = picture()
    any_bench.run(image_order(any_bench, dataclasses.replace(image, identity="")))  # as it was made before
    any_bench.restart()
    assert any_bench.run(image_order(any_bench, image)).attached
    assert any_bench.run(image_order(any_bench, encoded_anew(image))).attached
    assert len(any_bench.fake.charges) == 1


def test_films_that_once_shared_a_fingerprint_are_a_job_each_and_the_first_is_found(any_bench: Bench) -> None:
    """Until it counted how a film is turned and when its sound begins, one identity stood for several films."""
    shared, turned = "5" * 64, "7" * 64
    upright = dataclasses.replace(picture(), identity=shared)
    other = dataclasses.replace(picture(1), identity=turned, identity_before=shared)
    any_bench.run(image_order(any_bench, upright))
    assert not any_bench.run(image_order(any_bench, other)).attached
    assert len(any_bench.fake.charges) == 2


def test_a_job_made_under_the_shared_fingerprint_is_found_by_the_same_bytes(any_bench: Bench) -> None:
    film = dataclasses.replace(picture(), identity="7" * 64, identity_before="5" * 64)
    any_bench.run(image_order(any_bench, dataclasses.replace(film, identity="5" * 64, identity_before="")))
    any_bench.restart()
    assert any_bench.run(image_order(any_bench, film)).attached
    assert any_bench.run(image_order(any_bench, encoded_anew(film))).attached  # known by what it is from then on
    assert len(any_bench.fake.charges) == 1


def referenced(image: Media, sound: Media) -> GenerationRequest:
    """Rivya is also told the names of files, which come from their bytes."""
    items = [
        {"url": file.placeholder, "kind": file.kind, "name": file.name, "mimeType": file.mime}
        for file in (image, sound)
    ]
    return make_request(
        contract(I2V["rivya"]), {"prompt": "a cat", "params.referenceMediaItems": items}, [image, sound], **AGREED
    )


def test_names_of_files_do_not_make_another_job(bench: MakeBench) -> None:
    image, sound = picture(), audio_media(torch.linspace(-1, 1, 4000)[None], 8000)
    one, other = referenced(image, sound), referenced(encoded_anew(image), encoded_anew(sound))
    assert one.fingerprint == other.fingerprint and one.fingerprint_before != other.fingerprint_before
    assert one.fingerprint != referenced(picture(1), sound).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (image_media(torch.zeros(8, 12, 3)), image_media(torch.zeros(12, 8, 3))),
        (image_media(torch.zeros(8, 12, 3)), image_media(torch.zeros(8, 12, 1))),
        (image_media(torch.zeros(8, 12, 3)), image_media(torch.full((8, 12, 3), 1 / 255))),
        (audio_media(torch.zeros(1, 80), 8000), audio_media(torch.zeros(1, 80), 16000)),
        (audio_media(torch.zeros(2, 40), 8000), audio_media(torch.zeros(1, 80), 8000)),
    ],
    ids=["turned", "grey", "darker", "slower", "mono"],
)
def test_what_differs_in_shape_or_time_is_another_job(one: Media, other: Media) -> None:
    assert one.identity != other.identity
