"""Lane training: lines stay on their paint through every warp, the loss falls on little data, a run is repeatable."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from PIL import ImageDraw

from models.errors import InvalidInput
from models.lane import recipe
from models.lane.metrics import measure
from models.lane.network import Batch, Network, Settings, loss
from models.lane.runtime import SURE_ENOUGH, to_lane
from models.lane.tracing import trace
from models.media import Image
from models.records import Item, Lane, Lanes, Transcript
from tests.descent import losses

SMALL = Settings(width=128, height=64, channels=(12, 16, 24, 32))


def _example(width: int = 256, height: int = 128, seed: int = 0) -> tuple[Image, Lanes]:
    """Two light lines on dark ground."""
    rng = np.random.default_rng(seed)
    lines = [((40.0 + 20 * k, 128.0), (110.0 + 30 * k, 10.0)) for k in (0, 3)]
    image = rng.integers(30, 60, (128, 256, 3)).astype(np.uint8)
    picture = Pictures.fromarray(image)

    for line in lines:
        ImageDraw.Draw(picture).line(line, fill=(235, 235, 235), width=5)
    return np.asarray(picture.resize((width, height))), Lanes(256, 128, tuple(Lane(line) for line in lines))


def _prepared(tmp_path: Path, seed: int = 0) -> recipe.Example:
    image, label = _example(seed=seed)
    path = tmp_path / f"{seed}.png"
    Pictures.fromarray(image).save(path)
    return recipe.prepare(Item(path.name, str(path)), label)


def test_settings_come_back_from_json_and_refuse_sizes_that_do_not_fit() -> None:
    assert Settings(**json.loads(json.dumps(asdict(SMALL)))) == SMALL
    with pytest.raises(InvalidInput, match="multiples of 32, got 100x64"):
        Settings(width=100, height=64)
    with pytest.raises(InvalidInput, match="4 channels"):
        Settings(channels=(8, 8))


def test_targets_of_an_upright_line_by_hand() -> None:
    # Pixel column 42 is cell 42 / 4 - 0.5 = 10: a whole column of ones, exp(-1 / (2 * 0.75^2)) = 0.411 beside it.
    heat, directions = recipe.targets([np.array([(42.0, 0.0), (42.0, 64.0)])], SMALL)
    assert heat.shape == (16, 32)
    assert heat[4:12, 10] == pytest.approx(np.ones(8), abs=0.02)
    assert heat[8, 9:12] == pytest.approx([0.411, 1, 0.411], abs=0.02)
    assert heat[8, 15:].max() == 0
    # upright is an angle of 90 degrees, doubled 180: cosine -1, sine 0
    assert directions[:, 8, 10] == pytest.approx([-1, 0], abs=1e-6)


def test_targets_without_lines_are_empty() -> None:
    heat, directions = recipe.targets([], SMALL)
    assert not heat.any()
    assert not directions.any()


def test_lines_stay_on_their_paint_through_every_warp(tmp_path: Path) -> None:
    example = _prepared(tmp_path)
    on, beside = [], []
    for seed in range(25):
        image, lines = recipe.augment(example, Settings(), np.random.default_rng(seed))
        grey = image.mean(axis=2)
        for line in lines:
            for share in np.linspace(0.1, 0.9, 9):
                x, y = line[0] + share * (line[1] - line[0])
                if 16 <= x < 368 and 4 <= y < 188:
                    on.append(grey[int(y), int(x)])
                    beside.append(min(grey[int(y), int(x) - 16], grey[int(y), int(x) + 15]))
    assert len(on) > 200
    # Patches that hide things, and light of all kinds, blur it; the paint was five times as bright as the ground.
    assert np.mean(np.array(on) > np.array(beside) + 0.1) > 0.85


def test_a_batch_follows_from_its_generator_alone(tmp_path: Path) -> None:
    examples = [_prepared(tmp_path, seed) for seed in range(3)]
    one, same, other = (recipe.collate(examples, SMALL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.heat, same.heat)
    assert not torch.equal(one.images, other.images)
    assert one.images.shape == (3, 3, 64, 128)
    assert one.heat.shape == (3, 16, 32)
    assert one.directions.shape == (3, 2, 16, 32)


def test_every_example_is_in_one_batch_and_no_batch_is_of_one() -> None:
    parts = recipe.batches([1] * 33, 16, np.random.default_rng(0))
    assert sorted(index for part in parts for index in part) == list(range(33))
    assert [len(part) for part in parts] == [16, 17]


def test_other_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"0\.png: expected lanes, got Transcript"):
        recipe.prepare(Item("0.png", str(tmp_path / "0.png")), Transcript("hello"))


def test_a_version_goes_on_from_the_weights_of_another() -> None:
    torch.manual_seed(0)
    first, second = Network(SMALL), Network(recipe.settings_for([], SMALL))
    recipe.warm_start(second, first.state_dict(), SMALL)
    images = torch.rand(1, 3, 64, 128)
    assert torch.equal(first.eval()(images)[0], second.eval()(images)[0])


def test_four_pictures_are_learnt_by_heart_in_seconds() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures, labels = zip(*(_example(128, 64, seed) for seed in range(4)), strict=True)
    scale = np.array([128 / 256, 64 / 128])
    targets = [recipe.targets([np.array(lane.points) * scale for lane in label.lanes], SMALL) for label in labels]
    images = torch.from_numpy(np.stack([picture.transpose(2, 0, 1) for picture in pictures])).float() / 255
    heat, directions = (torch.from_numpy(np.stack(part)) for part in zip(*targets, strict=True))
    batch = Batch(images, heat, directions)
    network = Network(SMALL)
    fallen = losses(network, loss, batch, 60, 5e-3)
    assert fallen[-1] < 0.5 * fallen[0]
    with torch.no_grad():
        maps = [part.numpy() for part in network.eval()(images)]
    pairs = []
    for row, label in enumerate(labels):
        found = [line for line in trace(maps[0][row], maps[1][row], SMALL.ridge) if line.existence.mean() > SURE_ENOUGH]
        pairs.append((Lanes(256, 128, tuple(to_lane(line, 256 / 32, 128 / 16) for line in found)), label))
    assert measure(pairs).f1_8px > 0.95
