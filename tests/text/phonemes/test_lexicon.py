"""The lexicon: looking up, its file, a user's own entries."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.text.phonemes import Entry, Lexicon

WORDS = st.dictionaries(
    st.text(st.characters(categories=["L"]), min_size=1, max_size=8),
    st.builds(
        Entry,
        st.text("ptkaɪʃˈ", min_size=1, max_size=6),
        st.dictionaries(st.sampled_from(["NOUN", "VERB", "PAST"]), st.text("ptkaɪʃˈ", min_size=1, max_size=6)),
    ),
    max_size=12,
)


@given(WORDS)
def test_its_file_holds_it(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Entry]) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt.gz"
    Lexicon(entries).save(path)
    assert dict(Lexicon.load(path)) == entries
    first = path.read_bytes()
    Lexicon(dict(reversed(entries.items()))).save(path)
    assert path.read_bytes() == first


def test_forms_of_a_word() -> None:
    lexicon = Lexicon({"polish": Entry("pˈɑlɪʃ"), "Polish": Entry("pˈOlɪʃ"), "Paris": Entry("pˈɛɹɪs")})
    assert [lexicon.get(word).phonemes for word in ("polish", "Polish", "POLISH", "paris")] == [  # type: ignore[union-attr]
        "pˈɑlɪʃ", "pˈOlɪʃ", "pˈɑlɪʃ", "pˈɛɹɪs",
    ]  # fmt: skip
    assert lexicon.get("Rome") is None


def test_own_entries_go_first() -> None:
    lexicon = Lexicon({"data": Entry("dˈAɾə")})
    own = lexicon.with_entries({"data": Entry("dˈæɾə"), "Siobhan": Entry("ʃəvˈɔn")})
    assert own.get("data") == Entry("dˈæɾə")
    assert own.get("siobhan") == Entry("ʃəvˈɔn")
    assert lexicon.get("data") == Entry("dˈAɾə")


def test_faults_name_the_line(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "lexicon.txt.gz"
    with pytest.raises(UserError, match=r"lexicon\.txt\.gz: cannot read"):
        Lexicon.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"lexicon\.txt\.gz: cannot read"):
        Lexicon.load(path)
    for line in ("word", "word\t", "use\tjˈuz\tADVERB=jˈus", "use\tjˈuz\tjˈus"):
        path.write_bytes(gzip.compress(f"a\tˈA\n{line}\n".encode()))
        with pytest.raises(UserError, match="line 2: not a lexicon entry"):
            Lexicon.load(path)
