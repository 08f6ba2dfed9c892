"""Spells out English abbreviations, initials, dotted and capital acronyms, and Roman numerals.

Knows nothing about figures except that some abbreviations ("No. 5") need one after them.
"""

from __future__ import annotations

import re

from spear_accel.text import numbers
from spear_accel.text.rules import Rule, full_stop, sentence_ends

# Before a name; the dot never ends a sentence.
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Messrs": "Messers", "Mlle": "Mademoiselle", "Mme": "Madame",
    "Prof": "Professor", "Rev": "Reverend", "Hon": "Honorable", "Gen": "General", "Col": "Colonel",
    "Capt": "Captain", "Cpt": "Captain", "Lt": "Lieutenant", "Lieut": "Lieutenant", "Sgt": "Sergeant",
    "Cpl": "Corporal", "Maj": "Major", "Cmdr": "Commander", "Adm": "Admiral", "Sen": "Senator", "Gov": "Governor",
    "Pres": "President", "Supt": "Superintendent", "Fr": "Father", "Br": "Brother", "Mt": "Mount", "Ft": "Fort",
    "Pte": "Private", "Pvt": "Private", "Insp": "Inspector", "Det": "Detective", "Amb": "Ambassador",
}  # fmt: skip
# Anywhere; the dot may end a sentence too.
_WORDS = {
    "Jr": "Junior", "Sr": "Senior", "Esq": "Esquire", "Co": "Company", "Corp": "Corporation",
    "Inc": "Incorporated", "Ltd": "Limited", "Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard",
    "Rd": "Road", "Hwy": "Highway", "Dept": "Department", "Univ": "University", "Assn": "Association",
    "Govt": "Government", "Mfg": "Manufacturing", "Intl": "International", "MSS": "manuscripts", "etc": "et cetera",
    "vs": "versus", "viz": "namely", "approx": "approximately", "dept": "department", "govt": "government",
    "min": "minimum", "max": "maximum", "tel": "telephone", "Tel": "Telephone", "ext": "extension",
    "incl": "including", "excl": "excluding", "misc": "miscellaneous", "cf": "compare", "al": "al",
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sept": "September", "Sep": "September", "Oct": "October", "Nov": "November",
    "Dec": "December", "Tues": "Tuesday", "Thurs": "Thursday", "Thur": "Thursday",
}  # fmt: skip
# Only before a figure or a Roman numeral.
_NUMBERED = {
    "No": "Number", "Nos": "Numbers", "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "P": "Page",
    "pg": "page", "vol": "volume", "vols": "volumes", "Vol": "Volume", "ch": "chapter", "Ch": "Chapter",
    "chap": "chapter", "Chap": "Chapter", "fig": "figure", "figs": "figures", "Fig": "Figure", "Figs": "Figures",
    "sec": "section", "Sec": "Section", "eq": "equation", "Eq": "Equation", "art": "article", "Art": "Article",
    "ver": "version", "v": "version", "tab": "table", "Tab": "Table", "ca": "circa", "c": "circa", "pt": "part",
    "Pt": "Part", "ed": "edition", "lot": "lot", "ext": "extension",
}  # fmt: skip
_LATIN = {"e.g": "for example", "i.e": "that is", "a.k.a": "also known as", "n.b": "note well", "q.v": "which see"}

