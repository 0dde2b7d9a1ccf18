"""What all formats have in common: their names, splits, streaming, and the real samples."""

import gc
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from models.datasets import FORMATS, read, read_marked, task_of, writer
from models.errors import InvalidDataset, InvalidInput, NotFound
from models.recordings import Stretch
from models.records import LABEL_TYPES, Box, Boxes, Item, Label, Lane, Lanes, Transcript
from tests.models.datasets.corpora import (
    CORPORA,
    STRETCHES,
    VARIANTS,
    cvat_video,
    labels,
    parts,
    photo,
    put,
    sound,
)
from tests.samples import SAMPLES, needs_samples

READ = [name for name, found in FORMATS.items() if found.read]
WRITTEN = [name for name, found in FORMATS.items() if found.write]


@pytest.mark.parametrize("name", READ)
def test_a_corpus_is_read_completely_with_labels_of_its_task(name: str, tmp_path: Path) -> None:
    split = CORPORA[name](tmp_path / "c", 3)
    pairs = list(read(f"{name}:{tmp_path}/c:{split}"))
    assert len({item.id for item, _ in pairs}) == 3
    assert {type(label) for _, label in pairs} == {LABEL_TYPES[FORMATS[name].task]}
    assert all(parts(label) for _, label in pairs)
    assert task_of(f"{name}:anywhere") == FORMATS[name].task


@pytest.mark.parametrize("name", READ)
def test_items_have_a_group_and_a_language_where_the_format_says_them(name: str, tmp_path: Path) -> None:
    corpus = {"cvat": cvat_video, "cvat-lanes": cvat_video}.get(name, CORPORA[name])  # images of CVAT's have no group
    items = [item for item, _ in read(f"{name}:{tmp_path}/c:{corpus(tmp_path / 'c', 3)}")]
    assert {bool(item.group) for item in items} == {bool(FORMATS[name].group)}
    languages, told = {item.language for item in items}, FORMATS[name].language
    assert languages == {told} if len(told) == 2 else all(languages) == bool(told)


def texts(root: Path) -> list[Path]:
    """The files of a corpus that are no media."""
    media = (".jpg", ".wav", ".flac", ".mp3", ".ogg")
    return [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in media]


