"""Signs that carry words: comparisons, sums, "&", "#", "~5", "50+", arrows, emoticons; and code operators."""

from __future__ import annotations

import re

from spear_accel.text.english import tables
from spear_accel.text.english.measures import unit_name
from spear_accel.text.english.numbers import Speller
from spear_accel.text.english.tokens import Match, rule

__all__ = ["RULES"]

_WORDS = tables.pairs("symbols")
_COMPARED = {
    "<=": "at most", ">=": "at least", "≤": "at most", "≥": "at least", "<": "less than", ">": "greater than",
    "≪": "much less than", "≫": "much greater than", "=<": "at most",
}  # fmt: skip
_OPERATORS = {
    "==": "equals", "===": "equals", "!=": "is not equal to", "!==": "is not equal to", "&&": "and", "||": "or",
    "+=": "plus equals", "-=": "minus equals", "++": "plus plus", "=>": ",", "->": ",", "-->": ",", "<-": ",",
    "<->": ",", ":=": "equals", "**": "to the power of", "::": ",", "=~": "matches",
}  # fmt: skip
_LEFT_SIDE = re.compile(r"[\w)\]%°²³'\"]\Z")
_RAISED = {"²": "squared", "³": "cubed"}
_RAISED_FIGURES = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def _sign(match: Match, spell: Speller) -> str:
    return f" {_WORDS[match.group()]} "


def _compared(match: Match, spell: Speller) -> str:
    """ "a < b" and "p<0.05" state something; "only <5%" means "less than five percent"."""
    words = _COMPARED[match["sign"]]
    return f" is {words} " if _states(match) else f" {words} "


def _states(match: Match) -> bool:
    text, start, end = match.string, match.start(), match.end()
    spaced_before, spaced_after = text[start - 1 : start] == " ", text[end : end + 1] == " " or match["gap"] != ""
    left = text[max(0, start - 2) : start].rstrip()
    return bool(_LEFT_SIDE.search(left)) and (spaced_after or not spaced_before)


def _is_compared(match: Match) -> bool:
    """Followed by what can be compared; a lone bracket of mark-up is none."""
    text, end = match.string, match.end()
    if re.match(r"[-−+.$£€]?\d|[$£€]", text[end : end + 2]):
        return True
    return bool(re.match(r"[\w(]", text[end : end + 1])) and _states(match)


def _raised(match: Match, spell: Speller) -> str:
    """A raised figure after a letter is a power; after a longer word or a mark it counts a note and is left out."""
    figures = match.group()
    before = match.string[max(0, match.start() - 3) : match.start()]
    if re.fullmatch(r"(?:.*[^A-Za-z])?(?:[A-Za-z]{1,2}|[)\]])", before, re.S) and not (
        before[-1:] == ")" and len(figures) == 1 and figures == "¹"
    ):
        if figures in _RAISED:
            return f" {_RAISED[figures]} "
        value = figures.translate(_RAISED_FIGURES)
        minus = "minus " if value[0] == "-" else ""
        if value.strip("+-"):
            return f" to the power of {minus}{spell.cardinal(value.strip('+-'))} "
        return " minus " if value[0] == "-" else " plus "
    if (
        figures in _RAISED
        and before[-1:].isalpha()
        and re.search(r"\b(?:km|cm|mm|ft|in|mi|yd|dm|sec)\Z", match.string[max(0, match.start() - 4) : match.start()])
    ):
        return f" {_RAISED[figures]} "
    return " "


def _code_sign(match: Match, spell: Speller) -> str:
    return f" {_OPERATORS[match.group()]} "


def _caret(match: Match, spell: Speller) -> str:
    exponent = match["exponent"]
    minus = "minus " if exponent.startswith(("-", "−")) else ""
    figures = exponent.strip("{}()-−+")
    if figures in ("2", "3") and not minus:
        return f" {'squared' if figures == '2' else 'cubed'} "
    return f" to the power of {minus}{spell.cardinal(figures) if figures.isdecimal() else figures} "


def _count(match: Match, spell: Speller) -> str:
    return f" section{'s' if len(match.group().strip()) > 1 else ''} "


_EMOTICON = (
    r"(?:[:;=8xX]['`]?-?[)(DPpOo3|/\\\]\[*]+|[)(]-?[:;=]|<3+|</3|:-?[/\\|]|\^_+\^|-_+-|>_<|[oO]_[oO]|[Tt]_[Tt]|xD|XD|:'\(|"
    r"¯\\_\(.{0,3}\)_/¯|\\o/)"
)
_OPERAND = r"[\w)\]]"

