"""NeMo manifests: JSON lines, every broken one named, and written transcripts read again."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from models.datasets import nemo, read
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
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "offset": 2.5}', "expected whole files (offset 0), got 2.5"),
        ('{"audio_filepath": "audio/a.ogg", "text": "x", "speaker": 7}', "expected a string under 'speaker', got 7"),
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


def test_the_beginning_of_a_longer_file_is_no_whole_file(tmp_path: Path) -> None:
    """Manifests of long recordings cut them by ``offset`` and ``duration``; the first piece has the offset 0."""
    sound(tmp_path / "audio" / "b.wav", seconds=3.0)
    line = {"audio_filepath": "audio/b.wav", "text": "x", "offset": 0.0, "duration": 2.0}
    file = corpus(tmp_path, json.dumps(line))
    expect_broken(f"nemo:{file}", file, 3, "expected whole files (duration 3.00, that of the file), got 2.0")


def test_a_length_that_was_rounded_is_that_of_the_file(tmp_path: Path) -> None:
    sound(tmp_path / "audio" / "b.wav", seconds=3.6)
    told = [3, 4.0, 3.4, 3.7, None]  # whole seconds may be rounded down
    line = {"audio_filepath": "audio/b.wav", "text": "x"}
    file = corpus(tmp_path, "\n".join(json.dumps({**line, "duration": one}) for one in told))
    assert len([*read(f"nemo:{file}")]) == 1 + len(told)


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
