"""Partners by name, of checkpoints and of LoRAs: `high_noise` and `low_noise` in their many spellings."""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from .alike import role_beside
from .variant import HIGH, LOW, WanVariant

# "high" and "low" that speak of something else, by the word after them and the letters glued in front of them
_OTHER_SENSE = (
    r"(?!(?:[^\w/\\]|_)*(?i:light|lighting|angle|res|resolution|poly|quality|details?|detailed|v?ram|memory|key|contrast"
    r"|speed|heels?|rise|waist|cut|fashion|fidelity|def|definition|tech|shot|rank(?![\W_]*\d)|fps|fi|ra)(?![^\W_]))"
)
_NOT_IN_A_WORD = {HIGH: r"(?<![Tt])", LOW: r"(?<![FSGBPLfsgbpl])"}  # thigh; flow, slow, glow, below, yellow
_SINGLE_EXPERT = re.compile(r"(?<!\d)(?:5|1[._]3)b(?![^\W\d_])", re.IGNORECASE)  # TI2V-5B and 1.3B have no halves


def _word(spelling: str) -> str:
    """A whole word in any case."""
    return rf"(?<![^\W\d_])(?i:{spelling})(?![^\W\d_])"


def _spellings(role: str, short: str, chinese: str) -> tuple[str, ...]:
    """From the plainest spelling to the tersest: a folder called "low_vram" must not outvote "high_noise"."""
    upper, title, letter, unglued = role.upper(), role.capitalize(), role[0], _NOT_IN_A_WORD[role]
    return (
        rf"{unglued}(?i:{role}[\W_]*noise)|{chinese}噪",
        rf"(?:{_word(role)}|(?<=[^\W_]){title}(?![a-z])|(?<![^\W\d_]){upper}(?=V\d)){_OTHER_SENSE}",  # wanHighV2
        rf"{unglued}(?<=[A-Z]){upper}(?:(?![^\W\d_])|(?=V\d))",  # V3STYLEHIGH, WALKHIGHV3
        rf"{_word(role[:2])}{_OTHER_SENSE}",
        rf"{_word(short)}|(?<=[a-z\d]){short.upper()}(?![^\W\d_])",
        rf"(?<![Kk][_-])(?:(?<![^\W_])(?i:{letter})|(?<=[a-z\d]){letter.upper()})(?![^\W_])",  # Q3_K_L is a size
    )


_PATTERNS = tuple(
    {HIGH: re.compile(high), LOW: re.compile(low)}
    for high, low in zip(_spellings(HIGH, "hn", "高"), _spellings(LOW, "ln", "低"), strict=True)
)
_ANY_ROLE = re.compile("|".join(pattern.pattern for level in _PATTERNS for pattern in level.values()))

_COUNT = re.compile(r"(?:e|ep|epochs?|epoc|steps?|r|rank|dim|v|ver|version)?\d*(?:e|k|epochs?|epoc|steps?)?")
_PRECISION = re.compile(r"m?bf16|fp?(?:8|16|32)|e4m3(?:fn)?|e5m2|int8|nvfp4|scaled|q\d|k|m|s")


Key = Callable[[str], tuple[str, ...]]


def role_of(name: str) -> str | None:
    """`high`, `low` or None: the expert that a file name (with its folders) claims to be."""
    level = _level_of(name)
    return None if level is None else _role_at(level, name)


def is_half(variant: WanVariant, name: str) -> bool:
    """Say whether a file is one of two experts, by its variant, or by its name where that doesn't tell."""
    return role_of(name) is not None if variant.pair is None else variant.pair


def partner_of(name: str, files: Iterable[str], trained_apart: bool = False) -> str | None:
    """The other half of `name` among `files`: it differs in nothing but its role, separators and case. None if none is.

    Halves that were trained apart, as LoRAs are, may also differ in epoch, rank and version, then in precision, if
    neither has a nearer half. A word that seems to mean something else counts if a name with its opposite is there.
    Raises ValueError when several fit equally well.
    """
    files = list(files)
    keys = _KEYS if trained_apart else _KEYS[:_STRICT]
    nearest = _nearest(name, files, keys)
    mutual = [file for file in nearest if name in _nearest(file, [*files, name], keys)]
    if not mutual and not _SINGLE_EXPERT.search(name):
        mutual = sorted({file for file in files if role_beside(name, file)})
    if len(mutual) > 1:
        raise ValueError(f"{name} has {len(mutual)} possible partners: {', '.join(mutual)}. Choose one by hand.")
    return mutual[0] if mutual else None


def _nearest(name: str, files: Iterable[str], keys: Iterable[Key]) -> list[str]:
    """The files of the other role that are equal to `name` under the strictest key that finds any."""
    role = role_of(name)
    if role is None:
        return []
    others = sorted({file for file in files if role_of(file) not in (None, role)})
    for key in keys:
        wanted = key(name)
        found = [file for file in others if key(file) == wanted]
        if found:
            return found
    return []


def roles_of(high: str, low: str) -> tuple[str | None, str | None]:
    """The experts that two names claim to be, each seen beside the other."""
    role = role_beside(high, low)
    if role is not None and (role_of(high), role_of(low)) in ((None, None), (role, None), (None, _other(role))):
        return role, _other(role)
    return role_of(high), role_of(low)


def _other(role: str) -> str:
    return LOW if role == HIGH else HIGH


def _level_of(name: str) -> int | None:
    """The plainest spelling by which exactly one role is named."""
    if _SINGLE_EXPERT.search(name):
        return None
    return next((level for level in range(len(_PATTERNS)) if _role_at(level, name)), None)


def _role_at(level: int, name: str) -> str | None:
    """The role that one spelling names; the file decides when a folder says otherwise."""
    for text in (name, re.split(r"[/\\]", name)[-1]):
        roles = [role for role, pattern in _PATTERNS[level].items() if pattern.search(text)]
        if len(roles) == 1:
            return roles[0]
    return None


def _without_role(name: str) -> str:
    level = _level_of(name)
    for pattern in _PATTERNS[level].values() if level is not None else ():
        name = pattern.sub(" ", name)
    return name


def _key(cut: Callable[[str], str], *dropped: re.Pattern[str]) -> Key:
    """A way to compare names: the letters and digits of each folder and of the file after `cut`.

    Words that `dropped` match don't count.
    """

    def key(name: str) -> tuple[str, ...]:
        path = PurePosixPath(name.replace("\\", "/"))
        parts = [re.findall(r"[^\W_]+", part) for part in cut(str(path.with_suffix(""))).lower().split("/")]
        kept = ("".join(word for word in words if not any(p.fullmatch(word) for p in dropped)) for words in parts)
        return *kept, path.suffix.lower()

    return key


_KEYS = (
    _key(_without_role),
    _key(lambda name: _ANY_ROLE.sub(" ", name)),
    _key(lambda name: _ANY_ROLE.sub(" ", name), _COUNT),
    _key(lambda name: _ANY_ROLE.sub(" ", name), _COUNT, _PRECISION),
)
_STRICT = 2
