"""The training command's own decisions: what is held out, what a source is called."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from models.errors import InvalidInput
from models.media import SAMPLE_RATE
from models.onnx_files import description
from models.pretrained import Pretrained
from models.records import Box, Boxes, Item, Transcript
from models.versions import STARTERS, read_version
from serving.media_files import content_id
from serving.training import (
    Material,
    Pairs,
    Request,
    Shared,
    _plan,
    _share_out,
    _tell_unknown,
    hold_out,
    material,
    read_marked,
    short_name,
    train_version,
)
from tests import tones
from tests.serving.test_handing_out import Desk


def pairs(groups: list[str]) -> Pairs:
    return [(Item(id=str(i), uri=f"{i}.wav", group=group), Transcript("x")) for i, group in enumerate(groups)]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(0, 5))
def test_holding_out_keeps_groups_whole_and_loses_nothing(groups: list[str], seed: int) -> None:
    everything = pairs(groups)
    kept, held = hold_out(everything, seed)
    assert sorted(int(item.id) for item, _ in kept + held) == list(range(len(groups)))
    assert not {item.group for item, _ in kept} & {item.group for item, _ in held}
    assert kept
    assert bool(held) == (len(set(groups)) > 1)


@given(st.lists(st.sampled_from("aaaaaabc"), min_size=2, max_size=40), st.integers(0, 9), st.floats(0.05, 0.5))
def test_most_items_stay_in_training_however_large_a_group_is(groups: list[str], seed: int, share: float) -> None:
    kept, held = hold_out(pairs(groups), seed, share)
    assert len(held) <= len(kept)


def test_holding_out_does_not_depend_on_what_else_there_is() -> None:
    few, many = pairs(list("abcdefghij")), pairs(list("abcdefghijkl"))
    _, held = hold_out(few, seed=3)
    assert {item.group for item, _ in hold_out(many, seed=3)[1]} <= {item.group for item, _ in held} | {"k", "l"}


@pytest.mark.parametrize(
    ("sizes", "share", "held"),
    [
        ([1] * 572, 0.05, 60),  # a twentieth, 29, would be too few to calibrate on
        ([1] * 2000, 0.05, 100),  # a twentieth is enough
        ([1] * 200, 0.1, 40),  # a fifth: fewer than wished for, enough to learn from
        ([1] * 149, 0.1, 30),
        ([1] * 147, 0.1, 15),  # a fifth, 29, would calibrate nothing: the share remains
        ([10] * 50, 0.05, 6),
        ([40] * 6, 0.05, 1),  # never more than a fifth of the groups
        ([100] * 3, 0.1, 1),
        ([500], 0.1, 0),
    ],
)
def test_as_much_is_held_out_as_a_first_calibration_needs(sizes: list[int], share: float, held: int) -> None:
    everything = pairs([str(group) for group, size in enumerate(sizes) for _ in range(size)])
    kept, out = hold_out(everything, 0, share)
    assert len({item.group for item, _ in out}) == held
    assert len(kept) + len(out) == sum(sizes)


def test_what_is_trained_on_four_times_is_held_out_once() -> None:
    once = pairs([str(group) for group in range(400)])
    kept, held = hold_out(once * 4, 0, 0.05)
    assert len(held) == len({item.uri for item, _ in held}) == 60
    assert len(kept) == 4 * 340


class TestWhatIsTrainedOn:
    """Of six files the store has five; two are chosen as gold, one of these without a label, and two are in the data
    twice."""

    @pytest.fixture
    def desk(self, tmp_path: Path) -> Desk:
        desk = Desk(tmp_path, gold_share=0)
        for name in "abcde":
            desk.post(name)
        desk.correct("a", 3)
        desk.correct("c", 3)
        desk.loop.gold.choose("detection", [content_id(name.encode()) for name in "ab"], "boss")
        return desk

    def request(self, folder: Path, *lists: str) -> Request:
        for name in "abcdef":
            (folder / f"{name}.wav").write_bytes(name.encode())
        for number, names in enumerate(lists):
            lines = [json.dumps({"audio_filepath": f"{name}.wav", "duration": 1, "text": name}) for name in names]
            (folder / f"{number}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return Request("detection", tuple(f"nemo:{folder}/{number}.jsonl" for number in range(len(lists))))

    def test_no_gold_of_data_sets_by_its_bytes(self, desk: Desk, tmp_path: Path) -> None:
        found = material(self.request(tmp_path, "abcdef", "bc"), desk.loop)
        assert [Path(item.uri).stem for item, _ in found.pairs] == list("cdefc")
        assert found.gold == 2
        elsewhere = material(replace(self.request(tmp_path, "abcdef"), task="lane"), desk.loop)  # gold of another task
        assert (len(elsewhere.pairs), elsewhere.gold) == (6, 0)

    def test_no_gold_of_the_store(self, desk: Desk) -> None:
        found = material(Request("detection", ()), desk.loop)
        assert ([desk.names[item.id] for item, _ in found.pairs], found.gold) == (["c"], 1)

    def test_gold_by_chance_is_what_the_store_knows(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, gold_share=0.999999)
        for name in "ab":
            desk.post(name)
        found = material(self.request(tmp_path, "abc"), desk.loop)
        assert ([Path(item.uri).stem for item, _ in found.pairs], found.gold) == (["c"], 2)


def test_what_gives_figures_or_calibrates_is_not_trained_on_under_any_name(tmp_path: Path) -> None:
    def speech(name: str, *sounds: str) -> str:
        (tmp_path / name).mkdir()
        for sound in sounds:
            (tmp_path / name / f"{sound}.wav").write_bytes(sound.encode())
        lines = [json.dumps({"audio_filepath": f"{sound}.wav", "duration": 1, "text": sound}) for sound in sounds]
        (tmp_path / name / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return f"nemo:{tmp_path}/{name}/list.jsonl"

    request = Request("asr", (speech("all", *"abcdef"),), (speech("held", "b"),), unseen=(speech("other", "d", "e"),))
    shared = _share_out(Material(read_marked(request.data)[0]), request)
    kept, unseen, held_out = (
        [Path(item.uri).stem for item, _ in each] for each in (shared.kept, shared.unseen, shared.held_out)
    )
    assert (kept, unseen, held_out) == (["a", "c", "f"], ["d", "e"], ["b"])
    drawn = _share_out(Material(read_marked(request.data)[0]), replace(request, unseen=()))
    assert "b" not in [Path(item.uri).stem for item, _ in (*drawn.kept, *drawn.unseen)]


def test_data_without_items_is_told_however_much_the_rest_has(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "full.jsonl").write_text(json.dumps({"audio_filepath": "a.wav", "text": "go"}), encoding="utf-8")
    (tmp_path / "empty.jsonl").touch()
    full, empty = f"nemo:{tmp_path}/full.jsonl", f"nemo:{tmp_path}/empty.jsonl"
    assert len(read_marked((full, full))[0]) == 2
    with pytest.raises(InvalidInput, match=f"^data set: expected labelled items, got none in {empty}$"):
        read_marked((full, empty))


def test_what_is_left_out_or_empty_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "list.jsonl").write_text(json.dumps({"audio_filepath": "a.wav", "text": ""}), encoding="utf-8")
    data, said = (f"nemo:{tmp_path}/list.jsonl",), io.StringIO()
    material = Material(read_marked(data)[0], gold=2)
    folders = {"runs_dir": tmp_path / "runs", "versions_dir": tmp_path / "versions"}
    console = Console(file=said, width=200)
    with pytest.raises(InvalidInput, match="besides those held out"):
        train_version(Request("asr", data, data), material, start=None, **folders, console=console)
    assert said.getvalue().splitlines() == [
        "train asr: 2 gold items left out of training",
        "train asr: nothing is labelled in 1 of 1 item",
    ]


def test_what_held_out_data_calls_otherwise_is_told_before_training(tmp_path: Path) -> None:
    def named(*names: str) -> Pairs:
        boxes = tuple(Box((0, 0, 9, 9), name) for name in names)
        return [(Item("a", "a.jpg"), Boxes(10, 10, boxes))]

    said = io.StringIO()
    for held_out in (named("car", "bus"), named("car", *"abcdefghij"), named()):
        shared = Shared(named("car"), [], held_out, "", {})
        _tell_unknown("detection", shared, None, Console(file=said, width=200))
    assert said.getvalue().splitlines() == [
        "train detection: the model knows no bus, so boxes called so count as missed; it knows car",
        "train detection: the model knows no a, b, c, d, e, f, g, h, i and 1 more, so boxes called so count as missed; "
        "it knows car",
    ]
    start = Pretrained("other", {"categories": ["bus"]}, tmp_path)
    _tell_unknown("detection", Shared(named("car"), [], named("bus"), "", {}), start, Console(file=said, width=200))
    assert said.getvalue().count("\n") == 2


def test_words_stay_as_certain_as_those_of_the_start_where_too_few_items_can_teach_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = Pairs()
    for number in range(3):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, tones.sound("abc", rng), SAMPLE_RATE)
        pairs.append((Item(path.name, str(path)), Transcript("abc")))
    start = read_version(STARTERS / "asr")
    version = train_version(
        Request("asr", data=(), epochs=1),
        Material(pairs),
        start=start,
        runs_dir=tmp_path / "runs",
        versions_dir=tmp_path / "versions",
    )
    told = description(start.onnx, "asr")["word_certainty"]
    assert description(version.onnx, "asr")["word_certainty"] == version.training["word_certainty"] == told


def test_a_learning_rate_of_nothing_is_not_the_usual_one() -> None:
    with pytest.raises(InvalidInput, match="expected epochs, batch size and learning rate > 0 and finite"):
        _plan(Request("lane", ("culane:x",), learning_rate=0.0), None)
    assert _plan(Request("lane", ("culane:x",)), None).learning_rate > 0


def test_a_source_is_named_without_the_folders_above_it() -> None:
    assert short_name("nemo:/data/speech/digits/train.jsonl") == "nemo:digits/train.jsonl"
    assert short_name("culane:roads:train") == "culane:roads:train"


def test_the_threads_of_training_wait_asleep() -> None:
    """OpenMP tells on stderr what it took from the environment at the moment when torch brought it along."""
    train = "from serving.training import Material, Request, train_version as train; from pathlib import Path\n"
    train += "train(Request('lane', ()), Material([]), start=None, runs_dir=Path(), versions_dir=Path())"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", train], env=environment, capture_output=True, text=True, check=False)
    assert "got none" in ended.stderr
    assert "GOMP_SPINCOUNT = '0'" in ended.stderr
