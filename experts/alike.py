"""Two names that differ in the word for the expert alone: that proves that it is one, whatever it seems to mean."""

import difflib
import re
from collections.abc import Iterable, Iterator

from .variant import HIGH, LOW

NEAREST = 3


def _short(word: str) -> str:
    """A word of two letters: on its own, or glued to what is before it by its capital alone."""
    return (
        rf"(?<![^\W\d_])(?i:{word})(?![^\W\d_])|(?<=[a-z\d])(?:{word.capitalize()}(?![a-z])|{word.upper()}(?![A-Za-z]))"
    )


_WORDS = tuple(
    {HIGH: re.compile(high), LOW: re.compile(low)}
    for high, low in (
        ("(?i:high)", "(?i:low)"),
        ("高噪声|高噪|高", "低噪声|低噪|低"),
        (_short("hi"), _short("lo")),
        (_short("hn"), _short("ln")),
    )
)
_SEPARATORS = re.compile(r"[\W_]+")
_GLUED = {HIGH: re.compile(r"(?<![Tt])(?i:high)"), LOW: re.compile(r"(?<![FSGBPLfsgbpl])(?i:low)")}


def role_beside(name: str, other: str) -> str | None:
    """The expert of `name` if `other` is the same but for the word for the other expert; None if it is not."""
    for words in _WORDS:
        for role, opposite in ((HIGH, LOW), (LOW, HIGH)):
            own, theirs = (list(_cut(text, words[which])) for text, which in ((name, role), (other, opposite)))
            in_place = {kept for kept, _ in own} & {kept for kept, _ in theirs}
            moved = {bare for _, bare in own if bare} & {bare for _, bare in theirs if bare}
            if in_place or moved:
                return role
    return None


def seeming_role(name: str) -> str | None:
    """The expert whose word is somewhere in a file's name, if only one is; it may mean something else."""
    file = re.split(r"[/\\]", name)[-1]
    roles = [role for role, pattern in _GLUED.items() if pattern.search(file)]
    return roles[0] if len(roles) == 1 else None


def nearest_names(name: str, files: Iterable[str]) -> list[str]:
    """The few files whose names are most like that of the other expert's file."""
    swapped = re.sub(r"high|low", lambda word: {"high": "low", "low": "high"}[word[0]], name.lower())
    closeness = {file: difflib.SequenceMatcher(None, swapped, file.lower()).ratio() for file in files if file != name}
    return sorted(closeness, key=lambda file: (-closeness[file], file))[:NEAREST]


def _cut(name: str, word: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """A name without a word, once for each place where it stands: with the place marked, and without it.

    Only a word before a version or at the end may stand in another place: `WALKHIGHV3` and `WALKV3LOW`.
    """
    for found in word.finditer(name):
        before, after = name[: found.start()].lower(), name[found.end() :].lower()
        loose = re.match(r"[\W_]*v?\d|\.\w+$|$", after)
        yield f"{before}\0{after}", _SEPARATORS.sub(" ", before + after).strip() if loose else ""
