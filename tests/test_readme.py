"""The pages that a user reads outside ComfyUI: short, complete, and without a dead link."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
TEMPLATES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
LONGEST = 150  # lines of the README


def links(page: str) -> list[str]:
    """Return the files that a page links to or shows, without web addresses and places in the page."""
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", page)
    return [path for link, picture in targets if (path := (link or picture).partition("#")[0]) and "://" not in path]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST


def test_the_readme_says_once_what_each_template_is_for() -> None:
    rows = re.findall(r"^\| .+ \| `(\w+)` \|$", README, re.MULTILINE)
    assert Counter(rows) == Counter(TEMPLATES)


def test_the_readme_links_to_every_page_of_the_documentation() -> None:
    documented = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert documented and documented <= set(links(README))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_is_dead(page: Path) -> None:
    dead = [link for link in links(page.read_text(encoding="utf-8")) if not (page.parent / link).is_file()]
    assert dead == []
