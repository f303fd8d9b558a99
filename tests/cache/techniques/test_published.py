"""The figures are the authors' own, digit for digit."""

import hashlib
from collections.abc import Sequence

import pytest
from wan_duet.cache.techniques import published
from wan_duet.cache.techniques.published import TEACACHE_E, TEACACHE_E0

# Of the numbers in magcache_generate.py (MagCache4Wan2.1, MagCache4Wan2.2, conditional ratios) of Zehong-Ma/MagCache
RATIOS = {
    "T2V_A14B": "de50f1cf8ef2d693",
    "I2V_A14B": "3aa0ba3e0e89e9ee",
    "TI2V_5B_RATIOS": "6370eb0190acab68",
    "WAN_2_1_14B": "bbf01e6010d300c4",
}
# Of those in teacache_generate.py (TeaCache4Wan2.1) of ali-vilab/TeaCache; ti2v 5B in the tables of LightX2V
COEFFICIENTS = {
    "e": ("ad04b82d84d90af8", "dd938cce29d45753", "a2870e81666db118", "f82c7ce50ab3ae4c", "5982361ff39ba1f4"),
    "e0": ("6c2d98d769716d5c", "708eb19d1ab1bc97", "7078d7ef74f59be9", "65da26c7cecf50f5"),
}


def digest(numbers: Sequence[float]) -> str:
    return hashlib.sha256(" ".join(map(repr, numbers)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", RATIOS)
def test_magcaches_ratios_are_those_of_its_authors(name: str) -> None:
    assert digest(getattr(published, name).ratios) == RATIOS[name]


@pytest.mark.parametrize(("signal", "table"), [("e", TEACACHE_E), ("e0", TEACACHE_E0)])
def test_teacaches_coefficients_are_those_of_its_authors(signal: str, table: dict[str, published.Polynomial]) -> None:
    assert tuple(digest(polynomial.coefficients) for polynomial in table.values()) == COEFFICIENTS[signal]
