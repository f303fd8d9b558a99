"""What is embedded can be read back by everybody who looks for it, and where."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wan_duet.tests.video.conftest import ramp
from wan_duet.video.clip import clip_of_images
from wan_duet.video.formats import CONTAINERS, EncoderSettings
from wan_duet.video.metadata import texts

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), json_values))
def test_texts_are_the_same_json_with_its_braces_in_pairs(value: dict[str, Any]) -> None:
    (text,) = texts({"workflow": value}).values()
    assert json.loads(text) == value
    assert text.isascii()
    depth = 0
    for position, letter in enumerate(text, start=1):
        depth += (letter == "{") - (letter == "}")
        assert depth > 0 or position == len(text)


@pytest.mark.parametrize("format", CONTAINERS)
def test_a_file_holds_its_texts(write: Callable[..., Path], format: str) -> None:
    value = {"text": 'a } "brace" \\ and ü', "long": "x" * 100_000}
    path = write(clip_of_images(ramp(2), 16.0), EncoderSettings(format), **texts({"workflow": value, "prompt": {}}))
    with av.open(str(path)) as found:
        names = {name.lower(): text for name, text in found.metadata.items()}
    assert json.loads(names["workflow"]) == value
    assert names["prompt"] == "{}"


def test_the_texts_of_a_webm_come_before_its_pictures(write: Callable[..., Path]) -> None:
    content = write(clip_of_images(ramp(40), 16.0), EncoderSettings("webm"), workflow='{"a": 1}').read_bytes()
    tags, first_cluster = (content.find(mark) for mark in (b"\x12\x54\xc3\x67", b"\x1f\x43\xb6\x75"))
    assert 0 < tags < content.find(b"WORKFLOW") < first_cluster


@pytest.mark.parametrize("format", ["mp4", "mov"])
def test_the_index_of_a_file_comes_before_its_pictures(write: Callable[..., Path], format: str) -> None:
    content = write(clip_of_images(ramp(40), 16.0), EncoderSettings(format), workflow='{"a": 1}').read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_what_is_written_is_json_to_every_reader() -> None:
    prompt = {"3": {"class_type": "LoadImage", "inputs": {"threshold": math.inf}, "is_changed": [math.nan]}}

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    written = json.loads(texts({"prompt": prompt})["prompt"], parse_constant=refuse)
    assert written == {"3": {"class_type": "LoadImage", "inputs": {"threshold": None}}}
