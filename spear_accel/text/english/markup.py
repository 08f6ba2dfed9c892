"""HTML and Markdown inside a text -> the text they mark up, with line ends where they end a line or a block.

A Markdown parser gives no positions inside a line, and an HTML parser none of what it decodes, so both are read here
by patterns that keep them. What looks like mark-up and is none ("2 * 3", "a < b") stays.
"""

from __future__ import annotations

import html
import re

from spear_accel.text.english.source import Edit, Source

__all__ = ["read_html", "read_markdown"]

_BLOCK = frozenset(
    "address article aside blockquote body caption center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 "
    "h4 h5 h6 head header hr html legend li main nav ol option p pre section select table tbody tfoot thead title "
    "tr ul".split()
)
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big button cite code del dfn em font i img input ins kbd label link mark meta q s samp "
    "small span strike strong sub sup svg time tt u var video audio source picture wbr br td th object iframe".split()
)
_TAG = re.compile(r"</?(?P<name>[A-Za-z][A-Za-z0-9]{0,14})(?P<rest>(?:\s(?:\"[^\"]*\"|'[^']*'|[^'\"<>])*)?)/?>")
_DECLARATION = re.compile(r"<[!?][A-Za-z][^<>]{0,400}>")
_CLOSING = re.compile(r"</([A-Za-z][A-Za-z0-9]{0,14})>")
_ALT = re.compile(r"\balt\s?=\s?(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_RAISED = re.compile(r"<sup>\s?(?P<inner>[-+]?\d{1,4})\s?</sup>", re.IGNORECASE)
_LOWERED = re.compile(r"<sub>(?P<inner>[^<>]{0,40})</sub>", re.IGNORECASE)
_SUPERSCRIPT = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_HIDDEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))
_HIDDEN_START = re.compile("<!--|<script|<style", re.IGNORECASE)


def read_html(source: Source) -> Source:
    """Without tags, comments, scripts and styles; entities decoded, alternative texts of images in their place."""
    if "<" in source.text:
        source = _without_hidden(source)
        source = source.sub(_DECLARATION, " ")
        source = source.sub(_RAISED, lambda match: match["inner"].translate(_SUPERSCRIPT))
        source = source.unwrap(_LOWERED)
        closed = frozenset(match[1].lower() for match in _CLOSING.finditer(source.text))
        source = source.edited([edit for match in _TAG.finditer(source.text) if (edit := _tag(match, closed))])
    if "&" in source.text:
        source = source.sub(_ENTITY, lambda match: html.unescape(match.group()))
        # What two programs have escaped one after the other.
        if "&" in source.text:
            source = source.sub(_ENTITY, lambda match: html.unescape(match.group()))
    return source


def _without_hidden(source: Source) -> Source:
    text, edits, done, missing = source.text, list[Edit](), 0, set[str]()
    lowered = text.lower()
    for match in _HIDDEN_START.finditer(text):
        opening = match.group().lower()
        if match.start() < done or opening in missing:
            continue
        closing = dict(_HIDDEN)[opening]
        stop = lowered.find(closing, match.end())
        if stop < 0:
            missing.add(opening)
            continue
        done = stop + len(closing)
        edits.append((match.start(), done, " "))
    return source.edited(edits)


def _tag(match: re.Match[str], closed: frozenset[str]) -> Edit | None:
    name = match["name"].lower()
    if name in _BLOCK:
        return (*match.span(), "\n\n")
    if name not in _INLINE and name not in closed:
        return None
    if name == "img":
        alt = _ALT.search(match["rest"])
        return (*match.span(), f" {html.unescape(alt[1] or alt[2] or '')} " if alt else " ")
    return (*match.span(), {"br": "\n", "td": ", ", "th": ", ", "q": '"'}.get(name, ""))


