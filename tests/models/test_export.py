"""Publishing: a version is whole, carries its settings, and never disagrees with the network it came from."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from models import export, quantise, tasks
from models.errors import InvalidInput, Refused
from models.evaluate import Evaluation, read_item
from models.export import Origin, _difference, check_parity, publish
from models.marks import CulaneImage, Mark, Marks
from models.onnx_files import description
from models.quantise import LEAST_ITEMS, Trial
from models.records import Item, Label
from models.versions import CARD, Version, read_version
from tests.little_room import files_of_at_most
from tests.roads import road_pairs

Made = tuple[nn.Module, Any, list[tuple[Item, Label]], Version]

ORIGIN = Origin(
    task="lane",
    parent=None,
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    data=("culane:roads:train",),
    held_out="culane:roads:val",
    training={"epochs": 1, "seed": 0},
    notes="Lines drawn by a test.",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("export")
    pairs = road_pairs(folder / "media")
    recipe, module = tasks.recipe("lane"), tasks.network("lane")
    torch.manual_seed(0)
    settings = recipe.settings_for([label for _, label in pairs], None)
    network = module.Network(settings).eval()
    return network, settings, pairs, publish(ORIGIN, network, settings, pairs[:4], pairs[4:], folder / "versions")


def test_the_same_weights_make_the_same_file_in_every_process(made: Made) -> None:
    """The exporter notes sets in the order that a process hashes them by; a version's name would change with it."""
    graph = onnx.load(made[3].onnx).graph
    assert not graph.metadata_props
    assert not any(node.metadata_props for node in graph.node)


def test_a_published_version_is_whole(made: Made) -> None:
    network, _, _, version = made
    assert read_version(version.folder) == version
    assert version.name == version.folder.name
    assert len(version.training_ids()) == 4
    assert 0 <= version.metrics["quality"] <= 1
    saved = load_file(version.checkpoint)
    own = network.state_dict()
    assert saved.keys() == own.keys()
    for name, value in saved.items():
        narrow = own[name].ndim > 1
        assert value.dtype == (torch.float16 if narrow else own[name].dtype)
        torch.testing.assert_close(value.to(own[name].dtype), own[name], rtol=1e-3 if narrow else 0, atol=1e-7)
    card = (version.folder / CARD).read_text(encoding="utf-8")
    assert "Lines drawn by a test." in card
    assert version.training["arithmetic"] == "fp32"
    assert "- arithmetic: fp32\n" in card
    assert "culane:roads:val" in card


def test_a_weight_too_large_for_16_bits_is_kept_as_it_is() -> None:
    large = torch.tensor([[1e5, 1.0]])
    assert torch.equal(export._stored(large), large)


def test_the_onnx_file_says_what_it_is(made: Made) -> None:
    _, settings, _, version = made
    properties = {entry.key: entry.value for entry in onnx.load(version.onnx).metadata_props}
    carried = json.loads(properties["prelabel"])
    assert carried["task"] == "lane"
    assert tasks.network("lane").Settings(**carried["settings"]) == settings
    assert {path.name for path in version.folder.iterdir()} == {
        "model.onnx",
        "checkpoint.safetensors",
        "version.json",
        "training-ids.txt",
        "README.md",
    }


def test_publishing_the_same_weights_again_changes_nothing(made: Made) -> None:
    network, settings, pairs, version = made
    again = publish(ORIGIN, network, settings, pairs[:4], pairs[4:], version.folder.parent)
    assert again == version
    assert [path.name for path in version.folder.parent.iterdir()] == [version.name]


@pytest.mark.parametrize("spared", [0, 1])
def test_a_full_disk_is_told_in_a_line_and_leaves_nothing(made: Made, tmp_path: Path, spared: int) -> None:
    """It refuses the checkpoint, which is smaller than the graph before it, or both."""
    network, settings, pairs, version = made
    most = version.onnx.stat().st_size if spared else 1000
    kept = "what was trained is kept in runs"
    told = f"^{tmp_path}/out: expected room for a version, got File too large; {kept}$"
    network.register_buffer("large", torch.zeros(most))
    try:
        with pytest.raises(InvalidInput, match=told), files_of_at_most(most):
            publish(ORIGIN, network, settings, pairs[:4], pairs[4:], tmp_path / "out", kept=kept)
    finally:
        del network.large
    assert not [*(tmp_path / "out").iterdir()]


