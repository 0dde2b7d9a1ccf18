"""The whole round with the real Label Studio: attach, predictions, order, annotations, promotion, what was missed."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import uvicorn
from PIL import Image, ImageDraw
from scipy import ndimage

from models import scenes
from models.records import TASKS, Boxes, Label, Lanes, Task, Transcript
from models.versions import starters
from serving.errors import StoreAway
from serving.label_studio.media import Media
from serving.loop import utc_now
from serving.media_files import content_id
from serving.tokens import make_token
from tests.movies import brightening, movie
from tests.serving.browser import command as chromium
from tests.serving.browser import launched
from tests.serving.processes import free_port
from tests.serving.real_studio import TOKEN, RealStudio, command, running
from tests.serving.served import Served, eventually, serving, sound
from tests.serving.studio_pages import Shown, open_task, save, select_region, signed_in
from tests.serving.test_cli import prelabel
from tests.serving.test_label_studio_video import VIDEO
from tests.tiny_versions import make_version

PROGRAM = command()
CHROMIUM = chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Label Studio is not installed; `make label-studio` does so")

CONFIGS: dict[Task, str] = {
    "detection": """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
        <Label value="car"/></RectangleLabels></View>""",
    "lane": """<View><Image name="image" value="$image"/><VectorLabels name="label" toName="image" closable="false"
        minPoints="2"><Label value="Line"/></VectorLabels></View>""",
    "asr": """<View><Labels name="label" toName="audio"><Label value="Speech"/></Labels>
        <Audio name="audio" value="$audio"/><TextArea name="text" toName="audio" perRegion="true"/></View>""",
}
TITLES: dict[Task, str] = {"detection": "road users", "lane": "lines", "asr": "speech"}
COLOUR = "#e08"  # of the regions; nothing in the scene has it
MEDIA = 4


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStudio]:
    assert PROGRAM is not None
    with running(PROGRAM, tmp_path_factory.mktemp("studio") / "data") as started:
        yield started


@contextmanager
def on_a_port(served: Served, port: int) -> Iterator[None]:
    """The deployment's app, answering where Label Studio can reach it."""
    server = uvicorn.Server(uvicorn.Config(served.app, "127.0.0.1", port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def files(task: Task, count: int = MEDIA) -> dict[str, bytes]:
    """A few media, each with other bytes."""
    made = {}
    for number in range(count):
        file = io.BytesIO()
        if task == "asr":
            time_s = np.arange(16000 + 1600 * number) / 16000
            soundfile.write(file, 0.3 * np.sin((1000 + 500 * number) * time_s), 16000, format="WAV")
        else:
            Image.fromarray(scenes.render(np.random.default_rng(number), 320, 192).image).save(file, "PNG")
        made[f"{task}-{number}.{'wav' if task == 'asr' else 'png'}"] = file.getvalue()
    return made


@pytest.mark.parametrize("task", TASKS)
def test_the_whole_round(task: Task, studio: RealStudio, tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=[task], **settings) as served, on_a_port(served, port):
        make_token(served.loop.store, "somebody", ("admin",), "tester", utc_now())  # from now on the service is guarded
        version = served.deployment.live.version(task)
        project = studio.new_project(f"{task} of a test", CONFIGS[task], files(task))
        done = attach(tmp_path, studio, task, project, port)
        assert done.returncode == 0, done.stderr
        assert f"{MEDIA} tasks have a prediction of {version}" in done.stdout

        predictions = studio.predictions(project)
        assert [one["model_version"] for one in predictions] == [version] * MEDIA
        assert all(one["result"] for one in predictions)
        assert studio.shown_version(project) == version
        by_score = sorted(predictions, key=lambda one: float(one["score"]))
        first = by_score[0]
        ours = [served.loop.store.studio.item_of(task, one["task"]) for one in by_score]
        assert served.loop.standing(task, MEDIA)[1] == ours
        assert studio.call("GET", f"/api/projects/{project}/next")["id"] == first["task"]

        studio.act("retrieve_tasks_predictions", project)
        assert len({one["task"] for one in studio.predictions(project)}) == MEDIA

        drawn = studio.interactive(project, first["task"], first["result"][:1])
        assert drawn[0]["value"] == first["result"][0]["value"]

        annotation = studio.annotate(first["task"], first["result"], lead_time=12.5, parent_prediction=first["id"])
        eventually(lambda: len(corrections(served, task)) == 1, within_s=60)
        (given,) = corrections(served, task)
        assert (given["seconds"], given["model_version"], given["annotator"]) == (12.5, version, "label-studio:1")
        assert studio.call("GET", f"/api/projects/{project}/next")["id"] == by_score[1]["task"]
        studio.call("PATCH", f"/api/annotations/{annotation}/", json={"result": first["result"], "lead_time": 15.0})
        eventually(lambda: len(corrections(served, task)) == 2, within_s=60)
        assert sum(one["seconds"] for one in corrections(served, task)) == 15

        newer = make_version(tmp_path / "newer", task, size=24, word="no")
        served.loop.versions.add(newer.folder, "tester")
        served.loop.versions.promote(newer.name, "tester", force=True)
        eventually(lambda: studio.shown_version(project) == newer.name, within_s=120)
        assert sum(one["model_version"] == newer.name for one in studio.predictions(project)) == MEDIA

        missed_and_deleted(served, studio, task, project, annotation)
        assert served.loop.store.inbox.counts("label-studio") == (0, 0)


def test_a_video_is_tracked_and_comes_back_by_still(studio: RealStudio, tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=["detection"], **settings) as served, on_a_port(served, port):
        project = studio.new_project("video of a test", VIDEO, {"a.mp4": movie(brightening(12, 120, 90))})
        done = attach(tmp_path, studio, "detection", project, port)
        assert done.returncode == 0, done.stderr
        (prediction,) = studio.predictions(project)
        assert prediction["model_version"] == served.deployment.live.version("detection")
        (region,) = prediction["result"]
        assert [key["frame"] for key in region["value"]["sequence"]] == [1, 11]
        given = {"lead_time": 12.0, "parent_prediction": prediction["id"]}
        studio.annotate(prediction["task"], prediction["result"], **given)
        eventually(lambda: len(corrections(served, "detection")) == 3, within_s=60)
        assert [one["seconds"] for one in corrections(served, "detection")] == [4, 4, 4]


@pytest.mark.parametrize("task", ["detection", "asr"])
def test_gold_items_stand_among_the_tasks_and_measure_whoever_has_them(
    task: Task, studio: RealStudio, tmp_path: Path
) -> None:
    port = free_port()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=[task], **settings) as served, on_a_port(served, port):
        media = files(task, 2 * MEDIA)
        known = [media.pop(name) for name in list(media)[MEDIA:]]
        for data in known:
            said = served.client.post(f"/v1/{task}/annotate", content=data).json()
            served.client.put(f"/v1/items/{said['item_id']}/gold", json={"task": task, "label": said["label"]})
        served.deployment.adopt({"planted_share": 0.34}, None, "tester")
        project = studio.new_project(f"gold among {task}", CONFIGS[task], media)
        done = attach(tmp_path, studio, task, project, port)
        assert done.returncode == 0, done.stderr
        assert f"gold: 2 planted\nproject {project}: {MEDIA + 2} tasks have a prediction" in done.stdout

        ids = {content_id(data) for data in known}
        order = list[tuple[int, bool]]()
        predictions = {one["task"]: one for one in studio.predictions(project)}
        while (shown := studio.next_task(project)) is not None:
            order.append((shown["id"], served.loop.store.studio.item_of(task, shown["id"]) in ids))
            said = predictions[shown["id"]]
            studio.annotate(shown["id"], said["result"], lead_time=3.0, parent_prediction=said["id"])
            eventually(lambda: served.loop.store.inbox.counts("label-studio")[0] == 0, within_s=60)
        assert len(order) == MEDIA + 2
        assert sum(is_gold for _, is_gold in order) == 2
        told = served.loop.labelled.planted(task)
        assert told == {"handed_out": 2, "answered": 2, "right": 2, "human_seconds": 6.0}
        (somebody,) = [one for one in served.loop.labelled.annotators(task) if one.annotator == "label-studio:1"]
        assert (somebody.gold.right, somebody.gold.of) == (2, 2)
        assert all(item.id not in ids for item, _ in served.loop.labelled.training_data(task))
        sync = prelabel(served.folder, "label-studio", "sync", **environment(served.folder, studio, port))
        assert sync.stdout.splitlines()[1].split() == [task, str(project), "0", str(MEDIA + 2), "0", "0"]


def test_copies_and_stars_are_nobodys_word_and_other_names_bring_other_predictions(
    studio: RealStudio, tmp_path: Path
) -> None:
    port = free_port()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=["detection"], **settings) as served, on_a_port(served, port):
        project = studio.new_project("copies of a test", CONFIGS["detection"], files("detection", 3))
        assert attach(tmp_path, studio, "detection", project, port).returncode == 0
        before = {one["task"]: one for one in studio.predictions(project)}
        early, late, seen = before
        studio.act("predictions_to_annotations", project, early)
        config = CONFIGS["detection"].replace('"label"', '"boxes"')
        studio.call("PATCH", f"/api/projects/{project}", json={"label_config": config})
        eventually(lambda: names_of_controls(studio, project) == {early: {"label", "boxes"}, late: {"boxes"},
                                                                  seen: {"boxes"}}, within_s=60)  # fmt: skip
        (copy,) = studio.annotations(early)
        assert copy["parent_prediction"] == before[early]["id"]
        assert {one["id"] for one in studio.predictions(project)} > {one["id"] for one in before.values()}
        studio.call("PATCH", f"/api/projects/{project}", json={"label_config": CONFIGS["detection"]})
        eventually(lambda: names_of_controls(studio, project)[late] == {"label"}, within_s=60)

        for one in studio.call("GET", "/api/webhooks/", params={"project": project}):
            studio.call("DELETE", f"/api/webhooks/{one['id']}/")
        studio.act("predictions_to_annotations", project, late)
        studio.act("delete_tasks_predictions", project, late)  # its copy is first seen afterwards
        assert [one["parent_prediction"] for one in studio.annotations(late)] == [None]
        shown = next(one for one in studio.predictions(project) if one["task"] == seen)
        annotation = studio.annotate(seen, shown["result"], lead_time=3.0, parent_prediction=shown["id"])
        studio.call("PATCH", f"/api/annotations/{annotation}/", json={"ground_truth": True})
        served.deployment.label_studio.look()
        eventually(lambda: len(corrections(served, "detection")) == 1, within_s=60)
        eventually(lambda: late in names_of_controls(studio, project), within_s=60)  # it has a prediction again
        sync = prelabel(served.folder, "label-studio", "sync", **environment(served.folder, studio, port))
        assert sync.stdout.splitlines()[1].split() == ["detection", str(project), "0", "3", "0", "0"]
        (given,) = corrections(served, "detection")
        assert given["item_id"] == served.loop.store.studio.item_of("detection", seen)