# Names ("Henry VIII") take an ordinal, headings and ships ("Part II", "Apollo XI") a cardinal.
_REGNAL = (
    "Albert|Alexander|Alfonso|Alphonse|Anne|Benedict|Carl|Catherine|Charles|Christian|Clement|Constantine|Edward|"
    "Elizabeth|Ferdinand|Francis|Franz|Frederick|Friedrich|Friedrich Wilhelm|George|Gregory|Gustav|Haakon|Harald|"
    "Henri|Henry|Innocent|Isabella|Ivan|James|Joao|John|John Paul|Joseph|Juan Carlos|Julius|Karl|Leo|Leopold|Louis|"
    "Mary|Maximilian|Mehmed|Murad|Napoleon|Nicholas|Olaf|Otto|Paul|Pedro|Peter|Philip|Philippe|Pius|Ptolemy|Rama|"
    "Ramesses|Ramses|Richard|Robert|Rudolf|Sigismund|Selim|Theodore|Thutmose|Umberto|Urban|Victor|Wilhelm|William"
)
_HEADINGS = (
    "Chapter|Part|Book|Volume|Act|Scene|Section|Article|Title|Class|Type|Phase|Stage|Level|Figure|Table|Appendix|"
    "Canto|Psalm|Lesson|Unit|Episode|Season|Round|Grade|Number|Version|Mark|War|Bowl|Symphony|Opus|Category"
)
# Capital acronyms that are said as words.
_SAID_AS_WORDS = frozenset(
    "NASA NATO UNESCO UNICEF OPEC AIDS RAM ROM LASER RADAR SONAR SCUBA NAFTA FIFA ASEAN COVID SARS PIN GIF JPEG SIM "
    "LAN WAN BASIC SWAT DARPA OSHA FEMA YOLO INTERPOL MERS NASDAQ NIMBY PET SAT TED UNIX ZIP IKEA LEGO SAAB FIAT "
    "OPEC CAPTCHA DOS GUI".split()
)
# Everyday words that people put in capitals for force; anything else so short is taken for an acronym.
_FORCEFUL = frozenset(
    "A ABOUT AFTER AGAIN ALL ALSO AM AN AND ANY ARE AS ASK AT AWAY BACK BAD BE BEEN BEST BIG BOOK BOTH BOY BUT BY "
    "CALL CAME CAN CLICK COLD COME COULD DAY DEAR DID DO DOES DON DONE DOOR DOWN EACH END EVEN EVER EVERY FACT "
    "FAR FEW FIND FIRE FIRST FIVE FOR FOUR FREE FROM FULL GET GIRL GIVE GO GOD GOES GOING GONE GOOD GOT GREAT HAD "
    "HALF HAND HAS HAVE HE HELLO HELP HER HERE HEY HI HIGH HIM HIS HOLD HOME HOPE HOT HOUSE HOW HUGE IF IN INTO "
    "IS ITS JOIN JUST KEEP KING KNOW LAST LATE LEFT LESS LET LIFE LIKE LINE LIST LIVE LONG LOOK LOOSE LORD LOSE "
    "LOST LOT LOVE MADE MAKE MAN MANY MAY ME MEAN MEN MORE MOST MUCH MUST MY NAME NEAR NEED NEVER NEW NEXT NICE "
    "NIGHT NINE NO NONE NOR NOT NOTE NOW OF OFF OH OLD ON ONCE ONE ONLY OPEN OR OTHER OUR OUT OVER OWN PAGE PART "
    "PLAY PLUS PUT QUITE READ REAL RIGHT RUN SAID SALE SAME SAVE SAW SAY SEE SEND SHALL SHE SHOP SHOUT SIGN SIX "
    "SO SOME SOON STAND START STAY STILL STOP SUCH SURE TAKE TALK TELL TEN THAN THANK THAT THE THEIR THEM THEN "
    "THERE THESE THEY THING THINK THIS THOSE THREE TIME TO TODAY TOLD TOO TOP TRUE TRY TURN TWO UNDER UP UPON USE "
    "VERY WAIT WANT WAR WAS WATCH WATER WAY WE WELL WENT WERE WHAT WHEN WHERE WHICH WHILE WHO WHY WILL WITH WORD "
    "WORK WORLD WORST WOULD WOW WRONG YEAR YES YET YOU YOUR ZERO".split()
)
_LONGEST_ACRONYM = 5
# A lone "I" after a name is a pronoun ("Peter I know") unless what follows speaks against it.
_REIGN = r"[IVX]{2,}|[VX]|I(?=[,;:.]|'s\b|\s(?:of|was|had|and|in|who)\b)"
_CAPITALISED_BEFORE = re.compile(r"[A-Z][a-z]+\s\Z")


def _letters(text: str) -> str:
    return " ".join(character for character in text.upper() if character.isalpha())


def _title(match: re.Match[str]) -> str:
    return f"{_TITLES[match['word']]} "


def _word(match: re.Match[str]) -> str:
    return _WORDS[match["word"]] + full_stop(match)


def _saint_or_street(match: re.Match[str]) -> str:
    before_name = match.string[match.end() : match.end() + 1].isupper() and not sentence_ends(match.string, match.end())
    return "Saint " if before_name else "Street" + full_stop(match)


def _doctor_or_drive(match: re.Match[str]) -> str:
    before_name = match.string[match.end() : match.end() + 1].isupper() and not sentence_ends(match.string, match.end())
    after_name = _CAPITALISED_BEFORE.search(match.string[max(0, match.start() - 30) : match.start()])
    return "Drive" + full_stop(match) if after_name and not before_name else "Doctor "


def _latin(match: re.Match[str]) -> str:
    return _LATIN[match["word"].lower()]


def _acronym(match: re.Match[str]) -> str:
    return _letters(match["letters"]) + full_stop(match)


def _joined_letters(match: re.Match[str]) -> str:
    return f"{_letters(match['letters'])} and {_letters(match['more'])}"


