"""A file becomes a version: immutable, whole, sane; what is not such a file is refused."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from models import tasks
from models.declaring import merged, read_declaration
from models.errors import InvalidInput, NotFound, Refused
from models.importing import check_sane, import_onnx, is_pretrained, sample_media
from models.onnx_files import metadata
from models.records import TASKS, Boxes, Prediction, Task
from models.versions import CARD, MANIFEST, ONNX, Version, read_version
from tests import foreign_detectors as foreign
from tests.little_room import files_of_at_most
from tests.tiny_versions import make_version

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def take(folder: Path, file: Path, task: Task = "detection", given: Mapping[str, Any] | None = None) -> Version:
    return import_onnx(task, file, given or {}, note="Ada's, MIT", versions_dir=folder / "versions", now=NOW)


def test_an_imported_version_is_whole(tmp_path: Path) -> None:
    made = foreign.ultralytics(tmp_path / "best.onnx")
    version = take(tmp_path, made)
    assert read_version(version.folder) == version
    assert version.folder == tmp_path / "versions" / version.name
    assert version.settings["classes"] == ["red", "green"]
    assert version.training["imported"] == "best.onnx"
    assert version.training_ids() == frozenset()
    card = (version.folder / CARD).read_text(encoding="utf-8")
    assert "Ada's, MIT" in card
    assert '"letterbox"' in card
    carried = json.loads(metadata(version.onnx)["prelabel"])
    assert carried == {"task": "detection", "declaration": version.settings}
    assert metadata(version.onnx)["author"] == "Ultralytics"  # what the file said of itself stays
    assert take(tmp_path, made) == version
    assert [path.name for path in version.folder.parent.iterdir()] == [version.name]


@pytest.mark.parametrize("own", [False, True])
def test_a_full_disk_is_told_in_a_line_and_leaves_nothing(tmp_path: Path, own: bool) -> None:
    source = make_version(tmp_path / "own", "detection").folder if own else foreign.ultralytics(tmp_path / "best.onnx")
    told = f"^{tmp_path}/versions: expected room for a version, got File too large; nothing of it is left there$"
    with pytest.raises(InvalidInput, match=told), files_of_at_most(100):
        take(tmp_path, source)
    assert not [*(tmp_path / "versions").iterdir()]


def test_another_declaration_is_another_version(tmp_path: Path) -> None:
    made = foreign.ultralytics(tmp_path / "best.onnx")
    other = take(tmp_path, made, given={"input": {"resize": "stretch"}})
    assert other.name != take(tmp_path, made).name


def test_an_imported_file_can_be_imported_elsewhere(tmp_path: Path) -> None:
    version = take(tmp_path, foreign.ultralytics(tmp_path / "best.onnx"))
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(version.onnx.read_bytes())
    assert take(tmp_path / "elsewhere", alone).name == version.name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", [".", ONNX])
def test_a_version_of_ours_comes_with_all_it_has(tmp_path: Path, task: Task, part: str) -> None:
    own = make_version(tmp_path / "own", task)
    (own.folder / "training-ids.txt").write_text("ab\n", encoding="utf-8")
    taken = take(tmp_path, own.folder / part, task)
    assert (taken.name, taken.metrics) == (own.name, own.metrics)
    assert taken.training_ids() == {"ab"}
    with pytest.raises(InvalidInput, match="expected no declaration for a version's own file, got head"):
        take(tmp_path, own.folder / part, task, {"head": "yolo"})


@pytest.mark.parametrize("name", ["../../out", "/out", "lane-0123456789ab", 5])
def test_a_version_goes_by_no_other_name_than_its_files(tmp_path: Path, name: object) -> None:
    """Its name is a folder here: another one would lead out of the versions, or take the place of another version."""
    own = make_version(tmp_path / "own", "lane")
    told = json.loads((own.folder / MANIFEST).read_text(encoding="utf-8"))
    (own.folder / MANIFEST).write_text(json.dumps({**told, "name": name}), encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"version\.json: name: expected {own.name}, as its ONNX file has it, got"):
        take(tmp_path / "a" / "b", own.folder, "lane")
    assert not [*tmp_path.rglob("out"), *(tmp_path / "a").rglob(MANIFEST)]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "about",
    [
        "[1]",
        "[" * 100_000,
        '{"task": "TASK"}',
        '{"task": "TASK", "settings": {}}',
        '{"task": "TASK", "declaration": [1]}',
    ],
)
def test_a_file_that_describes_itself_otherwise_is_refused(tmp_path: Path, task: Task, about: str) -> None:
    own = make_version(tmp_path / "own", task)
    model = onnx.load(own.onnx)
    onnx.helper.set_model_props(model, {"prelabel": about.replace("TASK", task)})
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InvalidInput, match=r"m\.onnx: expected (a model exported|a description|the settings)"):
        take(tmp_path, tmp_path / "m.onnx", task)
    assert not list((tmp_path / "versions").iterdir())


def test_a_file_of_ours_alone_will_do(tmp_path: Path) -> None:
    own = make_version(tmp_path / "own", "lane")
    (own.folder / MANIFEST).unlink()
    taken = take(tmp_path, own.onnx, "lane")
    assert (taken.name, taken.settings) == (own.name, own.settings)
    with pytest.raises(InvalidInput, match="expected a model for asr, got one for 'lane'"):
        take(tmp_path, own.onnx, "asr")


def test_a_version_that_came_as_a_file_alone_does_not_pass_for_the_whole(tmp_path: Path) -> None:
    own = make_version(tmp_path / "own", "lane")
    (own.folder / "training-ids.txt").write_text("ab\n", encoding="utf-8")
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(own.onnx.read_bytes())
    taken = take(tmp_path, alone, "lane")
    with pytest.raises(Refused, match=f"first to bring {own.name}, got one that is here already, without its"):
        take(tmp_path, own.folder, "lane")
    assert taken.training_ids() == frozenset()
    assert take(tmp_path / "elsewhere", own.folder, "lane").training_ids() == {"ab"}
    assert take(tmp_path / "elsewhere", own.folder, "lane").name == own.name  # twice is harmless


def test_weights_that_lie_beside_the_model_come_inside(tmp_path: Path) -> None:
    made = foreign.ultralytics(tmp_path / "made.onnx")
    beside = tmp_path / "beside.onnx"
    onnx.save(onnx.load(made), beside, save_as_external_data=True, location="weights.bin", size_threshold=1024)
    version = take(tmp_path, beside)
    (tmp_path / "weights.bin").unlink(missing_ok=True)
    media = foreign.cells()  # any numbers: only that it runs without the file beside it
    assert len(media) == 252
    tasks.load_runtime("detection", version.onnx).predict(np.zeros((9, 9, 3), np.uint8))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.onnx: expected an ONNX file, got nothing of that name"):
        take(tmp_path, tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a model, but a text of some length\n" * 9, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"text\.onnx: expected an ONNX model that ONNX Runtime can run"):
        take(tmp_path, tmp_path / "text.onnx")
    assert not list((tmp_path / "versions").iterdir())  # nothing unfinished stays


def test_a_folder_of_other_things_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    """As Hugging Face's libraries write it."""
    for name in ("model.safetensors", "config.json"):
        (tmp_path / "hub" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "hub" / name).write_bytes(b"{}")
    message = (
        r"hub: expected an ONNX file, .* CTranslate2 with model\.bin, .*, got a folder with config\.json, model\.saf"
    )
    with pytest.raises(InvalidInput, match=message):
        import_onnx("asr", tmp_path / "hub", {}, note="", versions_dir=tmp_path / "versions", now=NOW)