def test_what_is_away_for_a_moment_leaves_no_empty_prediction(
    studio: RealStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, away = free_port(), list[str]()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=["detection"], **settings) as served, on_a_port(served, port):
        media = files("detection", 3)
        media["broken.png"] = b"no picture"
        project = studio.new_project("away for a moment", CONFIGS["detection"], {})
        assert attach(tmp_path, studio, "detection", project, port).returncode == 0

        def fetch(_media: Media, uri: str) -> Any:
            away.append(uri)
            raise StoreAway("it is locked")

        with monkeypatch.context() as patched:
            patched.setattr(Media, "fetch", fetch)
            for name, data in media.items():
                studio.call("POST", f"/api/projects/{project}/import", files={"file": (name, data)})
            studio.act("retrieve_tasks_predictions", project)
            assert len(set(away)) == MEDIA
            assert studio.predictions(project) == []
        served.deployment.label_studio.look()
        eventually(lambda: len(studio.predictions(project)) == MEDIA, within_s=60)
        assert sum(one["result"] == [] for one in studio.predictions(project)) == 1


def names_of_controls(studio: RealStudio, project: int) -> dict[int, set[str]]:
    """With what the predictions of each task are drawn."""
    found: dict[int, set[str]] = {}
    for one in studio.predictions(project):
        found.setdefault(one["task"], set()).update(region["from_name"] for region in one["result"])
    return found


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)")
@pytest.mark.parametrize("task", TASKS)
def test_in_a_browser_regions_are_where_the_model_saw_them(task: Task, studio: RealStudio, tmp_path: Path) -> None:
    """On Label Studio's own page, pictures with the starters; in the folder ``PRELABEL_TEST_PICTURES`` stays what was
    seen."""
    assert CHROMIUM is not None
    port = free_port()
    settings: dict[str, Any] = {"port": port, "label_studio_url": studio.url, "label_studio_token": TOKEN}
    with serving(tmp_path, tasks=[task], **settings) as served, on_a_port(served, port):
        if task != "asr":
            starter = next(one for one in starters() if one.task == task)
            served.loop.versions.add(starter.folder, "tester")
            served.loop.versions.promote(starter.name, "tester", force=True)
            served.deployment.live.refresh()
        config = CONFIGS[task].replace("<Label value", f'<Label background="{COLOUR}" value')
        config = config.replace('"car"/>', '"car"/><Label value="pedestrian"/><Label value="bicyclist"/>')
        project = studio.new_project(TITLES[task], config,
                                     {"medium.wav": sound()} if task == "asr" else {"scene.png": scene()})  # fmt: skip
        done = attach(tmp_path, studio, task, project, port)
        assert done.returncode == 0, done.stderr
        (prediction,) = studio.predictions(project)
        with launched(CHROMIUM) as browser, signed_in(browser, studio) as page:
            shown = open_task(page, project, prediction["task"])
            least = min(range(len(shown.regions)), key=lambda at: float(prediction["result"][at]["score"]))
            read = select_region(page, 0 if task == "asr" else least)
            if folder := os.environ.get("PRELABEL_TEST_PICTURES"):
                save(page, Path(folder) / f"label_studio_{task}.png")
        assert len(shown.regions) == len(prediction["result"]) >= 2
        for seen, told in zip(shown.regions, prediction["result"], strict=True):
            assert rounded(seen["value"]) == rounded(told["value"])
        item_id = served.loop.store.studio.item_of(task, prediction["task"])
        answer = served.loop.answered(item_id or "", task, prediction["model_version"])
        assert answer is not None
        CHECKS[task](shown, answer.preannotation.label)
        assert "p_error" in read
        assert task != "asr" or "yes" in read.split()


