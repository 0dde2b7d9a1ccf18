"""NeMo manifests: JSON lines, every broken one named, and written transcripts read again."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings

from models.datasets import nemo, read
from models.errors import InvalidDataset, NotFound
from models.recordings import medium
from models.records import Item, Transcript
from tests.models.datasets.corpora import expect_broken, put, sound
from tests.models.datasets.round_trips import round_trip, transcripts


def corpus(root: Path, second: str) -> Path:
    put(root / "audio" / "a.ogg")
    first = {"audio_filepath": "audio/a.ogg", "duration": 1.5, "text": "数字", "speaker": "S28"}
    return put(root / "dev.jsonl", json.dumps(first) + "\n\n" + second)


def test_paths_are_relative_to_the_manifest_or_absolute(tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "b.wav")
    second = json.dumps({"audio_filepath": str(elsewhere), "text": "", "offset": 0})
    file = corpus(tmp_path / "m", second)
    expected = [
        (Item("audio/a.ogg", str(tmp_path / "m/audio/a.ogg"), "S28"), Transcript("数字")),
        (Item(str(elsewhere), str(elsewhere)), Transcript("")),
    ]
    assert list(read(f"nemo:{file}")) == expected
    assert list(read(f"nemo:{tmp_path / 'm'}:dev")) == expected


def test_manifests_may_be_called_as_nemos_own_scripts_do(tmp_path: Path) -> None:
    corpus(tmp_path, "").rename(tmp_path / "dev_manifest.json")
    assert [item.id for item, _ in read(f"nemo:{tmp_path}")] == ["audio/a.ogg"]
    with pytest.raises(NotFound, match=r"expected one of the splits there \(dev_manifest\), got dev"):
        read(f"nemo:{tmp_path}:dev")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"audio_filepath": "audio/a.ogg", ', "expected a JSON object (Expecting property name enclosed in double"),
        ('["audio/a.ogg"]', "expected a JSON object, got ['audio/a.ogg']"),
        ('{"text": "x"}', "expected a string under 'audio_filepath', got None"),
        ('{"audio_filepath": "audio/a.ogg"}', "expected a string under 'text', got None"),
        ('{"audio_filepath": "b.ogg", "text": "x"}', "expected a file that exists, got '"),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "duration": -1}',
            "expected a duration in seconds > 0, got -1",
        ),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "duration": NaN}',
            "expected a duration in seconds > 0, got nan",
        ),
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "offset": -2}', "expected an offset in seconds >= 0, got -2"),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "offset": NaN}',
            "expected an offset in seconds >= 0, got nan",
        ),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "offset": "1"}',
            "expected an offset in seconds >= 0, got '1'",
        ),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "offset": 1, "duration": 0}',
            "expected a duration in seconds > 0, got 0",
        ),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "speaker": [7]}',
            "expected a string or a number under 'speaker', got [7]",
        ),
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "lang": 7}', "expected a string under 'lang', got 7"),
        (
            '{"audio_filepath": "audio/a.ogg", "text": "x", "lang": "de", "source_lang": "hsb"}',
            "expected one language under lang, language, source_lang, got 'de and hsb'",
        ),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = corpus(tmp_path, line)
    expect_broken(f"nemo:{file}", file, 3, message)


def told(root: Path, *times: dict[str, float | None]) -> list[str]:
    """The uris of a manifest with one line for each offset and duration, in a file of 3 s."""
    sound(root / "audio" / "b.wav", seconds=3.0)
    lines = (json.dumps({"audio_filepath": "audio/b.wav", "text": "x", **one}) for one in times)
    file = put(root / "m.jsonl", "\n".join(lines))
    return [item.uri.removeprefix(f"{root}/audio/") for item, _ in read(f"nemo:{file}")]


def test_offset_and_duration_name_a_stretch_of_a_longer_file(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        {"offset": 0.5, "duration": 1.25},
        {"offset": 0.0, "duration": 2.0},
        {"duration": 1.5},
        {"offset": 1, "duration": None},
        {"offset": 2.5},
        {"offset": 1, "duration": 2.2},  # rounded
        {"offset": 0, "duration": 2.9},
        {"offset": 0, "duration": 7},
        {"offset": None, "duration": 3},
    )
    stretches = ["0.5,1.75", "0,2", "0,1.5", "1", "2.5", "1"]
    assert found == [*(f"b.wav#t={times}" for times in stretches), "b.wav", "b.wav", "b.wav"]


@pytest.mark.parametrize(
    ("times", "got"),
    [
        ({"offset": 3}, "from 3 s to its end"),
        ({"offset": 3.5, "duration": 0.1}, "from 3.5 s to 3.6 s"),
        ({"offset": 1, "duration": 2.5}, "from 1 s to 3.5 s"),
        ({"offset": 1, "duration": 1e-5}, "from 1 s to 1.00001 s"),
        ({"offset": 0, "duration": 1e-9}, "from 0 s to 1e-09 s"),
        ({"duration": 1e-9}, "from 0 s to 1e-09 s"),
    ],
)
def test_a_stretch_beyond_its_file_is_named(tmp_path: Path, times: dict[str, float | None], got: str) -> None:
    expected = f"m.jsonl:2: expected a stretch of {tmp_path}/audio/b.wav, which ends at 3.000 s, got '{got}'"
    with pytest.raises(InvalidDataset, match=re.escape(expected)):
        told(tmp_path, {}, times)


def test_stretches_have_ids_of_their_own_and_without_a_speaker_their_file_in_common(tmp_path: Path) -> None:
    sound(tmp_path / "audio" / "b.wav", seconds=3.0)
    line = {"audio_filepath": "audio/b.wav", "text": "x", "offset": 1}
    lines = [{**line, "duration": 1}, {**line, "speaker": "S1"}, {"audio_filepath": "audio/b.wav", "text": "x"}]
    file = corpus(tmp_path, "\n".join(map(json.dumps, lines)))
    assert [(item.id, item.group) for item, _ in read(f"nemo:{file}")][1:] == [
        ("audio/b.wav#t=1,2", "audio/b.wav"),
        ("audio/b.wav#t=1", "S1"),
        ("audio/b.wav", None),
    ]


def test_written_stretches_are_files_of_their_own(tmp_path: Path) -> None:
    clip = sound(tmp_path / "talk.flac", seconds=3.0)
    uris = [f"{clip}#t=0.5,1.75", f"{clip}#t=2"]
    pairs = [(Item(f"talk.flac{uri.removeprefix(str(clip))}", uri, "s"), Transcript("x")) for uri in uris]
    nemo.write(tmp_path / "out", pairs)
    lines = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert [(line["audio_filepath"], line["duration"]) for line in lines] == [
        ("audio/talk.flac_t_0.5_1.75.wav", 1.25),
        ("audio/talk.flac_t_2.wav", 1.0),
    ]
    assert [Path(item.uri).read_bytes() for item, _ in read(f"nemo:{tmp_path}/out")] == [medium(uri) for uri in uris]


def test_a_length_that_was_rounded_is_that_of_the_file(tmp_path: Path) -> None:
    sound(tmp_path / "audio" / "b.wav", seconds=3.6)
    lengths = [3, 4.0, 3.4, 3.7, None]  # whole seconds may be rounded down
    line = {"audio_filepath": "audio/b.wav", "text": "x"}
    for offset in ({}, {"offset": 0}, {"offset": 0.0}, {"offset": None}):
        file = corpus(tmp_path, "\n".join(json.dumps({**line, **offset, "duration": one}) for one in lengths))
        assert [item.id for item, _ in read(f"nemo:{file}")][1:] == len(lengths) * ["audio/b.wav"]


def test_speakers_may_be_numbers(tmp_path: Path) -> None:
    """As in NeMo's manifests for synthesis; 0 is one of them."""
    told: list[dict[str, object]] = [
        {"speaker": 0},
        {"speaker": 92},
        {"speaker": "a"},
        {"speaker": ""},
        {"speaker": None},
    ]
    line = {"audio_filepath": "audio/a.ogg", "text": "x"}
    file = corpus(tmp_path, "\n".join(json.dumps({**line, **one}) for one in told))
    assert [item.group for item, _ in read(f"nemo:{file}")][1:] == ["0", "92", "a", None, None]


