"""Numbers -> English words: cardinals, ordinals, decimals, years, digit strings, Roman numerals.

Knows nothing about what is counted (money, units, dates) nor about the text around it. Cardinals and ordinals
come from num2words, which is imported at the first number only, to keep start-up short.
"""

from __future__ import annotations

import re
from functools import lru_cache

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Above this many digits nobody follows a cardinal; it is read digit by digit.
_LONGEST_CARDINAL = 15
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_CANONICAL_ROMAN = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})\Z")
_DENOMINATORS = {2: "half", 4: "quarter"}


@lru_cache(maxsize=4096)
def _num2words(value: int, to: str) -> str:
    from num2words import num2words

    spoken = str(num2words(value, lang="en", to=to))
    # "one hundred and five", "one thousand, two hundred": the plain form without "and" and commas reads better.
    return spoken.replace(",", "").replace(" and ", " ")


def digits(text: str) -> str:
    """Each digit of `text` by itself: "007" -> "zero zero seven"."""
    return " ".join(_DIGITS[int(character)] for character in text if character.isdigit())


def cardinal(text: str) -> str:
    """A whole number, thousands commas allowed: "1,024" -> "one thousand twenty-four"."""
    plain = text.replace(",", "")
    if len(plain) > _LONGEST_CARDINAL or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    return _num2words(int(plain), "cardinal")


def ordinal(text: str) -> str:
    """ "21" -> "twenty-first"."""
    plain = text.replace(",", "")
    if len(plain) > _LONGEST_CARDINAL:
        return digits(plain) + "th"
    return _num2words(int(plain), "ordinal")


def decimal(text: str) -> str:
    """A number with an optional fraction and thousands commas: "3.14" -> "three point one four"."""
    whole, point, fraction = text.partition(".")
    spoken = cardinal(whole) if whole.replace(",", "") else ""
    return f"{spoken} point {digits(fraction)}".strip() if point and fraction else spoken


def year(text: str) -> str:
    """Three or four digits as a year: "1984" -> "nineteen eighty-four", "2005" -> "two thousand five"."""
    century, rest = int(text[:-2]), int(text[-2:])
    if century % 10 == 0 and (rest == 0 or (century >= 10 and rest < 10)):
        return cardinal(str(int(text)))
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    spoken = f"oh {_DIGITS[rest]}" if rest < 10 else cardinal(str(rest))
    return f"{cardinal(str(century))} {spoken}"


def plural(word: str) -> str:
    """Plural of a number word or unit: "twenty" -> "twenties", "hundred" -> "hundreds"."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def decade(text: str) -> str:
    """The digits before the "s": "1980" -> "nineteen eighties", "90" -> "nineties"."""
    return plural(year(text) if len(text) > 2 else cardinal(text))


def fraction(numerator: str, denominator: str) -> str:
    """ "3", "4" -> "three quarters"; a denominator that has no common name gives "over"."""
    top, bottom = int(numerator), int(denominator)
    if not (top > 0 and (2 <= bottom <= 20 or bottom in (32, 64, 100, 1000))):
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    name = _DENOMINATORS.get(bottom) or ordinal(denominator)
    if top == 1:
        return f"one {name}"
    return f"{cardinal(numerator)} " + ("halves" if name == "half" else plural(name))


def roman(text: str) -> int | None:
    """Value of a canonical Roman numeral, or None."""
    if not text or not _CANONICAL_ROMAN.match(text):
        return None
    values = [_ROMAN[letter] for letter in text]
    return sum(-v if any(v < later for later in values[i + 1 :]) else v for i, v in enumerate(values))