def _initial(match: re.Match[str]) -> str:
    if sentence_ends(match.string, match.end()):
        return match.group()
    return match["letter"] + ("" if match.string[match.end()].isspace() else " ")


def _regnal(match: re.Match[str]) -> str:
    value = numbers.roman(match["roman"])
    return match.group() if value is None else f"{match['name']} the {numbers.ordinal(str(value))}"


def _heading(match: re.Match[str]) -> str:
    # "Part I begins" but "the part I like".
    if match["roman"] == "I" and match["name"][0].islower():
        return match.group()
    value = numbers.roman(match["roman"].upper())
    return match.group() if value is None else f"{match['name']} {numbers.cardinal(str(value))}"


def _roman_ordinal(match: re.Match[str]) -> str:
    value = numbers.roman(match["roman"])
    return match.group() if value is None else numbers.ordinal(str(value))


def _roman(match: re.Match[str]) -> str:
    value = numbers.roman(match.group())
    if value is None:
        return match.group()
    return numbers.year(str(value)) if value >= 1000 else numbers.cardinal(str(value))


def _shouted(match: re.Match[str]) -> str:
    return match.group().lower()


def _capitals(match: re.Match[str]) -> str:
    word, ending = match["word"], match["ending"] or ""
    if word in _FORCEFUL:
        return word.lower() + ending
    pronounceable = bool(re.search("[AEIOUY]", word))
    if word in _SAID_AS_WORDS or (len(word) > _LONGEST_ACRONYM and pronounceable):
        return word.capitalize() + ending
    return _letters(word) + ("'s" if ending else "")


def _table(words: dict[str, str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


RULES: tuple[Rule, ...] = (
    (re.compile(rf"(?<![\w.])(?P<word>{_table(_LATIN)})\.?(?=[\s,:;)]|\Z)", re.IGNORECASE), _latin),
    (re.compile(rf"\b(?P<word>{_table(_TITLES)})\.\s*(?=[A-Z]|and\b|&)"), _title),
    (re.compile(r"\b(?P<word>Mrs?|Ms|Messrs)\b\.?\s?"), _title),
    (re.compile(r"\bDr\b(?:\.?\s(?=[A-Z])|\.?)"), _doctor_or_drive),
    (re.compile(r"\bSt\b(?:\.?\s(?=[A-Z])|\.?)"), _saint_or_street),
    (
        re.compile(rf"(?<![\w.])(?P<word>{_table(_NUMBERED)})\.\s?(?=\d|[IVXLC]{{2,}}\b|[VX]\b)"),
        lambda match: _NUMBERED[match["word"]] + " ",
    ),
    (re.compile(r"\bPh\.?\s?D\b\.?"), lambda match: "P H D" + full_stop(match)),
    (re.compile(r"(?<![\w.])(?P<letters>LL\.(?:[A-Z]\.)+|[A-Za-z]\.(?:[A-Za-z]\.){1,20}(?:[A-Za-z]\b)?)"), _acronym),
    (re.compile(rf"(?<![\w.])(?P<word>{_table(_WORDS)})\."), _word),
    (re.compile(r"(?<![\w.'])(?<!\b[A-Z] )(?P<letter>[A-HJ-Z]|I(?=\.\s?[A-Z]\.))\.(?=\s?[A-Z])"), _initial),
    (re.compile(r"\b(?P<letters>[A-Z]{1,3})&(?P<more>[A-Z]{1,3})\b"), _joined_letters),
    (re.compile(r"\bw/o\b"), lambda match: "without"),
    (re.compile(r"(?<!\w)w/(?=\s|\w)"), lambda match: "with "),
    (re.compile(r"\band/or\b"), lambda match: "and or"),
    (re.compile(r"\b(?P<roman>[IVXLC]+)(?:st|nd|rd|th)\b"), _roman_ordinal),
    (re.compile(rf"\b(?P<name>(?i:{_HEADINGS})s?)\.?\s(?P<roman>[IVX]|[IVXLC]{{2,}}|[ivx]{{2,}})\b(?!')"), _heading),
    (re.compile(rf"\b(?P<name>{_REGNAL})\s(?P<roman>{_REIGN})\b"), _regnal),
    (re.compile(r"\b(?:[IVX]{2,}|M[MDCLXVI]{3,})\b(?!')"), _roman),
)

# After figures have become words, so that "MP3" is split by then.
CAPITAL_RULES: tuple[Rule, ...] = (
    (re.compile(r"\b[A-Z][A-Z']{1,30}(?: (?:[AI]|[A-Z][A-Z']{1,30})){2,}\b(?![a-z])"), _shouted),
    (re.compile(r"\b(?P<word>[A-Z]{2,})(?P<ending>s)?\b"), _capitals),
)