def rounded(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=lambda told: round(float(told), 6))


def scene() -> bytes:
    """A road with cars and lines on it."""
    file = io.BytesIO()
    Image.fromarray(scenes.render(np.random.default_rng(0), 960, 540, indoor=False).image).save(file, "PNG")
    return file.getvalue()


def boxes_are_drawn(shown: Shown, label: Label) -> None:
    assert isinstance(label, Boxes)
    (height, width), (sides, around) = shown.drawn.shape, blank(shown)
    for box in label.boxes:
        x1, x2 = (x * width / label.width for x in box.xyxy[::2])
        y1, y2 = (y * height / label.height for y in box.xyxy[1::2])
        ImageDraw.Draw(sides).rectangle((x1, y1, x2, y2), None, 1)
        ImageDraw.Draw(around).rectangle((x1 - 2, y1 - 2, x2 + 2, y2 + 2), 1)
    near = ndimage.binary_dilation(shown.drawn)
    assert near[np.asarray(sides)].mean() > 0.97
    assert np.asarray(around)[shown.drawn].mean() > 0.99


def lines_are_drawn(shown: Shown, label: Label) -> None:
    assert isinstance(label, Lanes)
    (height, width), (along, around) = shown.drawn.shape, blank(shown)
    for lane in label.lanes:
        points = [(x * width / label.width, y * height / label.height) for x, y in lane.points]
        ImageDraw.Draw(along).line(points, 1)
        ImageDraw.Draw(around).line(points, 1, 15, "curve")
    near = ndimage.binary_dilation(shown.drawn, iterations=2)
    assert near[np.asarray(along)].mean() > 0.97
    assert np.asarray(around)[shown.drawn].mean() > 0.98


