"""The front end for written English: one scan into classified tokens, then a reading of each.

`source` keeps positions, `fold`, `markup` and `layout` prepare the text, `scanner` splits it into tokens by the
rules of the class modules (`dates`, `money`, `measures`, ...), `composer` joins what they say.
`tables/` holds the words.
"""

from spear_accel.text.english.front_end import ENGLISH, English, tokenise
from spear_accel.text.english.options import EnglishOptions

__all__ = ["ENGLISH", "English", "EnglishOptions", "tokenise"]