def test_int8_goes_out_where_it_wins_and_training_still_starts_from_fp32(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, settings, pairs, version = made
    monkeypatch.setattr(export, "export_onnx", lambda *given: shutil.copy(version.onnx, given[-1]))
    trials = iter([Trial(0.5, 10.0), Trial(0.5, 4.0)])
    monkeypatch.setattr(quantise, "_tried", lambda *_: next(trials))
    unseen = road_pairs(tmp_path / "unseen", LEAST_ITEMS)
    narrow = publish(ORIGIN, network, settings, pairs[:4], pairs[4:], tmp_path / "versions", unseen=unseen)
    reached = {"fp32": {"quality": 0.5, "ms": 10.0}, "int8": {"quality": 0.5, "ms": 4.0}}
    assert narrow.training["arithmetic"] == {"graph": "int8", "items": LEAST_ITEMS, **reached}
    assert f"- arithmetic: int8; on {LEAST_ITEMS} items" in (narrow.folder / CARD).read_text(encoding="utf-8")
    assert narrow.onnx.stat().st_size < version.onnx.stat().st_size / 2
    assert narrow.checkpoint.read_bytes() == version.checkpoint.read_bytes()


def test_what_data_sets_say_beside_labels_counts_in_every_figure(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, settings, pairs, _ = made
    unseen = road_pairs(tmp_path / "unseen", LEAST_ITEMS)
    night = {item.uri: CulaneImage("night") for item, _ in (*pairs[4:], *unseen)}
    heard, tried = list[tuple[Mark | None, ...]](), list[Marks]()

    def quality(*given: Any) -> float:
        tried.append(given[-1])
        return 0.5

    monkeypatch.setattr(quantise, "quality", quality)

    def keep(seen: Evaluation) -> dict[str, Any]:
        heard.append(seen.marks)
        return {}

    folder = tmp_path / "versions"
    given: dict[str, Any] = {"unseen": unseen, "marks": night, "tune": keep, "calibrate": keep}
    version = publish(ORIGIN, network, settings, pairs[:4], pairs[4:], folder, **given)
    assert list(version.metrics["f1_by_category"]) == ["night"]
    assert heard == [(CulaneImage("night"),) * LEAST_ITEMS] * 2
    assert tried == [night, night], "fp32 and int8"


def test_a_version_is_tuned_on_items_kept_out_of_training(made: Made, tmp_path: Path) -> None:
    network, settings, pairs, version = made
    unseen = road_pairs(tmp_path / "unseen", LEAST_ITEMS)

    def published(n: int, **given: Any) -> Version:
        asked = list[int]()

        def tune(seen: Evaluation) -> dict[str, Any]:
            asked.append(len(seen.items))
            return {"box_certainty": {"car": {"slope": 1.3}}}

        folder = tmp_path / f"versions-{n}"
        again = publish(ORIGIN, network, settings, pairs[:4], pairs[4:], folder, unseen=unseen[:n], tune=tune, **given)
        assert asked == ([n] if n == LEAST_ITEMS else [])
        return again

    told = published(LEAST_ITEMS)
    learnt = {"car": {"slope": 1.3}}
    assert description(told.onnx, "lane")["box_certainty"] == told.training["box_certainty"] == learnt
    assert description(told.onnx, "lane")["settings"] == description(version.onnx, "lane")["settings"]
    assert told.name != version.name
    assert "box_certainty" not in published(LEAST_ITEMS - 1).training

    before = {"car": {"slope": 1.1}, "bus": {"slope": 1.2}}
    kept, added = (published(n, before={"box_certainty": before}) for n in (LEAST_ITEMS - 1, LEAST_ITEMS))
    assert description(kept.onnx, "lane")["box_certainty"] == before
    assert description(added.onnx, "lane")["box_certainty"] == {**before, **learnt}


def test_a_side_of_a_box_is_as_exact_as_the_whole_box() -> None:
    """One at the border comes from a middle and a width of hundreds of pixels, with their rounding errors."""
    box = np.array([[[0.0, 2.0, 600.0, 300.0]]], np.float32)
    assert _difference("boxes", box, box + np.float32(0.04), {}) == pytest.approx(0.04, abs=1e-4)
    for name, other in (("boxes", box + np.float32(0.7)), ("embedding", box + np.float32(0.04))):
        with pytest.raises(Refused, match=f"{name} of .*: torch and ONNX differ by"):
            _difference(name, box, other, {})
    nothing = np.zeros((1, 0, 4), np.float32)
    assert _difference("boxes", nothing, nothing, {}) == 0


def test_a_network_that_disagrees_with_its_export_is_refused(made: Made) -> None:
    network, settings, pairs, version = made
    other = tasks.network("lane").Network(settings)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        next(iter(other.parameters())).mul_(1.5)
    runtime = tasks.load_runtime("lane", version.onnx)
    media = [read_item("lane", item) for item, _ in pairs[:2]]
    assert check_parity("lane", network, runtime, version.onnx, media) < 1e-3
    with pytest.raises(Refused, match="torch and ONNX differ by"):
        check_parity("lane", other.eval(), runtime, version.onnx, media)