def words_are_drawn(shown: Shown, label: Label) -> None:
    """The sound is a second long."""
    assert isinstance(label, Transcript)
    columns = np.flatnonzero(shown.drawn.any(axis=0)) / shown.drawn.shape[1]
    assert columns.min() == pytest.approx(label.words[0].start_s, abs=0.01)
    assert columns.max() == pytest.approx(label.words[-1].end_s, abs=0.01)


def blank(shown: Shown) -> tuple[Image.Image, Image.Image]:
    """Two pictures as large as the medium is on the page."""
    height, width = shown.drawn.shape
    return Image.new("1", (width, height)), Image.new("1", (width, height))


CHECKS: dict[Task, Callable[[Shown, Label], None]] = {
    "detection": boxes_are_drawn, "lane": lines_are_drawn, "asr": words_are_drawn,
}  # fmt: skip


def attach(folder: Path, studio: RealStudio, task: Task, project: int, port: int) -> Any:
    words = ["label-studio", "attach", "--project", str(project), "--task", task, "--url", studio.url]
    return prelabel(folder, *words, **environment(folder, studio, port))


def environment(folder: Path, studio: RealStudio, port: int) -> dict[str, str]:
    return {"PRELABEL_DATABASE_URL": f"sqlite:///{folder}/store.db", "PRELABEL_DATA_DIR": str(folder / "data"),
            "PRELABEL_LABEL_STUDIO_URL": studio.url, "PRELABEL_LABEL_STUDIO_TOKEN": TOKEN,
            "PRELABEL_PORT": str(port)}  # fmt: skip