def test_manifests_tell_the_language_by_several_names(tmp_path: Path) -> None:
    told = [{"lang": "de"}, {"language": "hsb"}, {"source_lang": "en", "target_lang": "de"}, {"lang": ""}, {}]
    line = {"audio_filepath": "audio/a.ogg", "text": "x"}
    file = corpus(tmp_path, "\n".join(json.dumps({**line, **one}) for one in told))
    assert [item.language for item, _ in read(f"nemo:{file}")][1:] == ["de", "hsb", "en", None, None]


@settings(max_examples=30)
@given(transcripts())
def test_written_transcripts_are_read_again(labels: list[Transcript]) -> None:
    for told, found in round_trip("nemo", labels):
        assert found == told


def test_a_written_line_has_the_length_of_the_sound_and_its_speaker(tmp_path: Path) -> None:
    clip = sound(tmp_path / "a.wav", seconds=1.25)
    pairs = [(Item("x/a.wav", str(clip), "S28", "zh"), Transcript("数字")), (Item("b", str(clip)), Transcript(""))]
    nemo.write(tmp_path / "out", pairs)
    lines = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert lines == [
        {"audio_filepath": "audio/x_a.wav", "duration": 1.25, "text": "数字", "speaker": "S28", "lang": "zh"},
        {"audio_filepath": "audio/b.wav", "duration": 1.25, "text": ""},
    ]
    known = [(item.group, item.language) for item, _ in read(f"nemo:{tmp_path}/out")]
    assert known == [("S28", "zh"), (None, None)]
