"""How fast a voice decodes by each method on the same texts and seeds, and whether the tokens stay the same."""

from spear_accel.bench.records import Difference, Record, first_difference, make_records
from spear_accel.bench.speed import AUTOREGRESSIVE, Case, Decodes, Run, make_cases, measure
from spear_accel.bench.texts import SENTENCES, built_in_sentences, choose_texts, split_lines

__all__ = [
    "AUTOREGRESSIVE", "SENTENCES", "Case", "Decodes", "Difference", "Record", "Run", "built_in_sentences",
    "choose_texts", "first_difference", "make_cases", "make_records", "measure", "split_lines",
]  # fmt: skip
