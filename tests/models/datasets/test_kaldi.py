"""Kaldi: three files in one order, every broken line named, and written directories sorted and read again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings

from models.datasets import kaldi as module
from models.datasets import read
from models.errors import InvalidDataset, InvalidInput, NotFound, UnreadableMedia
from models.recordings import medium
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


def test_paths_may_be_relative_to_where_the_recipe_ran(tmp_path: Path) -> None:
    """As Kaldi's ``egs/*/s5`` and ESPnet's ``dump/raw`` have them."""
    recipe = tmp_path / "s5"
    corpus(recipe / "data" / "train", wav_scp="ada-1 downloads/a.wav\nada-2 one.wav\nbob-1 data/train/one.wav\n")
    put(recipe / "downloads" / "a.wav")
    paths = [Path(item.uri) for item, _ in read(f"kaldi:{recipe}/data:train")]
    one = recipe / "data" / "train" / "one.wav"
    assert paths == [recipe / "downloads" / "a.wav", one, one]
    (recipe / "downloads" / "a.wav").unlink()
    where = recipe / "data" / "train"
    message = f"expected a file that exists, got '{where}/downloads/a.wav'"
    expect_broken(f"kaldi:{recipe}/data:train", where / "wav.scp", 1, message)


def test_paths_are_absolute_or_beside_the_list_and_a_text_may_be_empty(tmp_path: Path) -> None:
    corpus(tmp_path / "data" / "dev")
    expected = [
        (Item("dev/one.wav", str(tmp_path / "data/dev/one.wav"), "ada"), Transcript("你好 world")),
        (Item("dev/two  2.wav", str(tmp_path / "data/dev/two  2.wav"), "ada"), Transcript("")),
        (Item("dev/one.wav", str(tmp_path / "data/dev/one.wav"), "bob"), Transcript("x")),
    ]
    assert list(read(f"kaldi:{tmp_path}/data:dev")) == expected
    assert list(labels(f"kaldi:{tmp_path}/data/dev")) == ["one.wav", "two  2.wav"]


def lhotse(sound_file: Path, channel: int = 0) -> str:
    """The line that lhotse 1.33 writes for a recording that is no WAV of one channel."""
    end = f"-ar 8000 -map_channel 0.0.{channel}  -f wav -threads 1 pipe:1 |"
    return f"r1 ffmpeg -threads 1 -i {sound_file} {end}\n"


def test_what_lhotse_lets_ffmpeg_unpack_is_read_as_its_file(tmp_path: Path) -> None:
    clip = sound(tmp_path / "a talk.flac")
    for name, line in (("segments", "r1 0 0.25"), ("text", "go on"), ("utt2spk", "None")):
        put(tmp_path / name, f"u1 {line}\n")
    file = put(tmp_path / "wav.scp", lhotse(clip))
    (pair,) = read(f"kaldi:{tmp_path}")
    assert pair == (Item("u1", f"{clip}#t=0,0.25", "None"), Transcript("go on"))
    put(file, lhotse(clip, channel=1))
    expect_broken(f"kaldi:{tmp_path}", file, 1, "expected the path of a sound file, got 'ffmpeg -threads 1 -i")
    soundfile.write(stereo := tmp_path / "stereo.flac", np.zeros((4000, 2), np.float32), 8000)
    (tmp_path / "segments").unlink()
    put(file, lhotse(stereo).replace("r1", "u1"))
    expect_broken(f"kaldi:{tmp_path}", file, 1, "expected a recording of one channel, got '2 in ")


def test_flac_that_a_command_only_unpacks_is_read_as_its_file(tmp_path: Path) -> None:
    """As the recipe for LibriSpeech names it."""
    clip = sound(tmp_path / "84-121123-0000.flac")
    put(tmp_path / "wav.scp", f"84-121123-0000 flac -c -d -s {clip} |\n")
    put(tmp_path / "text", "84-121123-0000 GO\n")
    put(tmp_path / "utt2spk", "84-121123-0000 84-121123\n")
    (pair,) = read(f"kaldi:{tmp_path}")
    assert pair == (Item("84-121123-0000.flac", str(clip), "84-121123"), Transcript("GO"))
    file = put(tmp_path / "wav.scp", "84-121123-0000 flac -c -d -s gone.flac |\n")
    expect_broken(f"kaldi:{tmp_path}", file, 1, "expected a file that exists, got '")


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


def test_missing_files_are_refused(tmp_path: Path) -> None:
    corpus(tmp_path)
    (tmp_path / "text").unlink()
    with pytest.raises(NotFound, match=r"expected wav\.scp, text, utt2spk, got no text"):
        list(read(f"kaldi:{tmp_path}"))


SEGMENTS = "ada-1 r1 0.5 1.25\nada-2 r1 1.25 -1\nbob-1 r2 0 -1\nbob-2 r2 0.25 2.4\n"


def segmented(root: Path, **changes: str) -> Path:
    """Recordings of 3 and 2 seconds, of which two people have two stretches each."""
    sound(root / "audio" / "one.wav", 3.0)
    sound(root / "two.wav", 2.0)
    files = {
        "wav.scp": "r1 audio/one.wav\nr2 {}/two.wav\n",
        "segments": SEGMENTS,
        "text": "ada-1 yes\nada-2\nbob-1 no no\nbob-2 go\n",
        "utt2spk": "ada-1 ada\nada-2 ada\nbob-1 bob\nbob-2 bob\n",
        "utt2lang": "ada-1 en\nbob-2 hsb\n",
    }
    for name, text in files.items():
        put(root / name, changes.get(name.replace(".", "_"), text).format(root))
    return root


def test_segments_are_stretches_of_recordings_called_by_their_utterances(tmp_path: Path) -> None:
    segmented(tmp_path / "data" / "dev")
    one, two = tmp_path / "data/dev/audio/one.wav", tmp_path / "data/dev/two.wav"
    expected = [
        (Item("dev/ada-1", f"{one}#t=0.5,1.25", "ada", "en"), Transcript("yes")),
        (Item("dev/ada-2", f"{one}#t=1.25", "ada"), Transcript("")),
        (Item("dev/bob-1", str(two), "bob"), Transcript("no no")),
        (Item("dev/bob-2", f"{two}#t=0.25", "bob", "hsb"), Transcript("go")),  # 0.4 s beyond its end are cut off
    ]
    assert list(read(f"kaldi:{tmp_path}/data:dev")) == expected
    assert list(labels(f"kaldi:{tmp_path}/data/dev")) == ["ada-1", "ada-2", "bob-1", "bob-2"]
    put(tmp_path / "data" / "dev" / "segments", SEGMENTS.replace(" ", "\t").replace("\t0.5\t", " \t 0.50 "))
    assert list(read(f"kaldi:{tmp_path}/data:dev")) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ada-1 r1 0.5", "expected a recording, a start and an end behind the utterance, got 'r1 0.5'"),
        ("ada-1 r1 0.5 1 1", "expected a recording, a start and an end behind the utterance, got 'r1 0.5 1 1'"),
        ("ada-1", "expected a line of utterance ada-1, as in segments, got 'ada-1'"),
        ("ada-1 r3 0.5 1", "expected a recording of wav.scp, got 'r3'"),
        ("ada-1 r1 x 1", "expected a start and an end in seconds, got ['x', '1']"),
        ("ada-1 r1 0 nan", "expected a start and an end in seconds, got ['0', 'nan']"),
        ("ada-1 r1 0 1e400", "expected a start and an end in seconds, got ['0', '1e400']"),
        (
            "ada-1 r1 1 1",
            "expected a start of 0 s or more and a later end, or -1 for that of the recording, got ['1', ",
        ),
        (
            "ada-1 r1 2 1",
            "expected a start of 0 s or more and a later end, or -1 for that of the recording, got ['2', ",
        ),
        ("ada-1 r1 -1 1", "expected a start of 0 s or more and a later end, or -1 for that of the recording, got ['-1"),
        (
            "ada-1 r1 1 -2",
            "expected a start of 0 s or more and a later end, or -1 for that of the recording, got ['1', ",
        ),
        ("ada-1 r1 3 -1", "expected a stretch of {}/audio/one.wav, which ends at 3.000 s, got 'from 3 s to its end'"),
        ("ada-1 r1 3.1 3.2", "expected a stretch of {}/audio/one.wav, which ends at 3.000 s, got 'from 3.1 s to 3.2 s"),
        ("ada-1 r1 2 3.6", "expected a stretch of {}/audio/one.wav, which ends at 3.000 s, got 'from 2 s to 3.6 s'"),
        ("ada-1 r4 0 1", "expected a recording of one channel, got '2 in {}/both.wav'"),
    ],
)
def test_a_broken_segment_is_named(tmp_path: Path, line: str, message: str) -> None:
    soundfile.write(tmp_path / "both.wav", np.zeros((16000, 2)), 8000)
    rest = "".join(SEGMENTS.splitlines(keepends=True)[1:])
    segmented(tmp_path, segments=f"{line}\n{rest}", wav_scp="r1 audio/one.wav\nr2 two.wav\nr4 both.wav\n")
    expect_broken(f"kaldi:{tmp_path}", tmp_path / "segments", 1, message.format(tmp_path))


def test_no_segments_of_several_channels_are_written(tmp_path: Path) -> None:
    """They could not be read again, by Kaldi neither."""
    both, one = tmp_path / "both.wav", tmp_path / "one.wav"
    soundfile.write(both, np.zeros((16000, 2)), 8000)
    soundfile.write(one, np.zeros(16000), 8000)
    for uris in ([f"{both}#t=0.5"], [f"{one}#t=0.5", str(both)]):
        pairs = [(Item(f"i{number}", uri), Transcript("x")) for number, uri in enumerate(uris)]
        with pytest.raises(InvalidInput, match=r"utterance i\d: expected a recording of one channel.* got 2 in "):
            module.write(tmp_path / "out", pairs)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "file", "line", "message"),
    [
        (
            {"text": "ada-1 yes\nbob-1 no\n"},
            "text",
            2,
            "expected a line of utterance ada-2, as in segments, got 'bob-1",
        ),
        (
            {"utt2spk": "ada-2 ada\n"},
            "utt2spk",
            1,
            "expected a line of utterance ada-1, as in segments, got 'ada-2 ada",
        ),
        ({"wav_scp": "r1 sox a.wav - |\n"}, "wav.scp", 1, "expected the path of a sound file, got 'sox a.wav - |'"),
        ({"wav_scp": "r1 gone.wav\n"}, "wav.scp", 1, "expected a file that exists, got '{}/gone.wav'"),
        ({"wav_scp": "r0\n"}, "wav.scp", 1, "expected a recording of its own and its path, got 'r0'"),
        ({"wav_scp": "r1 a.wav\nr1 b.wav\n"}, "wav.scp", 2, "expected a recording of its own and its path, got 'r1 b."),
    ],
)
def test_what_does_not_go_with_the_segments_is_named(
    tmp_path: Path, changes: dict[str, str], file: str, line: int, message: str
) -> None:
    segmented(tmp_path, **changes)
    expect_broken(f"kaldi:{tmp_path}", tmp_path / file, line, message.format(tmp_path))


def test_segments_of_a_recording_that_cannot_be_read_are_for_whoever_listens(tmp_path: Path) -> None:
    put(segmented(tmp_path) / "two.wav", "no sound")
    *_, (item, _) = read(f"kaldi:{tmp_path}")
    with pytest.raises(UnreadableMedia, match=r"two\.wav: expected WAV, FLAC, Ogg or MP3 audio, got bytes that begin"):
        medium(item.uri)


def test_recordings_that_no_segment_names_need_not_be_there(tmp_path: Path) -> None:
    segmented(tmp_path, wav_scp="r0 sox a.wav - |\nr1 audio/one.wav\nr2 two.wav\n")
    assert len(list(read(f"kaldi:{tmp_path}"))) == 4


def test_written_stretches_are_segments_and_read_again(tmp_path: Path) -> None:
    pairs = list(read(f"kaldi:{segmented(tmp_path / 'in')}"))
    one, two = tmp_path / "in/audio/one.wav", tmp_path / "in/two.wav"
    other = sound(tmp_path / "other" / "two.wav", 1.5)
    pairs.append((Item("eve", f"{other}#t=0.333333,1", None), Transcript("once")))
    module.write(tmp_path / "out", pairs)  # type: ignore[arg-type]
    out = {path.name: path.read_text().splitlines() for path in (tmp_path / "out").iterdir()}
    assert out["segments"] == [
        "ada-1 one 0.5 1.25",
        "ada-2 one 1.25 3",
        "bob-1 two 0 2",
        "bob-2 two 0.25 2",
        f"eve {out['wav.scp'][2].split()[0]} 0.333375 1",
    ]
    assert out["wav.scp"][:2] == [f"one {one}", f"two {two}"]
    assert out["wav.scp"][2].endswith(f" {other}")
    assert out["utt2spk"][0] == "ada-1 ada"
    again = list(read(f"kaldi:{tmp_path}/out"))
    assert [(item.group, item.language, label) for item, label in again[:4]] == [
        (item.group, item.language, label) for item, label in pairs[:4]
    ]
    assert [medium(item.uri) for item, _ in again] == [medium(item.uri) for item, _ in pairs]


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


def test_an_utterance_that_begins_with_its_speaker_keeps_its_name(tmp_path: Path) -> None:
    said = [("S1-yes", "S1"), ("S1no", "S1"), ("S-2-yes", "S-2"), ("audio/S3-yes.wav", "S3")]
    module.write(tmp_path / "out", [(Item(name, "a.wav", group), Transcript("x")) for name, group in said])
    lines = (tmp_path / "out" / "utt2spk").read_text().splitlines()
    assert lines == ["S1-S1no S1", "S1-yes S1", "S3-yes S3", "S_2-S-2-yes S_2"]


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
