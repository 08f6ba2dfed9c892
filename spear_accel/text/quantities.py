"""Reads money, percentages and measured quantities ("5 km", "-3.5 °C", "6'2\\""). Leaves bare numbers alone."""

from __future__ import annotations

import re

from spear_accel.text import numbers
from spear_accel.text.rules import NUMBER, SIGN, START, Rule

# (one, many, hundredth, hundredths)
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_CODES = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥", "INR": "₹"}
_SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "mm": "million", "bn": "billion", "b": "billion",
    "t": "trillion", "tn": "trillion", "trn": "trillion",
}  # fmt: skip
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|trillion|hundred|bn|mn|trn|tn|[kKmMbB])\b)?"
_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "\u03bcm": "micrometer", "mi": "mile", "yd": "yard", "yds": "yard", "ft": "foot", "in": "inch",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "\u03bcg": "microgram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter",
    "gal": "gallon", "ha": "hectare", "s": "second", "sec": "second", "secs": "second", "ms": "millisecond",
    "\u03bcs": "microsecond", "ns": "nanosecond", "min": "minute", "mins": "minute", "h": "hour", "hr": "hour",
    "hrs": "hour", "yr": "year", "yrs": "year", "B": "byte", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second", "W": "watt",
    "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "Wh": "watt hour", "V": "volt",
    "kV": "kilovolt", "mV": "millivolt", "mA": "milliamp", "mAh": "milliamp hour", "kcal": "kilocalorie",
    "cal": "calorie", "J": "joule", "kJ": "kilojoule", "dB": "decibel", "px": "pixel", "°": "degree", "mol": "mole",
    "ohms": "ohm", "lm": "lumen", "bpm": "beat per minute", "mph": "mile per hour", "kph": "kilometer per hour",
    "km/h": "kilometer per hour", "kmh": "kilometer per hour", "m/s": "meter per second",
    "ft/s": "foot per second", "fps": "frame per second", "rpm": "revolution per minute", "dpi": "dot per inch",
    "ppm": "part per million", "sq ft": "square foot", "sq mi": "square mile", "sq km": "square kilometer",
    "sq m": "square meter", "km squared": "square kilometer", "m squared": "square meter",
    "cm squared": "square centimeter", "ft squared": "square foot", "m cubed": "cubic meter",
    "cm cubed": "cubic centimeter", "m/s squared": "meter per second squared",
}  # fmt: skip
# The plural changes nothing.
_INVARIANT = {
    "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "THz": "terahertz", "Pa": "pascals", "hPa": "hectopascals", "kPa": "kilopascals",
    "MPa": "megapascals", "hp": "horsepower", "psi": "pounds per square inch",
}  # fmt: skip
# A figure and one of these with a space between ("5 in", "5 B") is more often not a measure.
_ATTACHED_ONLY = frozenset(("in", "B", "V", "W", "L", "J"))

_AMOUNT = rf"(?:(?:\d{{1,9}}\s)?\d{{1,9}}/\d{{1,9}}|{NUMBER})"
_MIXED = re.compile(r"(?:(\d+)\s)?(\d+)/(\d+)\Z")


def amount(text: str) -> str:
    """Words of a number, a fraction or a mixed number: "1,200", "3.5", "1/2", "2 1/2"."""
    mixed = _MIXED.match(text)
    if not mixed:
        return numbers.decimal(text)
    whole, top, bottom = mixed.groups()
    if not whole:
        return numbers.fraction(top, bottom)
    part = "a half" if (top, bottom) == ("1", "2") else numbers.fraction(top, bottom)
    return f"{numbers.cardinal(whole)} and {part}"


def _span(match: re.Match[str]) -> str:
    """Sign, optional lower end and value of a quantity as words."""
    minus = "minus " if match["sign"] else ""
    low = f"{amount(match['low'])} to " if match["low"] else ""
    return f"{minus}{low}{amount(match['value'])}"


