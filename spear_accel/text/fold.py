"""Any Unicode text -> the ASCII letters, marks and few signs (€ £ ¥ ° ...) that English can read.

Does not know what a number, a unit or an abbreviation is. What has no reading (emoji, other scripts) is
dropped and counted, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# Signs outside ASCII that later rules read aloud, so they survive the folding.
SIGNS = "€£¥₹¢°±×÷§"

_REPLACED = {
    **dict.fromkeys("‘’‚‛ʼʹ′`´ˈ＇", "'"),
    **dict.fromkeys("“”„‟«»″〝〞「」『』《》", '"'),
    **dict.fromkeys("‐‑﹣－", "-"),
    **dict.fromkeys("–‒−", "\u2013"),
    **dict.fromkeys("—―⸺⸻", " \u2014 "),
    **dict.fromkeys("•‣◦▪●·∙⋅", " , "),
    **dict.fromkeys("、，", ", "),
    **dict.fromkeys("。．", ". "),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("【〔〈", "("),
    **dict.fromkeys("】〕〉", ")"),
    "…": "...", "！": "!", "？": "?", "¡": "", "¿": "", "：": ":", "；": ";",
    "²": " squared", "³": " cubed", "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe",
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th",
    "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "ng", "Ŋ": "Ng", "ə": "e", "Ω": " ohms", "µ": "\u03bc",
    "№": "No. ", "©": " copyright ", "®": "", "™": "", "℠": "", "℃": "°C", "℉": "°F", "√": " square root of ",
    "∞": " infinity ", "≈": " about ", "≠": " is not equal to ", "≤": " is at most ", "≥": " is at least ",
    "→": ", ", "⇒": ", ", "‰": " per mille", "¶": " ", "†": "", "‡": "", "ª": "", "º": "°", "・": " ",
}  # fmt: skip
_GREEK_WORD = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+")
_COMBINING = re.compile(r"[\u0300-\u036f]+")
_SPACES = re.compile(r"[\s\u200b\u2028\u2029]+")
_PLAIN = re.compile(r"[ -~]*\Z")
# Microsign and mathematical fractions: NFKC turns "½" into "1⁄2", so a whole number before it needs a space.
_MIXED_FRACTION = re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])")


def fold(text: str) -> tuple[str, Counter[str]]:
    """Fold to ASCII plus `SIGNS`, en dash and em dash (which later rules tell apart from the hyphen).

    Returns the folded text, its white space single spaces, and the characters that were dropped with their counts.
    """
    text = _SPACES.sub(" ", text)
    if _PLAIN.match(text):
        return text.replace("`", "'").strip(), Counter()
    text = _MIXED_FRACTION.sub(" ", text)
    text = _replace(text)
    text = _COMBINING.sub("", unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text)))
    text = _GREEK_WORD.sub(_read_greek, _replace(text))
    dropped: Counter[str] = Counter()
    kept = "".join(_keep(character, dropped) for character in text)
    return _SPACES.sub(" ", kept).strip(), dropped


def _replace(text: str) -> str:
    return "".join(_REPLACED.get(character, character) for character in text)


def _read_greek(match: re.Match[str]) -> str:
    """A lone Greek letter is a symbol and has an English name; a Greek word is another language."""
    letter = match.group()
    if letter == "\u03bc":
        return "\u03bc"
    name = unicodedata.name(letter, "") if len(letter) == 1 else ""
    if "LETTER" not in name:
        return letter
    return f" {name.split('LETTER ')[1].split()[-1].lower()} "


def _keep(character: str, dropped: Counter[str]) -> str:
    if " " <= character <= "~" or character in SIGNS or character in "\u2013\u2014\u03bc":
        return character
    kind = unicodedata.category(character)
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    if kind in ("Cf", "Mn", "Me", "Cc", "Sk", "Lm") or "\ufe00" <= character <= "\ufe0f":
        return "" if kind != "Cc" else " "
    dropped[character] += 1
    return " "


def describe_dropped(dropped: Counter[str]) -> str:
    """One line for the user about `fold`'s dropped characters."""
    shown = ", ".join(_shown(character) for character, _ in dropped.most_common(5))
    more = f" and {len(dropped) - 5} other kinds" if len(dropped) > 5 else ""
    count = sum(dropped.values())
    noun = "character that has" if count == 1 else "characters that have"
    return f"left out {count} {noun} no English reading: {shown}{more}"


def _shown(character: str) -> str:
    printable = character if character.isprintable() else f"U+{ord(character):04X}"
    return f"{printable} ({unicodedata.name(character, 'unnamed').lower()})"
