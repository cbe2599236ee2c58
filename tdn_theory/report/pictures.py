"""Pictures of figures as the report holds them: small SVG that follows the colour scheme of the page."""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass
from urllib.parse import quote

DARK_TEXT, DARK_GROUND = "e7e4dc", "15171a"
"""What black and white become on a dark page: its text and its ground."""

ENLARGED = 1.25
"""Printed figures have type of 7 points; on a screen they are shown so many times larger."""


@dataclass(frozen=True)
class Picture:
    """The picture of a study.

    Attributes:
        svg: Text of the SVG that was drawn.
    """

    svg: str

    @property
    def width(self) -> float:
        """Width on a screen in rem, of 12 points each."""
        found = re.search(r'<svg[^>]*\bwidth="([\d.]+)pt"', self.svg)
        if found is None:
            raise ValueError("the picture is no SVG with its width in points; draw it with 'tdn-theory reproduce'")
        return round(ENLARGED * float(found[1]) / 12, 2)

    @property
    def adaptive(self) -> str:
        """The picture without metadata, coordinates to a hundredth of a point, dark where the page is."""
        small = re.sub(r"<\?xml.*?\?>|<!DOCTYPE[^>]*>|<metadata>.*?</metadata>|<!--.*?-->", "", self.svg, flags=re.S)
        small = re.sub(r"<[^>]*>", lambda tag: _rounded(tag[0]), small)
        small = re.sub(r"\s+", " ", small).replace("> <", "><").strip()
        colours = sorted(set(re.findall(r"(?:fill|stroke): #([0-9a-f]{6})", small)))
        rules = [f"svg{{fill:#{dark('000000')}}}"]  # what says no colour is black
        rules += [
            f'[style*="{kind}: #{colour}"]{{{kind}:#{dark(colour)}!important}}'
            for colour in colours
            for kind in ("fill", "stroke")
            if f"{kind}: #{colour}" in small
        ]
        scheme = f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
        return small.replace("</style>", f"{scheme}</style>", 1)

    @property
    def url(self) -> str:
        """The adaptive picture as a data URL."""
        return "data:image/svg+xml," + quote(self.adaptive, safe=" /:;=,()'!*@[]{}<>+-.")


def _rounded(tag: str) -> str:
    """A tag with its coordinates rounded; what it encloses, such as the names of ticks, is left alone."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag)


def dark(colour: str) -> str:
    """The colour for a dark page: greys exchange light and dark, others become lighter and keep their hue.

    >>> dark("000000"), dark("ffffff"), dark("0072b2")
    ('e7e4dc', '15171a', '40baff')
    """
    own, text, ground = (_parts(name) for name in (colour, DARK_TEXT, DARK_GROUND))
    hue, light, saturation = colorsys.rgb_to_hls(*own)
    if saturation == 0:
        shown = tuple(t + (g - t) * light for t, g in zip(text, ground, strict=True))
    else:
        shown = colorsys.hls_to_rgb(hue, 0.45 + 0.5 * light, saturation)
    return "".join(f"{round(255 * part):02x}" for part in shown)


def _parts(colour: str) -> list[float]:
    return [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
