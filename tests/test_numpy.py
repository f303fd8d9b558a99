"""The pack runs on numpy 1.26 too, which many hosts still have; what numpy 2 has dropped, ruff's NPY201 sees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted(path for package in ROOT.glob("*/__init__.py") for path in package.parent.rglob("*.py"))
NEW_IN_2 = """
acos acosh asin asinh astype atan atan2 atanh bitwise_count bitwise_invert bitwise_left_shift bitwise_right_shift bool
concat cumulative_prod cumulative_sum isdtype long matrix_transpose matvec permute_dims pow strings trapezoid ulong
unique_all unique_counts unique_inverse unique_values unstack vecdot vecmat
"""


def names_that_1_26_lacks(source: str) -> list[str]:
    """What a file takes from numpy that came with numpy 2."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np", "numpy"):
            found.append(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy":
            found += [alias.name for alias in node.names]
    return [name for name in found if name in NEW_IN_2.split()]


def test_no_file_needs_numpy_2() -> None:
    found = {path.name: names_that_1_26_lacks(path.read_text(encoding="utf-8")) for path in SHIPPED}
    assert len(found) > 20 and not any(found.values())


@pytest.mark.parametrize("source", ["np.concat([a, b])", "numpy.trapezoid(a)", "from numpy import unstack"])
def test_what_came_with_numpy_2_is_seen(source: str) -> None:
    assert names_that_1_26_lacks(source)
