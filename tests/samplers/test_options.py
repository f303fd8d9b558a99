"""What a sampler hung on the first expert's options is carried to the second's; what is the first's own is not."""

from typing import Any

import pytest
from wan_duet.samplers.model_options import additions, merge_options

FIRST, SECOND, THIRD = object(), object(), object()


def test_equal_options_add_nothing() -> None:
    options = {"function": FIRST, "list": [FIRST], "transformer_options": {"patches": {"attn": [FIRST]}}}
    copy = {"function": FIRST, "list": [FIRST], "transformer_options": {"patches": {"attn": [FIRST]}}}
    assert additions(options, copy) == {}


def test_new_and_changed_values_are_added() -> None:
    assert additions({"same": FIRST, "changed": FIRST}, {"same": FIRST, "changed": SECOND, "new": THIRD}) == {
        "changed": SECOND,
        "new": THIRD,
    }


def test_only_the_new_items_of_a_list_are_added() -> None:
    assert additions({"functions": [FIRST]}, {"functions": [FIRST, SECOND]}) == {"functions": [SECOND]}


def test_items_are_told_apart_by_identity() -> None:
    equal, as_equal = [1], [1]
    assert additions({"list": [equal]}, {"list": [equal, as_equal]})["list"][0] is as_equal


def test_nested_options_add_what_is_new_in_them() -> None:
    base = {"transformer_options": {"patches": {"attn": [FIRST]}}}
    passed = {"transformer_options": {"patches": {"attn": [FIRST, SECOND]}, "sample_sigmas": THIRD}}
    assert additions(base, passed) == {"transformer_options": {"patches": {"attn": [SECOND]}, "sample_sigmas": THIRD}}


@pytest.mark.parametrize(
    "key",
    [
        "multigpu_clones",
        "multigpu_thread_pool",
        "multigpu_options",
        "registered_hooks",
        "to_load_options",
        "context_window",
    ],
)
def test_what_speaks_of_one_experts_weights_never_crosses(key: str) -> None:
    assert additions({}, {key: FIRST, "other": SECOND}) == {"other": SECOND}
    assert additions({}, {"transformer_options": {key: {"deep": FIRST}}}) == {}


@pytest.mark.parametrize("key", [None, ("double_block", 0), 7])
def test_keys_need_not_be_text(key: Any) -> None:
    """The host files a wrapper that was added without a key under None, and a replaced block under a tuple."""
    base = {"patches_replace": {"dit": {key: FIRST}}, "wrappers": {"apply_model": {key: [FIRST]}}}
    passed = {"patches_replace": {"dit": {key: SECOND}}, "wrappers": {"apply_model": {key: [FIRST, SECOND]}}}
    assert additions(base, base) == {}
    assert additions(base, passed) == {
        "patches_replace": {"dit": {key: SECOND}},
        "wrappers": {"apply_model": {key: [SECOND]}},
    }


def test_merging_puts_the_added_on_top() -> None:
    options: dict[str, Any] = {"own": FIRST, "functions": [FIRST], "transformer_options": {"kept": FIRST}}
    extra = {"new": SECOND, "functions": [SECOND], "transformer_options": {"sample_sigmas": THIRD}}
    assert merge_options(options, extra) == {
        "own": FIRST,
        "new": SECOND,
        "functions": [FIRST, SECOND],
        "transformer_options": {"kept": FIRST, "sample_sigmas": THIRD},
    }


def test_merging_changes_neither_side() -> None:
    options = {"functions": [FIRST], "transformer_options": {"kept": FIRST}}
    extra = {"functions": [SECOND], "transformer_options": {"new": SECOND}}
    merge_options(options, extra)
    assert options == {"functions": [FIRST], "transformer_options": {"kept": FIRST}}
    assert extra == {"functions": [SECOND], "transformer_options": {"new": SECOND}}