RULES = (
    rule(
        "emoticon",
        ":;=8xX<^->oOTt\\()",
        rf"(?<![^\s(\"'.,!?]){_EMOTICON}(?=[\s.,!?)\"']|\Z)",
        " ",
        lambda match: not re.fullmatch(r"[8xX=][)(/\\|*\[\]oO3]|\(-?[:;=]|[)(][=]|=[/\\|3oO]", match.group()),
    ),
    rule(
        "operator",
        "=!&|+-:*/<",
        r"===?|!==?|&&|\|\||\+=|(?<=\s)-=(?=\s)|=>|(?<=\w)\+\+|-{1,2}>|<->|:=|(?<=\w)::(?=\w)|(?<=\w)\*\*(?=\w)|"
        r"(?<=\s)<-(?=\s)|=~",
        _code_sign,
    ),
    rule("comparison", "<>≤≥=", r"(?P<sign><=|>=|=<|≤|≥|<|>)(?P<gap>\s?)", _compared, _is_compared),
    rule("raised figure", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", _raised),
    rule(
        "power", "^", rf"(?<={_OPERAND})\s?\^\s?(?P<exponent>[-−]?\d{{1,4}}|\{{[-−]?\w{{1,6}}\}}|[-−]?[a-z]\b)", _caret
    ),
    rule(
        "about",
        "≈",
        r"≈",
        " is about ",
        lambda match: bool(re.search(r"\w\s?\Z", match.string[max(0, match.start() - 2) : match.start()])),
    ),
    rule("about", "~≈", r"[~≈]\s?(?=[\d$£€.])|~(?=[A-Za-z])", " about "),
    rule(
        "emoji",
        ":",
        r"(?<!\w):(?P<name>[a-z]{3,20}(?:_[a-z]{1,20}){0,4}):(?!\w)",
        lambda match, spell: match["name"].replace("_", " "),
    ),
    rule(
        "plus",
        "+",
        r"\+(?=\s|[.,;!?)]|\Z)",
        " plus ",
        lambda match: match.string[match.start() - 1 : match.start()].isalnum(),
    ),
    rule("plus", "+", r"(?<!\+)\+(?!\+)", " plus "),
    rule("minus", "-–−", r"(?<=[\w)]) [-–−] (?=[\d(][\d.,()+*/x× -]{0,20} ?=)", " minus "),
    rule(
        "minus",
        " ",
        r" [-–−] (?=[\d(a-z]{1,20} ?=)",
        " minus ",
        lambda match: bool(re.search(r"[\d)]\Z|\b[a-z]\Z", match.string[max(0, match.start() - 2) : match.start()])),
    ),
    rule("range", "-–", r"(?<=\d\))[-–](?=\(\d)", " to "),
    rule("minus", "−", r"−\s?", " minus "),
    rule("times", "*×x", r"(?<=[\d)])\s?[*×]\s?(?=[\w(])|(?<=\w )\*(?= \w)", " times "),
    rule(
        "times", " ", r" x (?=\d)", " times ", lambda match: match.string[match.start() - 1 : match.start()].isdecimal()
    ),
    rule("divided by", " /÷", r"(?<=\d)(?: / |\s?÷\s?)(?=\d)", " divided by "),
    rule("at", "@", r"(?<=\w)@(?=\w)|(?<=\s)@(?=\s)|@(?=[\s$£€]?\d)", " at "),
    rule("section", "§", r"§+\s?", _count),
    rule("number", "#", r"#(?=\s?\d)", " number "),
    rule(
        "rate",
        "/",
        r"(?<=[a-z])/(?P<per>day|week|wk|month|mo|year|yr|hour|hr|minute|min|second|sec|night|person|capita)\b\.?",
        lambda match, spell: f" per {unit_name(match['per'], one=True) or match['per']} ",
        lambda match: bool(re.search(r"\d[\d,.]*\s[a-z]+\Z", match.string[max(0, match.start() - 30) : match.start()])),
    ),
    rule("rate", "/", r"(?<=[A-Za-z])/(?=\d+\s?(?:km|mi|m[lL]|g)\b)", " per "),
    rule("acronym", "/", r"(?<=[A-Z]{2})/(?=[A-Z]{2,6}(?![A-Za-z]))", " "),
    rule("slash", "/", r"(?<=[A-Za-z0-9])/(?=[A-Za-z0-9])", " slash "),
    rule("percent", "%", r"(?<!%)%(?!%)", " percent "),
    rule(
        "and",
        "&",
        r"(?<![&])&(?:c\b\.?)?(?![&])",
        lambda match, spell: " et cetera " if "c" in match.group() else " and ",
    ),
    rule("equals", "=", r"(?<![=<>!])=(?![=>])", " equals "),
    rule(
        "sign",
        "".join(sign for sign in _WORDS if sign not in "&+=%"),
        "|".join(re.escape(sign) for sign in _WORDS if sign not in "&+=%$£€¥₹¢"),
        _sign,
    ),
    rule("money", "$£€¥₹¢", r"[$£€¥₹¢](?=\s|\Z|[.,;!?)])", _sign, lambda match: False),
    rule("plural", "([{", r"(?<=[a-zA-Z])[(\[{]e?s[)\]}]", lambda match, spell: match.group().strip("()[]{}")),
)
