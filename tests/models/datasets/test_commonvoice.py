"""Common Voice: sentences between tabs, and every broken line named."""

from pathlib import Path

import pytest

from models.datasets import read
from models.errors import NotFound
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


@pytest.mark.parametrize("sentence", ["", " ", '""'])
def test_what_nobody_wrote_down_is_no_label(tmp_path: Path, sentence: str) -> None:
    """Releases have such lines, the second and the fifth in their tests: somebody speaks, so that it is no silence."""
    corpus(tmp_path, f"s2\tgone.mp3\t{sentence}\t1\ns2\tb.mp3\tHaj\t1\n")
    assert list(labels(f"commonvoice:{tmp_path}")) == ["clips/a.mp3", "clips/b.mp3"]


FILES = {
    "dev": "client_id path sentence up_votes",
    "other": "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant",
    "clip_durations": "clip duration[ms]",
    "reported": "sentence sentence_id locale reason",
    "validated_sentences": "sentence_id sentence sentence_domain source is_used clips_count",
    "unvalidated_sentences": "sentence_id sentence sentence_domain source",
}


def test_a_file_may_be_named(tmp_path: Path) -> None:
    file = corpus(tmp_path, "s2\tb.mp3\tHaj\t1\n")
    assert list(read(f"commonvoice:{file}")) == list(read(f"commonvoice:{tmp_path}:dev"))
    with pytest.raises(NotFound, match=r"expected one of the splits there \(dev\), got train"):  # which is not in it
        read(f"commonvoice:{file}:train")
    with pytest.raises(NotFound, match=r"expected one of the splits there \(no file SPLIT\.tsv\), got no split"):
        read(f"commonvoice:{file.rename(tmp_path / 'dev.csv')}")


def test_files_that_label_no_clips_are_no_splits(tmp_path: Path) -> None:
    corpus(tmp_path, "s2\tb.mp3\tHaj\t1\n")
    for name in FILES.keys() - {"dev", "other"}:
        put(tmp_path / f"{name}.tsv", FILES[name].replace(" ", "\t") + "\n")
    assert len(labels(f"commonvoice:{tmp_path}")) == 2
    put(tmp_path / "other.tsv", FILES["other"].replace(" ", "\t") + "\n")
    with pytest.raises(NotFound, match=r"expected one of the splits there \(dev, other\), got reported"):
        read(f"commonvoice:{tmp_path}:reported")


def test_the_folder_of_a_release_holds_languages(tmp_path: Path) -> None:
    corpus(tmp_path / "hsb", "s2\tb.mp3\tHaj\t1\n")
    put(tmp_path / "notes" / "mine.tsv", "a\tb\n")
    assert list(labels(f"commonvoice:{tmp_path}:dev")) == ["hsb/clips/a.mp3", "hsb/clips/b.mp3"]
    with pytest.raises(NotFound, match=r"/hsb: expected one of the splits there \(dev\), got train"):
        read(f"commonvoice:{tmp_path}:train")
    corpus(tmp_path / "de", "")
    with pytest.raises(NotFound, match=rf"^{tmp_path}: expected the folder of one language, .* several \(de, hsb\)"):
        read(f"commonvoice:{tmp_path}:dev")


SPONTANEOUS = """\
client_id audio_id audio_file duration_ms prompt_id prompt transcription votes age gender accents variant language
prompt_upvotes prompt_reports is_edited split char_per_sec quality_tags
"""


def spontaneous(root: Path, *rows: tuple[str, str, str]) -> Path:
    columns = SPONTANEOUS.split()
    lines = ["\t".join(columns)]
    for number, (text, split, tags) in enumerate(rows):
        told = {"client_id": "s1", "audio_file": f"spontaneous-speech-hsb-{number}.mp3", "language": "Upper Sorbian"}
        told |= {"prompt": "Kak?", "transcription": text, "split": split, "quality_tags": tags}
        lines.append("\t".join(told.get(column, "0") for column in columns))
        put(root / "audios" / told["audio_file"])
    put(root / "ss-reported-audios-hsb.tsv", "client_id\taudio_id\n")
    return put(root / "ss-corpus-hsb.tsv", "\n".join(lines) + "\n")


def test_spontaneous_speech_is_one_table(tmp_path: Path) -> None:
    rows = [("Haj [noise]", "train", ""), ("", "unassigned", ""), ("Ně", "dev", "short-audio"), ("Haj", "train", "")]
    file = spontaneous(tmp_path, *rows)
    clips = [f"audios/spontaneous-speech-hsb-{number}.mp3" for number in range(4)]
    assert list(read(f"commonvoice:{tmp_path}:train")) == [
        (Item(clips[0], str(tmp_path / clips[0]), "s1", "hsb"), Transcript("Haj [noise]")),
        (Item(clips[3], str(tmp_path / clips[3]), "s1", "hsb"), Transcript("Haj")),
    ]
    assert list(labels(f"commonvoice:{tmp_path}:dev")) == list(labels(f"commonvoice:{file}:dev")) == [clips[2]]
    assert not labels(f"commonvoice:{tmp_path}:unassigned")
    put(tmp_path / "ss-corpus-de.tsv")
    with pytest.raises(NotFound, match=r"expected the folder of one language, got that of several \(de, hsb\)"):
        read(f"commonvoice:{tmp_path}:train")
    (tmp_path / "ss-corpus-de.tsv").unlink()
    with pytest.raises(
        NotFound, match=r"expected one of the splits there \(train, dev, test, unassigned\), got no split"
    ):
        read(f"commonvoice:{tmp_path}")
    (tmp_path / clips[3]).unlink()
    expect_broken(f"commonvoice:{tmp_path}:train", file, 5, "expected a file that exists, got")
    spontaneous(tmp_path, ("Haj", "train", ""), ("Ně", "training", ""))
    message = "expected a split, one of train, dev, test, unassigned, got 'training'"
    expect_broken(f"commonvoice:{tmp_path}:dev", file, 3, message)
    put(file, "client_id\taudio_file\n")
    message = "expected a header with client_id, audio_file, transcription, split between tabs"
    expect_broken(f"commonvoice:{tmp_path}:train", file, 1, message)


def test_sentences_that_were_read_aloud_may_lie_beside_spontaneous_speech(tmp_path: Path) -> None:
    corpus(tmp_path, "s2\tb.mp3\tHaj\t1\n")
    spontaneous(tmp_path, ("Haj", "test", ""), ("Ně", "dev", ""))
    assert list(labels(f"commonvoice:{tmp_path}:dev")) == ["clips/a.mp3", "clips/b.mp3"]
    assert list(labels(f"commonvoice:{tmp_path}:test")) == ["audios/spontaneous-speech-hsb-0.mp3"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("s2\tb.mp3\tHaj\n", "expected 4 columns, got 3"),
        ("\tb.mp3\tHaj\t1\n", "expected values for client_id and path, got ('', 'b.mp3')"),
        ("s2\t\tHaj\t1\n", "expected values for client_id and path, got ('s2', '')"),
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
