"""Kaldi: three files in one order, every broken line named, and written directories sorted and read again."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from models.datasets import kaldi as module
from models.datasets import read
from models.errors import InvalidDataset, InvalidInput, NotFound
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, labels, put, sound
from tests.models.datasets.round_trips import media, transcripts

FILES = {
    "wav.scp": "ada-1 one.wav\nada-2 {}/two  2.wav\nbob-1 one.wav\n",
    "text": "ada-1 你好 world\nada-2\nbob-1 x\n",
    "utt2spk": "ada-1 ada\nada-2 ada\nbob-1 bob\n",
}


def corpus(root: Path, **changes: str) -> Path:
    put(root / "one.wav")
    put(root / "two  2.wav")
    for name, text in FILES.items():
        put(root / name, changes.get(name.replace(".", "_"), text).format(root))
    return root


def test_paths_are_absolute_or_beside_the_list_and_a_text_may_be_empty(tmp_path: Path) -> None:
    corpus(tmp_path / "data" / "dev")
    expected = [
        (Item("dev/one.wav", str(tmp_path / "data/dev/one.wav"), "ada"), Transcript("你好 world")),
        (Item("dev/two  2.wav", str(tmp_path / "data/dev/two  2.wav"), "ada"), Transcript("")),
        (Item("dev/one.wav", str(tmp_path / "data/dev/one.wav"), "bob"), Transcript("x")),
    ]
    assert list(read(f"kaldi:{tmp_path}/data:dev")) == expected
    assert list(labels(f"kaldi:{tmp_path}/data/dev")) == ["one.wav", "two  2.wav"]


def test_utterances_may_have_languages(tmp_path: Path) -> None:
    corpus(tmp_path)
    file = put(tmp_path / "utt2lang", "ada-1 zh\nbob-1 en\n")
    assert [item.language for item, _ in read(f"kaldi:{tmp_path}")] == ["zh", None, "en"]
    put(file, "ada-1 zh\nada-2\n")
    expect_broken(f"kaldi:{tmp_path}", file, 2, "expected an utterance and its language, got 'ada-2'")


def test_tabs_may_stand_where_blanks_do(tmp_path: Path) -> None:
    corpus(tmp_path / "blanks")
    put(tmp_path / "blanks" / "utt2lang", "ada-1 zh\n")
    tabbed = {name.replace(".", "_"): text.replace(" ", "\t", 1) for name, text in FILES.items()}
    corpus(tmp_path / "tabs", **{name: text.replace("\nbob-1 ", "\nbob-1\t") for name, text in tabbed.items()})
    put(tmp_path / "tabs" / "utt2lang", "ada-1\tzh\n")
    blanks, tabs = (
        [(item.id, item.group, item.language, label) for item, label in read(f"kaldi:{tmp_path}/{name}")]
        for name in ("blanks", "tabs")
    )
    assert tabs == blanks


def test_written_languages_are_read_again(tmp_path: Path) -> None:
    clip = str(sound(tmp_path / "a.wav"))
    pairs = [(Item(name, clip, "s", language), Transcript(name)) for name, language in (("b", "hsb"), ("a", None))]
    module.write(tmp_path / "out", pairs)
    assert (tmp_path / "out" / "utt2lang").read_text() == "s-b hsb\n"
    assert [item.language for item, _ in read(f"kaldi:{tmp_path}/out")] == [None, "hsb"]
    module.write(tmp_path / "plain", pairs[1:])
    assert not (tmp_path / "plain" / "utt2lang").exists()


@pytest.mark.parametrize(
    ("changes", "file", "line", "message"),
    [
        ({"wav_scp": "ada-1 one.wav\nada-2\n"}, "wav.scp", 2, "expected a line of utterance ada-2, as in wav.scp, got"),
        ({"wav_scp": "ada-1 no.wav\n"}, "wav.scp", 1, "expected a file that exists, got"),
        (
            {"wav_scp": "ada-1 sph2pipe -f wav a.sph |\n"},
            "wav.scp",
            1,
            "expected the path of a sound file, got 'sph2pipe -f wav a.sph |'",
        ),
        ({"text": "ada-1 a\nada-3 b\n"}, "text", 2, "expected a line of utterance ada-2, as in wav.scp, got 'ada-3 b'"),
        ({"utt2spk": "ada-1\n"}, "utt2spk", 1, "expected a line of utterance ada-1, as in wav.scp, got 'ada-1'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, changes: dict[str, str], file: str, line: int, message: str) -> None:
    corpus(tmp_path, **changes)
    expect_broken(f"kaldi:{tmp_path}", tmp_path / file, line, message)


def test_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    corpus(tmp_path, text="ada-1 a\n")
    with pytest.raises(InvalidDataset, match=r"/text: expected as many utterances as the other files have, got"):
        list(read(f"kaldi:{tmp_path}"))


def test_segments_and_missing_files_are_refused(tmp_path: Path) -> None:
    corpus(tmp_path)
    file = put(tmp_path / "segments", "ada-1 rec 0 1\n")
    expect_broken(f"kaldi:{tmp_path}", file, 1, "expected whole files, one utterance each, got 'segments of longer")
    file.unlink()
    (tmp_path / "text").unlink()
    with pytest.raises(NotFound, match=r"expected wav\.scp, text, utt2spk, got no text"):
        list(read(f"kaldi:{tmp_path}"))


@settings(max_examples=30)
@given(transcripts())
def test_written_transcripts_are_read_again(given_labels: list[Transcript]) -> None:
    with media(given_labels) as (folder, pairs):
        module.write(folder / "out", pairs)  # type: ignore[arg-type]
        told = {item.uri: label for item, label in pairs}
        assert {item.uri: label for item, label in read(f"kaldi:{folder}/out")} == told


def test_a_written_directory_is_sorted_by_utterance_and_so_by_speaker(tmp_path: Path) -> None:
    """Bytes are compared, as by ``LC_ALL=C sort``; a dash in a speaker's name would bring the two orders apart."""
    clip = sound(tmp_path / "a.wav")
    said = [("z", "a"), ("é", "a"), ("b", "a-b"), ("a", "a-b"), ("c", None), ("x", "a_b c")]
    module.write(tmp_path / "out", [(Item(name, str(clip), group), Transcript(f"{name}\n1")) for name, group in said])
    out = {path.name: path.read_text().splitlines() for path in (tmp_path / "out").iterdir()}
    assert out["utt2spk"] == ["a-z a", "a-é a", "a_b-a a_b", "a_b-b a_b", "a_b_c-x a_b_c", "c c"]
    assert out["text"] == ["a-z z 1", "a-é é 1", "a_b-a a 1", "a_b-b b 1", "a_b_c-x x 1", "c c 1"]
    assert out["wav.scp"][0] == f"a-z {clip}"
    assert out["spk2utt"] == ["a a-z a-é", "a_b a_b-a a_b-b", "a_b_c a_b_c-x", "c c"]


