"""Numbers -> English words: cardinals, ordinals, decimals, years, digit strings, fractions, Roman numerals.

Knows nothing about what is counted (money, units, dates) nor about the text around it. Cardinals and ordinals
come from num2words, which is imported at the first number only, to keep start-up short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from spear_accel.text.english.options import EnglishOptions

__all__ = ["Speller", "plain_figures", "plural", "roman"]

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Above this many digits nobody follows a cardinal; it is read digit by digit.
_LONGEST_CARDINAL = 15
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_CANONICAL_ROMAN = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})\Z")
_DENOMINATORS = {2: "half", 4: "quarter"}
_GROUPING = str.maketrans("", "", ", _'")


@lru_cache(maxsize=4096)
def _num2words(value: int, to: str, with_and: bool) -> str:
    from num2words import num2words

    spoken = str(num2words(value, lang="en", to=to)).replace(",", "")
    return spoken if with_and else spoken.replace(" and ", " ")


def plain_figures(text: str) -> str:
    """A whole number without the signs that group its figures: "1,024", "1 000 000", "1_000" -> "1024" ..."""
    return text.translate(_GROUPING)


def plural(word: str) -> str:
    """Plural of a number word or unit: "twenty" -> "twenties", "hundred" -> "hundreds"."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def roman(text: str) -> int | None:
    """Value of a canonical Roman numeral, or None."""
    if not text or not _CANONICAL_ROMAN.match(text):
        return None
    values = [_ROMAN[letter] for letter in text]
    return sum(-v if any(v < later for later in values[i + 1 :]) else v for i, v in enumerate(values))


@dataclass(frozen=True)
class Speller:
    """Number words by the conventions of `options`."""

    options: EnglishOptions

    def digits(self, text: str) -> str:
        """Each digit of `text` by itself: "007" -> "zero zero seven"."""
        spoken = " ".join(_DIGITS[int(character)] for character in text if character.isdecimal())
        return spoken if self.options.zero == "zero" else spoken.replace("zero", "oh")

    def cardinal(self, text: str) -> str:
        """A whole number, grouped or not: "1,024" -> "one thousand twenty-four"."""
        plain = plain_figures(text)
        if len(plain) > _LONGEST_CARDINAL or (len(plain) > 1 and plain[0] == "0"):
            return self.digits(plain)
        return _num2words(int(plain), "cardinal", self.options.number_and)

    def ordinal(self, text: str) -> str:
        """ "21" -> "twenty-first"."""
        plain = plain_figures(text)
        if len(plain) > _LONGEST_CARDINAL:
            return self.digits(plain) + "th"
        return _num2words(int(plain), "ordinal", self.options.number_and)

    def decimal(self, text: str) -> str:
        """A number with an optional fraction, grouped or not: "3.14" -> "three point one four"."""
        whole, point, fraction = text.partition(".")
        spoken = self.cardinal(whole) if plain_figures(whole) else ""
        if not (point and fraction):
            return spoken
        return f"{spoken} point {' '.join(_DIGITS[int(one)] for one in fraction if one.isdecimal())}".strip()

    def year(self, text: str) -> str:
        """Three or four digits as a year: "1984" -> "nineteen eighty-four", "2005" -> "two thousand five"."""
        if self.options.years == "cardinal" or len(text) < 3:
            return self.cardinal(str(int(text)))
        century, rest = int(text[:-2]), int(text[-2:])
        if century % 10 == 0 and (rest == 0 or (century >= 10 and rest < 10)):
            return self.cardinal(str(int(text)))
        if rest == 0:
            return f"{self.cardinal(str(century))} hundred"
        spoken = f"oh {_DIGITS[rest]}" if rest < 10 else self.cardinal(str(rest))
        return f"{self.cardinal(str(century))} {spoken}"

    def short_year(self, text: str) -> str:
        """A year of two or four digits: "05" -> "oh five"."""
        if len(text) != 2:
            return self.year(text)
        return f"oh {_DIGITS[int(text[1])]}" if text[0] == "0" else self.cardinal(text)

    def decade(self, text: str) -> str:
        """The digits before the "s": "1980" -> "nineteen eighties", "90" -> "nineties"."""
        return plural(self.year(text) if len(text) > 2 else self.cardinal(text))

    def pairs(self, text: str) -> str:
        """Digits as people say codes and house numbers: "302" -> "three oh two", "1080" -> "ten eighty"."""
        if len(text) not in (3, 4) or text[0] == "0":
            return self.digits(text) if len(text) > 4 or text[0] == "0" else self.cardinal(text)
        head, tail = text[:-2], text[-2:]
        if tail == "00":
            return f"{self.cardinal(head)} hundred" if int(head) % 10 else self.cardinal(text)
        return f"{self.cardinal(head)} {self.short_year(tail)}"

    def fraction(self, numerator: str, denominator: str) -> str:
        """ "3", "4" -> "three quarters"; a denominator that has no common name gives "over"."""
        top, bottom = int(numerator), int(denominator)
        if not (top > 0 and (2 <= bottom <= 20 or bottom in (24, 32, 64, 100, 1000))):
            return f"{self.cardinal(numerator)} over {self.cardinal(denominator)}"
        name = _DENOMINATORS.get(bottom) or self.ordinal(denominator).removeprefix("one ")
        if top == 1:
            return f"one {name}"
        return f"{self.cardinal(numerator)} " + ("halves" if name == "half" else plural(name))

    def mixed(self, whole: str, numerator: str, denominator: str) -> str:
        """ "2", "1", "2" -> "two and a half"."""
        half = (numerator, denominator) == ("1", "2")
        return f"{self.cardinal(whole)} and {'a half' if half else self.fraction(numerator, denominator)}"