@pytest.mark.parametrize("name", READ)
def test_a_byte_order_mark_before_any_file_changes_nothing(name: str, tmp_path: Path) -> None:
    spec = f"{name}:{tmp_path}/c:{CORPORA[name](tmp_path / 'c', 2)}"
    pairs = list(read(spec))
    for file in texts(tmp_path / "c"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert list(read(spec)) == pairs


ABSURD: dict[str, Callable[[str], str]] = {
    "numbers of 400 digits": lambda text: re.sub(r"\d+", "9" * 400, text),
    "numbers of 5,000 digits": lambda text: re.sub(r"\d+", "9" * 5000, text),
    "numbers to the power of 300": lambda text: re.sub(r"\d+(\.\d+)?(?=[^\w.])", "9e300", text),
    "names of 5,000 letters": lambda text: re.sub(r"\w+(?=[.\n])", "x" * 5000, text),
    "names with a NUL": lambda text: re.sub(r"\w+(?=[.\n])", "a\0b", text),
    "names with a NUL as JSON has it": lambda text: re.sub(r"\w+(?=[.\n])", r"a\\u0000b", text),
    "names with half of a surrogate pair": lambda text: re.sub(r"\w+(?=[.\n])", r"a\\ud800b", text),
    "brackets without end": lambda _: "[" * 100_000,
    "a list of them": lambda _: '{"images": ' + "[" * 100_000,
}


@pytest.mark.parametrize("absurd", ABSURD)
@pytest.mark.parametrize("name", READ)
def test_whatever_stands_in_a_file_ends_in_labels_or_in_an_error_that_names_it(
    name: str, absurd: str, tmp_path: Path
) -> None:
    spec = f"{name}:{tmp_path}/c:{CORPORA[name](tmp_path / 'c', 2)}"
    for file in texts(tmp_path / "c"):
        plain = file.read_text()
        file.write_text(ABSURD[absurd](plain))
        try:
            list(read_marked(spec))
        except (InvalidDataset, NotFound) as error:
            assert str(error).startswith(str(tmp_path))  # noqa: PT017
        file.write_text(plain)
    assert len(list(read_marked(spec))) == 2


@pytest.mark.parametrize("spec", ["webvtt:/data", "kitty:/data:val", "coco", "coco:", "", "/data/coco:val"])
def test_an_unknown_format_lists_the_known_ones(spec: str) -> None:
    known = f"expected FORMAT:ROOT[:SPLIT], FORMAT one of {', '.join(READ)}"
    for ask in (read, task_of):
        with pytest.raises(InvalidDataset, match=re.escape(f"{known}, got {spec!r}")):
            ask(spec)


@pytest.mark.parametrize("name", READ)
def test_a_missing_root_and_an_unknown_split_are_named_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"expected an existing file or folder, got .*/nowhere$"):
        read(f"{name}:{tmp_path}/nowhere:val")
    split = CORPORA[name](tmp_path / "c", 2)
    with pytest.raises(NotFound, match=rf"expected one of the splits there \(.*{split}.*\), got other"):
        read(f"{name}:{tmp_path}/c:other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"expected"):
        read(f"{name}:{tmp_path}/empty")


@pytest.mark.parametrize(
    ("name", "file", "images"),
    [
        ("kitti", "training/label_2/a.txt", "training/image_2"),
        ("supervisely", "ds0/ann/a.jpg.json", "ds0/img"),
    ],
)
def test_a_folder_of_images_that_is_missing_is_named(name: str, file: str, images: str, tmp_path: Path) -> None:
    """As where only the archive of the labels was unpacked."""
    put(tmp_path / file)
    with pytest.raises(NotFound, match=rf"^{tmp_path}/{images}: expected a folder of files, got none"):
        list(read(f"{name}:{tmp_path}"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco", "annotations/instances_{}.json"),
        ("nemo", "{}.jsonl"),
        ("tusimple", "label_data_{}.json"),
        ("commonvoice", "{}.tsv"),
    ],
)
def test_a_file_that_is_named_holds_its_own_split_alone(name: str, file: str, tmp_path: Path) -> None:
    split = CORPORA[name](tmp_path / "c", 2)
    spec = f"{name}:{tmp_path}/c/{file.format(split)}"
    assert len(list(read(spec))) == len(list(read(f"{spec}:{split}"))) == 2
    with pytest.raises(NotFound, match=rf"\({split}\), got other"):
        read(f"{spec}:other")


def test_a_split_must_be_chosen_where_there_are_several(tmp_path: Path) -> None:
    CORPORA["coco"](tmp_path / "c", 1)
    put(tmp_path / "c" / "annotations" / "instances_val.json", "{}")
    with pytest.raises(NotFound, match=r"annotations: expected one of the splits there \(train, val\), got no split"):
        read(f"coco:{tmp_path}/c")


def test_lines_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    CORPORA["nemo"](tmp_path, 1)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("broken")
    stream = read(f"nemo:{tmp_path}")
    assert next(stream)[1] == Transcript("go")
    with pytest.raises(InvalidDataset):
        next(stream)


def test_a_root_may_be_in_the_home_of_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell expands ``coco:~/data`` to nothing else."""
    CORPORA["commonvoice"](tmp_path / "cv", 1)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(read("commonvoice:~/cv:train")) == list(read(f"commonvoice:{tmp_path}/cv:train"))


@pytest.mark.parametrize("name", READ)
def test_an_archive_is_to_be_unpacked(name: str, tmp_path: Path) -> None:
    file = put(tmp_path / "all.tar.gz", b"\x1f\x8b")
    message = rf"^data set: expected a folder or a file of labels, got {file}: unpack it first$"
    with pytest.raises(InvalidDataset, match=message):
        read(f"{name}:{file}:train")


def test_a_root_may_hold_colons(tmp_path: Path) -> None:
    CORPORA["commonvoice"](tmp_path / "a:b", 1)
    assert list(labels(f"commonvoice:{tmp_path}/a:b")) == ["clips/0.mp3"]
    assert list(labels(f"commonvoice:{tmp_path}/a:b:train")) == ["clips/0.mp3"]


@pytest.mark.parametrize(
    ("name", "task"), [("kitty", "detection"), ("mot", "detection"), ("culane", "detection"), ("coco", "asr")]
)
def test_a_format_that_does_not_hold_a_tasks_labels_is_refused(name: str, task: str) -> None:
    with pytest.raises(
        InvalidInput, match=rf"format: expected one that {task} labels are written in \(.*, got '{name}'"
    ):
        writer(name, task)  # type: ignore[arg-type]


def peak(work: Callable[[], object]) -> int:
    """The most memory in bytes that Python held at once during the work."""
    gc.collect()
    gc.freeze()  # what is there already need not be looked at again and again
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def swept(pairs: Iterable[tuple[Item, Label]]) -> Iterator[tuple[Item, Label]]:
    """The pairs, without garbage that only waits for its collector."""
    for index, pair in enumerate(pairs):
        if index % 50 == 0:
            gc.collect()
        yield pair


FEW, MANY = 50, 600
MORE = 120_000  # bytes: MANY items need more if each leaves its id, its path and its label behind


def needs_no_more(work: Callable[[int], object]) -> bool:
    """Whether work on MANY items can do with what it needs for FEW; now and then Python grows a table of its own."""
    work(FEW)  # whatever is kept once and for all
    most = peak(lambda: work(FEW)) + MORE
    return any(peak(lambda: work(MANY)) < most for _ in range(3))


@pytest.mark.parametrize(
    ("name", "corpus"),
    [*((name, CORPORA[name]) for name in READ), *STRETCHES.items(), *VARIANTS],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_reading_many_items_needs_no_more_memory_than_few(
    name: str, corpus: Callable[[Path, int], str], tmp_path: Path
) -> None:
    specs = {n: f"{name}:{tmp_path}/{n}:{corpus(tmp_path / str(n), n)}" for n in (FEW, MANY)}

    def consume(n: int) -> None:
        assert sum(1 for _ in swept(read(specs[n]))) == n

    assert needs_no_more(consume)


@pytest.mark.parametrize("name", WRITTEN)
def test_writing_many_items_needs_no_more_memory_than_few(name: str, tmp_path: Path) -> None:
    task = FORMATS[name].task
    medium = sound(tmp_path / "a.wav") if task == "asr" else photo(tmp_path / "a.jpg")
    box, lane = Box((0, 0, 9, 9), "car"), Lane(((1, 40), (9, 4)))
    label: dict[str, Label] = {
        "asr": Transcript("go on"),
        "detection": Boxes(64, 48, (box,)),
        "lane": Lanes(64, 48, (lane,)),
    }

    def produce(n: int) -> None:
        pairs = ((Item(f"{i:06d}", str(medium), f"speaker {i}"), label[task]) for i in range(n))
        writer(name, task)(tmp_path / uuid4().hex, swept(pairs))

    assert needs_no_more(produce)


@pytest.mark.parametrize("name", [name for name in WRITTEN if FORMATS[name].task == "asr"])
def test_writing_many_stretches_needs_no_more_memory_than_few(name: str, tmp_path: Path) -> None:
    recordings = [sound(tmp_path / f"{i}.wav", 2) for i in range(2)]

    def produce(n: int) -> None:
        uris = (Stretch(recordings[i % 2], i / 1000, 1 + i / 1000).uri for i in range(n))
        pairs = ((Item(f"{i:06d}", uri, f"speaker {i}"), Transcript("go on")) for i, uri in enumerate(uris))
        writer(name, "asr")(tmp_path / uuid4().hex, swept(pairs))

    assert needs_no_more(produce)


@needs_samples
@pytest.mark.parametrize(
    ("spec", "items", "expected", "groups"),
    [
        ("coco:detection/camvid:train", 367, 2364, 1),
        ("coco:detection/camvid:val", 101, 542, 1),
        ("voc:detection/bccd:trainval", 292, 3943, 1),
        ("voc:detection/bccd:test", 72, 945, 1),
        ("culane:lane/f1tenth:train", 93, 330, 1),
        ("culane:lane/f1tenth:val", 20, 68, 1),
        ("tusimple:lane/tusimple:0313", 2858, 10891, 2858),
        ("tusimple:lane/tusimple/label_data_0531.json", 358, 1118, 358),
        ("tusimple:lane/tusimple:0601", 410, 1786, 410),
        ("commonvoice:speech/commonvoice_hsb:train", 935, 8914, 11),
        ("commonvoice:speech/commonvoice_hsb:dev", 38, 237, 4),
        ("nemo:speech/dspspeech20:train", 2000, 2000, 25),
        ("nemo:speech/dspspeech20:dev", 240, 240, 3),
        ("nemo:speech/speech_commands:train", 3019, 3019, 150),
        ("nemo:speech/speech_commands:dev", 436, 436, 30),
        ("nemo:speech/speech_commands/noise.jsonl", 408, 0, 1),
        ("nemo:speech/fsdd:train", 2000, 2000, 4),
        ("nemo:speech/fsdd:test", 500, 500, 1),
        ("nemo:speech/aishell_sample", 500, 605, 1),
        ("nemo:speech/asterisk_en:all", 540, 3233, 1),
    ],
)
def test_real_samples_are_read_completely(spec: str, items: int, expected: int, groups: int) -> None:
    """``expected`` counts boxes, lanes or words."""
    name, _, rest = spec.partition(":")
    pairs = list(read(f"{name}:{SAMPLES}/{rest}"))
    counts = [parts(label) for _, label in pairs]
    assert (len(pairs), sum(counts), len({item.group for item, _ in pairs})) == (items, expected, groups)
    assert len({item.id for item, _ in pairs}) == items
    assert {item.language for item, _ in pairs} == {"hsb" if name == "commonvoice" else None}


def test_a_format_that_says_no_more_than_labels_has_no_marks(tmp_path: Path) -> None:
    split = CORPORA["yolo"](tmp_path / "yolo", 2)
    spec = f"yolo:{tmp_path}/yolo:{split}"
    assert list(read_marked(spec)) == [(item, label, None) for item, label in read(spec)]