def test_an_item_without_a_group_does_not_come_between_those_of_a_speaker(tmp_path: Path) -> None:
    said = [("b", "84"), ("84-c", None), ("d", "84")]
    module.write(tmp_path / "out", [(Item(name, "a.wav", group), Transcript(name)) for name, group in said])
    assert (tmp_path / "out" / "spk2utt").read_text() == "84 84-b 84-d\n84_c 84_c\n"


def test_a_path_is_kept_as_it_is_or_refused(tmp_path: Path) -> None:
    clip = sound(tmp_path / "my  clips" / "a.wav")
    module.write(tmp_path / "out", [(Item("a", str(clip)), Transcript("two  blanks"))])
    ((item, _),) = read(f"kaldi:{tmp_path}/out")
    assert item.uri == str(clip)
    assert (tmp_path / "out" / "text").read_text() == "a two blanks\n"
    for name in ("b\n.wav", "b.wav ", "b|"):
        with pytest.raises(InvalidInput, match=r"item b: expected a path of one line that ends in no blank and no \|"):
            module.write(tmp_path / "other", [(Item("b", f"/{name}"), Transcript(""))])


def test_two_items_that_would_be_one_utterance_are_refused(tmp_path: Path) -> None:
    pairs = [(Item(name, "a.wav", "s"), Transcript("x")) for name in ("a b", "a_b")]
    with pytest.raises(InvalidInput, match="expected items with names of their own, got two called s-a_b"):
        module.write(tmp_path / "out", pairs)
    assert list(tmp_path.iterdir()) == []
