"""Which file names belong together: `high_noise` and `low_noise` in their many spellings."""

import re
from collections.abc import Iterable

from .kind import HIGH, LOW

# From the plainest spelling to the tersest: a folder called "low_vram" must not outvote "high_noise".
_SPELLINGS = (
    {HIGH: r"high[\W_]*noise", LOW: r"low[\W_]*noise"},
    {HIGH: r"high", LOW: r"low"},
    {HIGH: r"hn", LOW: r"ln"},
    {HIGH: r"h", LOW: r"l"},
)


def _word(spelling: str) -> re.Pattern[str]:
    """A whole word in any case, or a capitalised one inside camelCase (`wanHighV2`)."""
    camel = spelling[0].upper() + spelling[1:]
    return re.compile(rf"(?<![^\W\d_])(?i:{spelling})(?![^\W\d_])|(?<=[^\W_]){camel}(?![a-z])")


_PATTERNS = tuple({role: _word(spelling) for role, spelling in pair.items()} for pair in _SPELLINGS)


def role_of(name: str) -> str | None:
    """`high`, `low` or None: the expert that a file name (with its folders) claims to be."""
    for pair in _PATTERNS:
        roles = [role for role, pattern in pair.items() if pattern.search(name)]
        if len(roles) == 1:
            return roles[0]
    return None


def partner_of(name: str, files: Iterable[str]) -> str | None:
    """The file that differs from `name` in nothing but its role, separators and case; None if there is none.

    Raises ValueError when several fit equally well.
    """
    role = role_of(name)
    if role is None:
        return None
    wanted = LOW if role == HIGH else HIGH
    fits = [file for file in files if role_of(file) == wanted and _stem(file) == _stem(name)]
    if len(fits) > 1:
        raise ValueError(f"{name} has {len(fits)} possible partners: {', '.join(sorted(fits))}. Choose one by hand.")
    return fits[0] if fits else None


def _stem(name: str) -> str:
    """The name with its role and separators taken out, in lower case."""
    for pair in _PATTERNS:
        if any(pattern.search(name) for pattern in pair.values()):
            for pattern in pair.values():
                name = pattern.sub("*", name)
            break
    return re.sub(r"[\W_]*\*[\W_]*", "*", re.sub(r"[^\w*]+|_+", " ", name)).lower()
