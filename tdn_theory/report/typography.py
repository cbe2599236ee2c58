"""Records are plain text; here their mathematics becomes that of a printed page."""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import Markup, escape

GREEK = {"eps": "ε", "sigma": "σ", "rho": "ρ", "delta": "δ", "lambda": "λ"}

_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?<=\w)&#39;(?=\w)", "’"),
    (r"&lt;=", "≤"),
    (r"&gt;=", "≥"),
    (r"-&gt;", "→"),
    (r"(?<=\s)\(x\)(?=\s)", "⊗"),
    (r"(?<=\s)~(?=\s)", "≈"),
    (r"(?<=\s)\*(?=\s)", "∗"),
    (r"\|\|", "‖"),
    (r"\bsqrt(?=\W)\s?", "√"),
    (r"\bfloor\(((?:[^()]|\([^()]*\))*)\)", r"⌊\1⌋"),
    (r"\bceil\(((?:[^()]|\([^()]*\))*)\)", r"⌈\1⌉"),
    (r"\bD([xy])\b", r"D \1"),
    (r"\bMhat\b", "M\u0302"),
    *((rf"(?<![A-Za-z]){name}(?![A-Za-z])", letter) for name, letter in GREEK.items()),
    (r"\bsum(?=_)", "Σ"),
    (r"(?<=\bd) x (?=d\b)", " × "),
    (r"(?<=\d) x (?=\d)", " × "),
    (r"(?<=\d)\.\.(?=\d)", "–\u2060"),
    (r"(?<=\d)e(-?)\+?0*(\d+)\b", lambda m: f"\u00a0×\u00a010<sup>{'−' if m[1] else ''}{m[2]}</sup>"),  # 1e-6
    (r"(?<=[dl]\d)-(?=[dl]\d)|(?<=\d[a-zA-Z])-(?=\d)", "−"),
    (r"(?<![A-Za-z])([A-Za-z]) (=|≤|≥) (?=\d)", "\\1\u00a0\\2\u00a0"),
    (r"\^T\b", "<sup>⊤</sup>"),
    (r"\^\(([A-Za-z])\)", r"<sup>(\1)</sup>"),
    (r"\^\(([^()]*)\)", r"<sup>\1</sup>"),
    (r"\^(-?\w+)", r"<sup>\1</sup>"),
    (r"(?<![A-Za-z])([A-Za-zΣσ])_([A-Za-z0-9]+)(?![\w_])", r"\1<sub>\2</sub>"),
    (r"(?<![A-Za-z])([A-Za-zΣσ])_\{([^{}]*)\}", r"\1<sub>\2</sub>"),
    (r"(?<![A-Za-z0-9])([dl])(\d)\b", r"\1<sub>\2</sub>"),
    (r"(?<![A-Za-z])([A-Za-zΣ])_\(([^()]*)\)", r"\1<sub>\2</sub>"),
    (r"(?<=[A-Z\u0302\d)]) - (?=[A-Zd\d(])|(?<=\b[a-z]) - (?=[a-z]\b)", " − "),
    (r"(?<![A-Za-z'’;/])(?<![A-Z]\d)(?![aAI]\b(?![(<]))([A-Za-z]\u0302?)(?!\w|\u0302)", r"<i>\1</i>"),
)


def maths(text: object) -> Markup:
    """`text` as HTML, with the plain-text mathematics of records set properly.

    >>> maths("R_T <= floor(R^(1/3)), 7L^2")
    Markup('<i>R</i><sub><i>T</i></sub> ≤ ⌊<i>R</i><sup>1/3</sup>⌋, 7<i>L</i><sup>2</sup>')
    """
    html = str(escape(str(text)))
    for pattern, replacement in _RULES:
        html = re.sub(pattern, replacement, html)
    return Markup(html)


def sentence(text: str) -> str:
    """`text` with a capital letter, if it begins with a word and not with mathematics, and a full stop."""
    begun = text[:1].upper() + text[1:] if re.match(r"(?!dim\b)[a-z]{2,}\b", text) else text
    return f"{begun.rstrip('.')}."


def number(value: float) -> str:
    """Three significant digits, as plain text: 0.0123, 1.23e-07, 1234."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.6g}"


def words(name: str) -> str:
    """A key of a record in words."""
    return name.replace("_", " ")


def heading(name: str) -> Markup:
    """A key of a record as the head of a column: in words, or as the symbol that it is (`R_T`)."""
    return maths(name) if re.fullmatch(r"[A-Za-z](_\w)?", name) else escape(words(name))
