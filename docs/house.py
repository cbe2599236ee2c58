"""Draws docs/architecture.svg from the table of docs/architecture.md: `python docs/house.py`."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent / "architecture.md"
PICTURE = PAGE.with_suffix(".svg")
PART = re.compile(r"^\| `(\w+)` \|([^|]*)\|[^|]*\|$", re.MULTILINE)
COMMON = re.compile(r"^\| `(\w+)` \|[^|]*\|$", re.MULTILINE)
WIDTH, STEP, BOX, HEIGHT = 900, 78, 112, 32


def table(page: str) -> dict[str, set[str]]:
    """What each part may use besides what everybody may use, by the first table of the page."""
    return {match[1]: set(re.findall(r"`(\w+)`", match[2])) for match in PART.finditer(page)}


def common(page: str) -> list[str]:
    """What everybody may use, by the second table of the page."""
    return COMMON.findall(page)


def levels(uses: dict[str, set[str]]) -> dict[str, int]:
    """How many parts lie below each one, one upon the other.

    Raises:
        ValueError: Parts use each other in a circle, or one that is not in the table.
    """
    known: dict[str, int] = {}
    while len(known) < len(uses):
        ready = [part for part in uses if part not in known and uses[part] <= known.keys()]
        if not ready:
            raise ValueError(f"a circle, or an unknown part, among {sorted(uses.keys() - known.keys())}")
        known |= {part: max((known[below] + 1 for below in uses[part]), default=0) for part in ready}
    return known


def direct(uses: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Pairs of a part and one it uses, without those that follow from others."""

    def below(part: str) -> set[str]:
        return uses[part].union(*(below(other) for other in uses[part]))

    return [(p, used) for p in uses for used in sorted(uses[p]) if not any(used in below(other) for other in uses[p])]


def draw(page: str) -> str:
    """The picture as SVG: one row per level, arrows down to what a part uses itself; below, what everybody may use."""
    uses, shared = table(page), common(page)
    height = levels(uses)
    top = max(height.values())
    places = {}
    for level in range(top + 1):
        row = [part for part in uses if height[part] == level]
        for n, part in enumerate(row):
            places[part] = (WIDTH * (n + 0.5) / len(row), 24 + STEP * (top - level))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {STEP * top + 150}" '
        'font-family="sans-serif" font-size="14" role="img">',
        "<title>The parts of tdn-theory; arrows lead to what a part uses</title>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#888"/></marker></defs>',
    ]
    for part, other in direct(uses):
        (x1, y1), (x2, y2) = places[part], places[other]
        bend = (y2 - y1 - HEIGHT) / 2
        lines.append(
            f'<path d="M{x1:.0f} {y1 + HEIGHT:.0f}C{x1:.0f} {y1 + HEIGHT + bend:.0f} {x2:.0f} {y2 - bend:.0f} '
            f'{x2:.0f} {y2:.0f}" fill="none" stroke="#888" marker-end="url(#a)"/>'
        )
    for part, (x, y) in places.items():
        lines.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="5" fill="#fff" '
            f'stroke="#333"/><text x="{x:.0f}" y="{y + 21:.0f}" text-anchor="middle" fill="#111">{part}</text>'
        )
    bottom = STEP * top + 100
    lines.append(
        f'<rect x="10" y="{bottom}" width="{WIDTH - 20}" height="{HEIGHT}" rx="5" fill="#eee" stroke="#888"/>'
        f'<text x="{WIDTH / 2:.0f}" y="{bottom + 21}" text-anchor="middle" fill="#111">{"   ·   ".join(shared)}</text>'
    )
    return "\n".join([*lines, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(PAGE.read_text()))