def corrections(served: Served, task: Task) -> list[dict[str, Any]]:
    """Every correction of the task that was not taken back."""
    items = {item.id for item, _ in served.loop.store.queue.corrected(task)}
    given = [one for item_id in sorted(items) for one in served.loop.history(item_id)["corrections"]]
    return [one for one in given if one["withdrawn_at"] is None]


def missed_and_deleted(served: Served, studio: RealStudio, task: Task, project: int, annotation: int) -> None:
    """While no webhook tells and the service does not look, one annotation is made and one deleted; one look finds
    both, another changes nothing."""
    served.deployment.label_studio.close()
    for one in studio.call("GET", "/api/webhooks/", params={"project": project}):
        studio.call("DELETE", f"/api/webhooks/{one['id']}/")
    other = next(one for one in studio.predictions(project) if one["task"] != studio_task(studio, annotation))
    studio.annotate(other["task"], other["result"], lead_time=4.0)
    studio.call("DELETE", f"/api/annotations/{annotation}/")
    port = served.deployment.settings.port
    for expected in ([f"{task} {project}", "1", "0", "1", "0"], [f"{task} {project}", "0", "1", "0", "0"]):
        done = prelabel(served.folder, "label-studio", "sync", **environment(served.folder, studio, port))
        assert done.returncode == 0, done.stderr + done.stdout
        assert done.stdout.splitlines()[1].split() == " ".join(expected).split()
    assert [one["seconds"] for one in corrections(served, task)] == [4]


def studio_task(studio: RealStudio, annotation: int) -> int:
    return int(studio.call("GET", f"/api/annotations/{annotation}/")["task"])
