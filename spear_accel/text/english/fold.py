"""Any Unicode text -> the ASCII letters, marks and few signs (€ £ ° − ² μ ...) that English can read.

Does not know what a number, a unit or an abbreviation is. What has no reading (emoji, other scripts) is dropped and
counted, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from spear_accel.text.english.source import Edit, Source

__all__ = ["KEPT", "SUPERSCRIPTS", "describe_dropped", "fold"]

SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
# Signs outside ASCII that the rules read aloud, so they survive the folding.
KEPT = frozenset("€£¥₹¢₽₩₺₫₪₴₱฿₿°±×÷§−–—′″μΩ√∞≈≠≤≥∑∫∂∝∈∉∅∪∩⊂∀∃∴¶‰©→⇒←↔" + SUPERSCRIPTS)

_REPLACED = {
    **dict.fromkeys("‘’‚‛ʼ´ˈ＇\u02bb", "'"),
    **dict.fromkeys("“”„‟«»〝〞「」『』《》", '"'),
    **dict.fromkeys("‐‑﹣－\u2043", "-"),
    **dict.fromkeys("–‒", "–"),
    **dict.fromkeys("—―⸺⸻", "—"),
    **dict.fromkeys("•‣◦▪●·∙⋅■□►▶➢➤✓✔☐☑", "•"),
    **dict.fromkeys("、，", ", "),
    **dict.fromkeys("。．", ". "),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("【〔〈", "("),
    **dict.fromkeys("】〕〉", ")"),
    **dict.fromkeys("⩽≦", "≤"),
    **dict.fromkeys("⩾≧", "≥"),
    **dict.fromkeys("≃≅∼", "≈"),
    **dict.fromkeys("®™℠†‡ª¡¿❤♥️", ""),
    "…": "...", "！": "!", "？": "?", "：": ":", "；": ";", "‼": "!!",
    "∆": " delta ", "ⁿ": "^n", "ˣ": "^x", "⁇": "??", "⁉": "?!", "‽": "?!",
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "ng",
    "Ŋ": "Ng", "ə": "e", "Ω": "Ω", "µ": "μ", "№": "No. ", "℃": "°C", "℉": "°F", "º": "°", "・": " ",
    "♭": " flat ", "♯": " sharp ", "‖": " ", "∕ ": "/", "⨯": "×", "✕": "×", "✖": "×",
    "⋯": "...", "␣": " ", "﹪": "%", "﹩": "$",
}  # fmt: skip
_FOREIGN = re.compile(r"[^ -~\n]")
_GREEK_LETTER = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_GROUPING_SPACES = "\u00a0\u202f\u2009\u2007\u2008"
_THOUSANDS = re.compile(r"\d{3}(?!\d)")
_FRACTION_SIGNS = frozenset("\u00bc\u00bd\u00be\u2150\u2151\u2152\u2153\u2154\u2155\u2156\u2157\u2158\u2159\u215a"
                            "\u215b\u215c\u215d\u215e\u2189")  # fmt: skip


def fold(source: Source, emoji: bool = False) -> tuple[Source, Counter[str]]:
    """Fold to ASCII plus `KEPT`; of the white space, line ends stay.

    Args:
        source: The text.
        emoji: Whether emoji are replaced by their names.

    Returns:
        The folded text, and the characters that were dropped with their counts.
    """
    dropped: Counter[str] = Counter()
    if "\r" in source.text:
        source = source.sub(re.compile(r"\r\n?"), "\n")
    text = source.text
    edits: list[Edit] = []
    for match in _FOREIGN.finditer(text):
        character, at = match.group(), match.start()
        words = _in_context(character, text, at)
        if words is None:
            if emoji and unicodedata.category(character) == "So":
                words = f" {unicodedata.name(character, '').lower()} "
            else:
                dropped[character] += 1
                words = " "
        if words != character:
            edits.append((at, at + 1, words))
    return source.edited(edits), dropped


def _in_context(character: str, text: str, at: int) -> str | None:
    before = text[at - 1 : at]
    if character in _FRACTION_SIGNS:
        return (" " if before.isdecimal() else "") + (_fold_character(character) or "")
    if character in _GROUPING_SPACES:
        # "10 000" with a space that does not break is one figure, and "_" is a sign that groups figures in code.
        return "_" if before.isdecimal() and before.isascii() and _THOUSANDS.match(text, at + 1) else " "
    if character == "ⁿ" and text[at + 1 : at + 2] == "ᵈ":
        return "n"
    if character in "·∙⋅":
        around = text[max(0, at - 2) : at].rstrip()[-1:] + text[at + 1 : at + 3].lstrip()[:1]
        if len(around) == 2 and around.isalnum():
            return "×" if around.isdigit() else " "
    if _GREEK_LETTER.match(character) and _is_greek(text[at - 1 : at], text[at + 1 : at + 2]):
        return None
    return _fold_character(character)


def _is_greek(*neighbours: str) -> bool:
    return any(_GREEK_LETTER.match(one) for one in neighbours if one)


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str | None:
    """What is read in its place, or None where English has nothing for it."""
    character = _REPLACED.get(character, character)
    if len(character) != 1 or character in KEPT or " " <= character <= "~" or character == "•":
        return character
    if (greek := _greek_letter(character)) is not None:
        return f" {greek} "
    kind = unicodedata.category(character)
    if kind in ("Zs", "Zl", "Zp", "Cc"):
        return "\n\n" if character in "\f\v\u2028\u2029" else " "
    if kind in ("Cf", "Mn", "Me", "Sk", "Lm", "Mc") and not unicodedata.normalize("NFKC", character).isalnum():
        return " " if character == "\u200b" else ""
    parts = [_plain(part) for part in unicodedata.normalize("NFKD", character)]
    return None if None in parts else "".join(part for part in parts if part)


def _plain(part: str) -> str | None:
    """What stays of a character of a decomposition: nothing of a combining mark, None where it cannot be read."""
    if " " <= part <= "~" or part in KEPT:
        return part
    return _REPLACED.get(part, "" if unicodedata.category(part) in ("Mn", "Me") else None)


def _greek_letter(character: str) -> str | None:
    """A lone Greek letter is a symbol and has an English name; a Greek word is another language."""
    if not _GREEK_LETTER.match(character):
        return None
    name = unicodedata.name(character, "")
    return name.split("LETTER ")[1].split(" WITH")[0].split()[-1].lower() if "LETTER " in name else None


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
