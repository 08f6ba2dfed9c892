"""Patterns that several classes of token share: how figures, signs and ranges are written. Knows no class."""

from __future__ import annotations

import string

__all__ = ["AMOUNT", "DASH", "DIGITS", "LETTERS", "LOWER", "NUMBER", "SIGN", "SIGNED", "TO", "UPPER", "WHOLE"]

DIGITS = string.digits
LOWER = string.ascii_lowercase
UPPER = string.ascii_uppercase
LETTERS = LOWER + UPPER

# "1,024", "1,50,000", "1_000", "1'000'000", "1 000 000", "1024".
WHOLE = (
    r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,2}(?:,\d{2}){1,6},\d{3}(?!\d)|\d{1,3}(?:_\d{3})+(?![\d_])|"
    r"\d{1,3}(?:'\d{3})+(?![\d\"])|[1-9]\d{0,2}(?: \d{3}){2,6}(?![\d-]| \d)|"
    r"[1-9]\d{0,2} (?:000(?![\d.-]| \d)|\d{3}(?=\s?(?:[€£$₽]|[A-Z]{3}\b|k[mg]\b|people\b|inhabitants\b)))|\d+)"
)
NUMBER = rf"(?:{WHOLE}(?:\.\d+)?|\.\d+)"
# With fractions: "1/2", "2 1/2", "1-1/2".
AMOUNT = rf"(?:(?:\d{{1,9}}[ -])?\d{{1,9}}/[1-9]\d{{0,8}}(?![\d/])|{NUMBER})"
# A minus sign and no hyphen: nothing readable stands before it.
SIGN = r"(?:(?<![\w.,)%°-])(?P<sign>[-−–])(?=[\d.$£€¥₹]))?"
SIGNED = DIGITS + ".-−–"
"""What a number with a sign can begin with."""
DASH = r"[-−–—]"
# The hyphen of a mixed number ("5-1/2") makes no range, but that between two fractions does.
TO = r"(?:\s?[–—−]\s?|\s-\s?|-(?:(?<=/\d-)|(?<=/\d\d-)|(?!\d{1,2}/\d))\s?|\sto\s)"