_MARKDOWN = re.compile(r"[*_`\[\]#~|\\>]|^[-=+]|\n", re.MULTILINE)
_FENCE = re.compile(r"^[ ]{0,3}(?:```|~~~)[^\n`]{0,60}$", re.MULTILINE)
_RULE = re.compile(r"^[ ]{0,3}(?:[-*_=][ ]?){3,}$", re.MULTILINE)
_HEADING = re.compile(r"^[ ]{0,3}#{1,6}[ ]+(?P<inner>[^\n]+?)[ ]*#*[ ]*$", re.MULTILINE)
_QUOTE = re.compile(r"^[ ]{0,3}(?:>[ ]?)+(?=[^\d\s=$£€.+-])", re.MULTILINE)
_TASK = re.compile(r"^(?P<bullet>[ ]*[-*+][ ]+)\[[ xX]\][ ]", re.MULTILINE)
_REFERENCE = re.compile(r"^[ ]{0,3}\[(?!\^)[^\]\n]{1,80}\]:[ ]+\S[^\n]*$", re.MULTILINE)
_NOTE = re.compile(r"\[\^[^\]\n]{1,40}\]:?")
_IMAGE = re.compile(
    r"!\[(?P<inner>[^\[\]\n]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s\"[^\"\n]*\")?\)|\[[^\]\n]{0,80}\])"
)
_LINK = re.compile(
    r"\[(?P<inner>[^\[\]\n]+)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s\"[^\"\n]*\")?\)|\[[^\]\n]{0,80}\])"
)
_AUTOLINK = re.compile(r"<(?P<inner>(?:https?://|mailto:)?[^\s<>@]{1,200}[@.:/][^\s<>]{1,500})>")
_CODE = re.compile(r"(?<!`)(?P<ticks>`{1,3})(?P<inner>[^`\n]+)(?P=ticks)(?!`)")
_STRUCK = re.compile(r"~~(?=\S)(?P<inner>[^~\n]+)(?<=\S)~~")
_STARRED = re.compile(r"(?<![\w*\\])(?P<stars>\*{1,3})(?=[^\s*])(?P<inner>[^*\n]+)(?<=[^\s\\])(?P=stars)(?![\w*]*\d)")
_INSIDE = re.compile(r"(?<=[A-Za-z])(?P<stars>\*{2,3})(?=[A-Za-z])(?P<inner>[A-Za-z]+)(?P=stars)")
_LINED = re.compile(r"(?<![\w\\])(?P<lines>_{1,3})(?=[^\s_])(?P<inner>[^_\n]+)(?<=[^\s\\])(?P=lines)(?!\w)")
_ESCAPE = re.compile(r"(?<![\w:\\])\\(?=[*_`#\[\](){}~>.!+|-])|(?<=\s)\\(?=\n)")
_TABLE_RULE = re.compile(r"^[ ]*\|?(?=[^\n]*\|)(?=[^\n]*-)[ :|-]+\|?[ ]*$", re.MULTILINE)
_TABLE_ROW = re.compile(r"^[ ]*\|(?P<inner>[^\n]*)\|[ ]*$", re.MULTILINE)


def read_markdown(source: Source) -> Source:
    """Without the signs of headings, emphasis, code, links, images, quotations, tables and rules.

    Numbers and signs of list items stay; `layout` reads them.
    """
    if not _MARKDOWN.search(source.text):
        return source
    for pattern in (_FENCE, _TABLE_RULE, _RULE, _REFERENCE):
        source = source.sub(pattern, "\n")
    source = source.edited([edit for match in _HEADING.finditer(source.text) for edit in _heading(match)])
    source = source.edited([edit for match in _TABLE_ROW.finditer(source.text) for edit in _row(match)])
    source = source.sub(_QUOTE, "").sub(_TASK, lambda match: match["bullet"]).sub(_NOTE, "")
    for pattern in (_CODE, _IMAGE, _LINK, _AUTOLINK, _STRUCK, _STARRED, _LINED, _STARRED, _LINED, _INSIDE):
        source = source.unwrap(pattern)
    return source.sub(_ESCAPE, "")


def _heading(match: re.Match[str]) -> list[Edit]:
    return [(match.start(), match.start("inner"), "\n"), (match.end("inner"), match.end(), "\n\n")]


def _row(match: re.Match[str]) -> list[Edit]:
    """Cells with commas between them, one row a sentence."""
    start = match.start("inner")
    bars = [(start + bar.start(), start + bar.end(), ", ") for bar in re.finditer(r"\s*\|\s*", match["inner"])]
    return [(match.start(), start, "\n\n"), *bars, (match.end("inner"), match.end(), "\n\n")]
