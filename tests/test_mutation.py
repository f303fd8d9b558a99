"""The mistakes that dev/mutants.py makes: one line each, those that a person makes, and nothing that no run sees."""

from pathlib import Path

import pytest
from wan_duet.dev.mutation.mistakes import mistakes
from wan_duet.dev.mutation.tests_of import tests_of as chosen_tests

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("f(a, b)", {"f(b, a)", "pass"}),
        (
            "x = f(high=1, low=two)",
            {"x = f(low=two)", "x = f(high=1)", "x = f(high=two, low=1)", "x = f(high=2, low=two)"},
        ),
        ("x = a < b", {"x = a <= b"}),
        ("x = a + b", {"x = (a - b)"}),
        ("x = a and b", {"x = (a or b)"}),
        ("x = min(a)", {"x = max(a)"}),
        ("x.y = z", {"pass"}),
        ("x: int = True", {"x: int = False"}),
        ("x = a if b else c", {"x = a if (not (b)) else c"}),
        ("x = zip(a, strict=True)", set()),
        ('x = Input(tooltip="1 of 2")', set()),
        ('"""A docstring."""', set()),
        ("import a", set()),
        ('é = "é", a < b', {'é = "é", a <= b'}),  # places are counted in bytes
    ],
)
def test_a_line_has_just_these_mistakes(line: str, expected: set[str]) -> None:
    assert {mistake.becomes for mistake in mistakes("file.py", line)} == expected


def test_a_mistake_is_put_where_its_line_is_and_known_without_its_number() -> None:
    source = "def f(a, b):\n    return a - b\n"
    sums = [mistake for mistake in mistakes("file.py", source) if "+" in mistake.becomes]
    assert [mistake.put_into(source) for mistake in sums] == ["def f(a, b):\n    return (a + b)\n"]
    assert sums[0].key == "file.py: return a - b -> return (a + b)" and sums[0].compiles_in(source)


@pytest.mark.parametrize(
    ("file", "knows", "also"),
    [
        ("samplers/plan.py", "tests/samplers/test_plan.py", "tests/samplers/test_options.py"),
        ("nodes/frames/size.py", "tests/nodes/test_every_input.py", "tests/nodes/test_progress.py"),
    ],
)
def test_the_tests_that_know_a_file_come_first_and_then_its_package(file: str, knows: str, also: str) -> None:
    knowing, others = chosen_tests(ROOT, file)
    assert knows in knowing and also in others and not set(knowing) & set(others)
