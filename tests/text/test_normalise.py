"""Written English to what is read aloud: a table of cases, and properties that hold for any text."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spear_accel.text import normalise

OUTPUT_ALPHABET = frozenset(string.ascii_letters + " ',.?!;:-")

CASES = {
    "cardinals": [
        ("I have 7 cats.", "I have seven cats."),
        ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
        ("0 and 10", "zero and ten"),
        ("007", "zero zero seven"),
        ("1234 votes", "one thousand two hundred thirty-four votes"),
        ("1,2,3", "one, two, three"),
        ("12345678901", "one two three four five six seven eight nine zero one"),
    ],
    "decimals and negatives": [
        ("3.14", "three point one four"),
        (".5", "point five"),
        ("-5", "minus five"),
        ("It was -3.5 then.", "It was minus three point five then."),
        ("1,024.5", "one thousand twenty-four point five"),
        ("twenty-one", "twenty-one"),
    ],
    "versions and addresses of machines": [
        ("version 2.9.1", "version two point nine point one"),
        ("192.168.0.1", "one nine two dot one six eight dot zero dot one"),
    ],
    "ordinals and Roman numerals": [
        ("the 1st, 2nd, 3rd and 21st", "the first, second, third and twenty-first"),
        ("1,000th", "one thousandth"),
        ("the XIVth", "the fourteenth"),
        ("Chapter IV", "Chapter four"),
        ("World War II", "World War two"),
        ("Henry VIII", "Henry the eighth"),
        ("Louis XIV's reign", "Louis the fourteenth's reign"),
        ("Elizabeth I, queen", "Elizabeth the first, queen"),
        ("Peter I know", "Peter I know"),
        ("the part I like", "the part I like"),
        ("Part I", "Part one"),
        ("MCMLXXXIV", "nineteen eighty-four"),
        ("Apollo XI", "Apollo eleven"),
    ],
    "years and decades": [
        ("in 1984", "in nineteen eighty-four"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2000", "two thousand"),
        ("2005", "two thousand five"),
        ("2010", "twenty ten"),
        ("in 1066", "in ten sixty-six"),
        ("the 1900s", "the nineteen hundreds"),
        ("the 1980s and the '90s", "the nineteen eighties and the nineties"),
        ("476 AD", "four seventy-six A D"),
        ("1914-1918", "nineteen fourteen to nineteen eighteen"),
        ("1914–18", "nineteen fourteen to eighteen"),
    ],
    "dates": [
        ("May 17, 2024", "May seventeenth, twenty twenty-four"),
        ("17 May 2024", "the seventeenth of May, twenty twenty-four"),
        ("on the 5th of May", "on the fifth of May"),
        ("2024-05-17", "May seventeenth, twenty twenty-four"),
        ("05/17/2024", "May seventeenth, twenty twenty-four"),
        ("17/05/2024", "May seventeenth, twenty twenty-four"),
        ("3.4.2021", "April third, twenty twenty-one"),
        ("Jan. 5", "January fifth"),
        ("Dec 2024", "December twenty twenty-four"),
        ("May 5-7", "May fifth to seventh"),
    ],
    "times": [
        ("3:45 pm", "three forty-five P M"),
        ("3pm", "three P M"),
        ("at 3:00", "at three o'clock"),
        ("15:30", "fifteen thirty"),
        ("3:05 a.m.", "three oh five A M."),
        ("10:15:30", "ten fifteen and thirty seconds"),
        ("He left at 5 p.m. on Monday.", "He left at five P M on Monday."),
        ("He left at 5 p.m. The door closed.", "He left at five P M. The door closed."),
        ("ten:forty-five", "ten forty-five"),
        ("16:9", "sixteen to nine"),
    ],
    "money": [
        ("$3.50", "three dollars and fifty cents"),
        ("$1", "one dollar"),
        ("$1.01", "one dollar and one cent"),
        ("$0.99", "ninety-nine cents"),
        ("£5m", "five million pounds"),
        ("€10 and 5€", "ten euros and five euros"),
        ("US$5.2 billion", "five point two billion U S dollars"),
        ("-$5", "minus five dollars"),
        ("$5-10", "five to ten dollars"),
        ("$100,000", "one hundred thousand dollars"),
        ("20 USD", "twenty dollars"),
        ("¥500", "five hundred yen"),
        ("50¢", "fifty cents"),
    ],
    "fractions, percent, ranges, sums": [
        ("1/2 and 3/4", "one half and three quarters"),
        ("2 1/2", "two and a half"),
        ("3½", "three and a half"),
        ("5/8", "five eighths"),
        ("24/7", "twenty-four seven"),
        ("50%", "fifty percent"),
        ("5-10%", "five to ten percent"),
        ("pages 10-20", "pages ten to twenty"),
        ("2+2=4", "two plus two equals four"),
        ("5 - 3 = 2", "five minus three equals two"),
        ("3x4", "three by four"),
        ("10^6", "ten to the power of six"),
    ],
    "telephone numbers": [
        ("555-123-4567", "five five five, one two three, four five six seven"),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("555-1234", "five five five, one two three four"),
    ],
    "measures": [
        ("5 km", "five kilometers"),
        ("1 km", "one kilometer"),
        ("a 5-km run", "a five-kilometer run"),
        ("20°C", "twenty degrees Celsius"),
        ("-5 °C", "minus five degrees Celsius"),
        ("60 mph", "sixty miles per hour"),
        ("16 GB", "sixteen gigabytes"),
        ("2.4GHz", "two point four gigahertz"),
        ("6'2\"", "six foot two"),
        ("5 ft 3 in", "five feet three inches"),
        ("10 m²", "ten square meters"),
        ("100 km/h", "one hundred kilometers per hour"),
        ("5-10 kg", "five to ten kilograms"),
        ("5 µm", "five micrometers"),
    ],
    "abbreviations": [
        ("Mr. and Mrs. Smith", "Mister and Missus Smith"),
        ("Dr. Jones", "Doctor Jones"),
        ("on Elm Dr. today", "on Elm Drive today"),
        ("St. Paul's on Main St.", "Saint Paul's on Main Street."),
        ("cats, dogs, etc.", "cats, dogs, et cetera."),
        ("fruit, e.g. apples", "fruit, for example apples"),
        ("the boss, i.e. me", "the boss, that is me"),
        ("No. 5", "Number five"),
        ("No. I said no.", "No. I said no."),
        ("Oh no.", "Oh no."),
        ("pp. 5-7", "pages five to seven"),
        ("cats vs. dogs", "cats versus dogs"),
        ("Smith & Co.", "Smith and Company."),
        ("J. R. Smith", "J R Smith"),
        ("Martin Luther King, Jr., spoke", "Martin Luther King, Junior, spoke"),
        ("w/o sugar", "without sugar"),
        ("and/or", "and or"),
    ],
    "acronyms": [
        ("the U.S.A.", "the U S A."),
        ("the U.S. Secret Service", "the U S Secret Service"),
        ("in the U.S. The rest", "in the U S. The rest"),
        ("the FBI's PCs", "the F B I's P C's"),
        ("NASA", "Nasa"),
        ("AT&T and R&D", "A T and T and R and D"),
        ("a Ph.D.", "a P H D."),
        ("STOP it", "stop it"),
        ("DO NOT ENTER THIS ROOM", "do not enter this room"),
        ("MP3", "M P three"),
        ("COVID-19", "Covid-nineteen"),
        ("an x86", "an x eighty-six"),
    ],
    "addresses": [
        ("info@example.com", "info at example dot com"),
        ("https://www.example.com/a-b.", "w w w dot example dot com slash a dash b."),
        ("See example.com, please", "See example dot com, please"),
        ("setup.py", "setup dot py"),
        ("#5 and #fun", "number five and hashtag fun"),
        ("@bob", "at bob"),
    ],
    "signs": [
        ("salt & pepper", "salt and pepper"),
        ("C++ and C#", "C plus plus and C sharp"),
        ("~cost", "about cost"),
        ("<b>bold</b>", "bold"),
        ("either/or", "either slash or"),
    ],
    "punctuation": [
        ("“Curly” and ‘single’", "Curly and single"),
        ("don’t", "don't"),
        ("'tis the debtors' side, goin' on", "'tis the debtors side, goin' on"),
        ("He (the man) left", "He, the man, left"),
        ("one -- two — three", "one - two - three"),
        ("Well... maybe", "Well, maybe"),
        ("Well... Maybe", "Well. Maybe"),
        ("What?! No!!!", "What? No!"),
        ("etc., and", "et cetera, and"),
        ("end.Next", "end. Next"),
        (' - "Hello," - ', "Hello,"),
    ],
    "other characters": [
        ("ﬁne café, naïve Łódź", "fine cafe, naive Lodz"),
        ("Ｆｕｌｌ １２", "Full twelve"),
        ("α-particle", "alpha particle"),
        ("a\u200bcu\u00adp", "a cup"),
        ("one\n two\tthree", "one two three"),
    ],
}


@pytest.mark.parametrize(
    ("written", "spoken"), [case for group in CASES.values() for case in group], ids=lambda value: value[:30]
)
def test_reads(written: str, spoken: str) -> None:
    result = normalise(written)
    assert result.text == spoken
    assert result.warnings == ()


@pytest.mark.parametrize("text", ["", "   ", "...", "!?", "&&& ### @@@", "\n\n", "—", '"'])
def test_nothing_to_read_gives_an_empty_text(text: str) -> None:
    assert normalise(text).text == ""


@pytest.mark.parametrize(
    ("text", "spoken", "named"),
    [
        ("Hi 😀!", "Hi!", "grinning face"),
        ("привет friend", "friend", "cyrillic"),
        ("日本", "", "2 characters"),
        ("Ελλάδα x", "x", "greek"),
    ],
)
def test_what_english_cannot_read_is_left_out_and_named(text: str, spoken: str, named: str) -> None:
    result = normalise(text)
    assert result.text == spoken
    assert len(result.warnings) == 1 and named in result.warnings[0]


FRAGMENTS = (
    "Mr. St. Dr. p.m. U.S. FBI 5 12 3.5 1/2 $ £ % km in - – — ' \" ( ) . , ; : ? ! & + = @ # / a I II X VIII Chapter "
    "Henry The he of 1984 '80s 5th May 17 2024 3:45 pm No. e.g etc. http:// www. .com x * ^ < > ° é 😀 ½ ² Ω α µ ... "
    "-- _ ~ 007 T A. B. WORD STOP o' goin' 'tis 's"
).split()
ANY_TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(FRAGMENTS), max_size=9).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=9).map(" ".join),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_TEXT)
def test_any_text_gives_the_closed_alphabet_and_is_stable(text: str) -> None:
    spoken = normalise(text).text
    assert set(spoken) <= OUTPUT_ALPHABET
    assert spoken == spoken.strip() and "  " not in spoken
    assert normalise(spoken).text == spoken


UNITS = (
    "a", "1", "1,", "a.", "A'", "a@", "1/", "1:", "1-", "(", "'", "http://", "A.", "😀", "AB ", "A ", "<a ", "<!--",
    "*a", "_a ", "[a](", "![", "&amp;", "\n- ", "a\n", '1"', "$1", "-1", "May 1 ", "V. ", "<script>", "St. ", "`",
    "|a", "1h",
)  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_hostile_text_of_6_000_characters_is_read_in_bounded_space(unit: str) -> None:
    text = (unit * 6_000)[:6_000]
    assert len(normalise(text).text) <= 12 * len(text)