@pytest.mark.parametrize("name", ["it.pth", "last.ckpt", "torchvision:fcos_resnet50_fpn", "best.safetensors"])
def test_checkpoints_are_known_by_their_names(name: str) -> None:
    assert is_pretrained(name)
    assert not is_pretrained("model.onnx")


def test_a_declaration_that_is_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"{tmp_path}: expected UTF-8 text, got Is a directory$"):
        read_declaration(tmp_path)


def test_a_declaration_is_toml_and_may_name_a_file_of_classes(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("car\n\nvan \n", encoding="utf-8")
    declared = tmp_path / "it.toml"
    declared.write_text('classes = "names.txt"\n[input]\nwidth = 64\n', encoding="utf-8")
    assert read_declaration(declared) == {"classes": ["car", "van"], "input": {"width": 64}}
    for file in (declared, tmp_path / "names.txt"):  # as some editors begin a file
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_declaration(declared) == {"classes": ["car", "van"], "input": {"width": 64}}
    for broken in ("classes = [\n", "classes = " + "[" * 5000, "width = " + "1" * 5000):
        declared.write_text(broken, encoding="utf-8")
        with pytest.raises(InvalidInput, match=r"it\.toml: expected TOML, got"):
            read_declaration(declared)
    with pytest.raises(NotFound, match=r"none\.toml: expected a file"):
        read_declaration(tmp_path / "none.toml")


def test_later_layers_win_and_tables_merge() -> None:
    assert merged({"a": 1, "t": {"x": 1, "y": 2}}, {"t": {"y": 3}}, {"a": {"z": 1}}) == {
        "a": {"z": 1},
        "t": {"x": 1, "y": 3},
    }
    with pytest.raises(InvalidInput, match="t: expected a table, got 3"):
        merged({"t": {"x": 1}}, {"t": 3})


class Fickle:
    """Answers otherwise each time."""

    def __init__(self, *, scores: tuple[float, ...] = (0.5,), length: bool = False) -> None:
        self.asked = 0
        self.scores = scores
        self.length = length

    def feeds(self, media: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"images": media}

    def predict(self, media: NDArray[Any]) -> Prediction:
        self.asked += 1
        height, width = media.shape[:2]
        score = self.scores[self.asked % len(self.scores)]
        size = height if self.length else 1
        return Prediction(Boxes(width, height), score, {"score": score}, (0.0,) * size)


def test_answers_must_be_the_same_twice_and_alike_for_all_media() -> None:
    check_sane("detection", Fickle(), "it.onnx")
    with pytest.raises(Refused, match=r"it\.onnx: a blurred picture of 480x270: expected the same answer twice"):
        check_sane("detection", Fickle(scores=(0.1, 0.2)), "it.onnx")
    with pytest.raises(Refused, match="expected features and embeddings of one length"):
        check_sane("detection", Fickle(length=True), "it.onnx")
    with pytest.raises(InvalidInput, match=r"it\.onnx: a blurred picture of 480x270: .*number in \[0, 1\]"):
        check_sane("detection", Fickle(scores=(2.0,)), "it.onnx")


@pytest.mark.parametrize("task", TASKS)
def test_sample_media_are_the_same_every_time(task: Task) -> None:
    for (name, first), (_, second) in zip(sample_media(task), sample_media(task), strict=True):
        assert np.array_equal(first, second), name
        assert first.ndim == (1 if task == "asr" else 3)
