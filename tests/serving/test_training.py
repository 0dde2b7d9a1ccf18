"""The training command's own decisions: what is held out, what a source is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Item, Transcript
from serving.training import Pairs, hold_out, short_name


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


def test_a_source_is_named_without_the_folders_above_it() -> None:
    assert short_name("nemo:/data/speech/digits/train.jsonl") == "nemo:digits/train.jsonl"
    assert short_name("culane:roads:train") == "culane:roads:train"


def test_the_threads_of_training_wait_asleep() -> None:
    """OpenMP tells on stderr what it took from the environment at the moment when torch brought it along."""
    train = "from serving.training import Request, train_version as train; from pathlib import Path; root = Path()\n"
    train += "train(Request('lane', ()), start=None, corrections=list, runs_dir=root, versions_dir=root)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", train], env=environment, capture_output=True, text=True, check=False)
    assert "got none" in ended.stderr
    assert "GOMP_SPINCOUNT = '0'" in ended.stderr
