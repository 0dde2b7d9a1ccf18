"""Common Voice: sentences between tabs, and every broken line named."""

from pathlib import Path

import pytest

from models.datasets import read
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, labels, put


def corpus(root: Path, second: str) -> Path:
    put(root / "clips" / "a.mp3")
    put(root / "clips" / "b.mp3")
    header = "client_id\tpath\tsentence\tup_votes\n"
    return put(root / "dev.tsv", header + 's1\ta.mp3\t"Dobry\u2028dźeń", praji.\t2\n' + second)


def test_sentences_keep_their_quotes_and_speakers_are_groups(tmp_path: Path) -> None:
    corpus(tmp_path, "s2\tb.mp3\tHaj \t\r\n")
    assert list(read(f"commonvoice:{tmp_path}:dev")) == [
        (Item("clips/a.mp3", str(tmp_path / "clips/a.mp3"), "s1"), Transcript('"Dobry\u2028dźeń", praji.')),
        (Item("clips/b.mp3", str(tmp_path / "clips/b.mp3"), "s2"), Transcript("Haj")),
    ]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ('"""Good-bye,"" said the boy."', '"Good-bye," said the boy.'),
        ('"The principle is called ""divide and rule""."', 'The principle is called "divide and rule".'),
        ('"He left," she said.', '"He left," she said.'),
        ('"All of it."', '"All of it."'),
        ('"One" and "two"', '"One" and "two"'),
        ('A 3""" disk', 'A 3""" disk'),
        ('"', '"'),
        ('""', '""'),
    ],
)
def test_quotes_that_are_doubled_within_quotes_are_those_of_csv(tmp_path: Path, written: str, sentence: str) -> None:
    """The fifth release has such lines; the eleventh has quotes that open and do not close."""
    corpus(tmp_path, f"s2\tb.mp3\t{written}\t1\n")
    assert labels(f"commonvoice:{tmp_path}")["clips/b.mp3"] == Transcript(sentence)


def test_the_locale_is_the_language_where_it_is_told(tmp_path: Path) -> None:
    put(tmp_path / "clips" / "a.mp3")
    put(tmp_path / "dev.tsv", "client_id\tlocale\tpath\tsentence\ns1\thsb\ta.mp3\tHaj\ns1\t\ta.mp3\tHaj\n")
    assert [item.language for item, _ in read(f"commonvoice:{tmp_path}")] == ["hsb", None]


def test_the_first_releases_left_out_what_every_clip_ends_in(tmp_path: Path) -> None:
    """torchaudio's reader and DeepSpeech's importer both put it back."""
    put(tmp_path / "clips" / "common_voice_br_17334968.mp3")
    header = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\n"
    put(tmp_path / "dev.tsv", header + "s1\tcommon_voice_br_17334968\tDemat\t2\t0\t\t\t\n")
    assert [item.id for item, _ in read(f"commonvoice:{tmp_path}")] == ["clips/common_voice_br_17334968.mp3"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("s2\tb.mp3\tHaj\n", "expected 4 columns, got 3"),
        ("\tb.mp3\tHaj\t1\n", "expected values for client_id, path, sentence, got ('', 'b.mp3', 'Haj')"),
        ("s2\tb.mp3\t \t1\n", "expected values for client_id, path, sentence, got ('s2', 'b.mp3', '')"),
        ("s2\tc.mp3\tHaj\t1\n", "expected a file that exists, got '"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, line)
    expect_broken(f"commonvoice:{tmp_path}", file, 3, message)


def test_a_file_without_its_header_or_not_in_utf8_is_named(tmp_path: Path) -> None:
    file = put(tmp_path / "dev.tsv", "s1\ta.mp3\tDobry\n")
    expect_broken(f"commonvoice:{tmp_path}", file, 1, "expected a header with client_id, path, sentence between tabs")
    put(file)
    expect_broken(f"commonvoice:{tmp_path}", file, 1, "expected a header")
    put(file, "\ufeffclient_id\tpath\tsentence\n".encode() + b"s1\ta.mp3\t\xe4\n")  # with a byte order mark
    expect_broken(f"commonvoice:{tmp_path}", file, 2, "expected UTF-8 text, got b's1")