def _money(match: re.Match[str]) -> str:
    sign = match["currency"]
    one, many, hundredth, hundredths = _CURRENCIES[_CODES.get(sign, sign)]
    country = " ".join(match.groupdict().get("country") or "")
    country = f"{country} " if country else ""
    value, scale, low = match["value"], match["scale"], match.groupdict().get("low")
    whole, _, part = value.partition(".")
    minus = "minus " if match.groupdict().get("sign") else ""
    if scale or low or len(part) not in (0, 2):
        first = f"{numbers.decimal(low)} to " if low else ""
        size = f" {_SCALES.get(scale.lower(), scale.lower())}" if scale else ""
        return f"{minus}{first}{numbers.decimal(value)}{size} {country}{many}"
    words = []
    if int(whole.replace(",", "")) or not int(part or 0):
        words.append(f"{numbers.cardinal(whole)} {country}{one if whole == '1' else many}")
    if int(part or 0):
        words.append(f"{numbers.cardinal(str(int(part)))} {hundredth if part == '01' else hundredths}")
    return minus + " and ".join(words)


def _cents(match: re.Match[str]) -> str:
    return f"{numbers.decimal(match['value'])} cent" + ("" if match["value"] == "1" else "s")


def _unit_name(unit: str, singular: bool) -> str:
    if unit in _INVARIANT:
        return _INVARIANT[unit]
    name = _UNITS[unit]
    if singular:
        return name
    head, space, rest = name.partition(" per ")
    return _plural_head(head) + space + rest


def _plural_head(name: str) -> str:
    if name.endswith("foot"):
        return name[:-4] + "feet"
    return numbers.plural(name)


def _measure(match: re.Match[str]) -> str:
    unit = re.sub(r"\s+", " ", match["unit"])
    gap = match["gap"]
    if gap and gap != "-" and unit in _ATTACHED_ONLY:
        return match.group()
    # "one kilometer", "half a mile" style singulars; "a five-kilometer run".
    singular = (match["value"] == "1" and not match["low"]) or "/" in match["value"][:3] or gap == "-"
    joint = "-" if gap == "-" else " "
    return f"{_span(match)}{joint}{_unit_name(unit, singular)}"


def _percent(match: re.Match[str]) -> str:
    return f"{_span(match)} percent"


def _feet_inches(match: re.Match[str]) -> str:
    feet, inches = numbers.cardinal(match["feet"]), numbers.decimal(match["inches"])
    if "f" not in match.group():
        return f"{feet} foot {inches}"
    return f"{feet} {'foot' if feet == 'one' else 'feet'} {inches} {'inch' if inches == 'one' else 'inches'}"


def _alternatives(names: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_QUANTITY = rf"(?P<sign>{SIGN}){START}(?:(?P<low>{_AMOUNT})\s?[-\u2013]\s?)?(?P<value>{_AMOUNT})"
_SYMBOL = r"(?P<currency>[$£€¥₹])"

RULES: tuple[Rule, ...] = (
    (
        re.compile(
            rf"(?P<sign>{SIGN})(?:\b(?P<country>US|CA|AU|NZ|HK|A|C|S))?{_SYMBOL}\s?"
            rf"(?:(?P<low>{NUMBER})\s?[-\u2013]\s?(?P=currency)?)?(?P<value>{NUMBER}){_SCALE}"
        ),
        _money,
    ),
    (re.compile(rf"{START}(?P<value>{NUMBER})(?P<scale>)\s?{_SYMBOL}(?!\d)"), _money),
    (re.compile(rf"{START}(?P<value>{NUMBER}){_SCALE}\s(?P<currency>USD|GBP|EUR|JPY|INR)\b"), _money),
    (re.compile(rf"\b(?P<currency>USD|GBP|EUR|JPY|INR)\s?(?P<value>{NUMBER}){_SCALE}"), _money),
    (re.compile(rf"{START}(?P<value>{NUMBER})\s?(?:¢|c\b(?!\.))"), _cents),
    (re.compile(rf"{_QUANTITY}\s?%"), _percent),
    (
        re.compile(rf"{START}(?P<feet>\d{{1,4}})\s?ft\.?\s(?P<inches>{NUMBER})\s?in\b(?:\.(?!\Z|\s[A-Z]))?"),
        _feet_inches,
    ),
    (re.compile(r"(?<![\w.,])(?P<feet>[1-9])'\s?(?P<inches>1[01]|\d)(?:\"|'')"), _feet_inches),
    # "1980s" and "80s" are decades, read elsewhere; hence no bare "s" after a nought.
    (
        re.compile(
            rf"{_QUANTITY}(?P<gap>[\s-]?)(?P<unit>(?:{_alternatives(_INVARIANT)}|{_alternatives(_UNITS)}))"
            r"(?<!0s)(?![\w/°])(?!'\w)"
        ),
        _measure,
    ),
)
