"""Data sets of stretches of longer recordings, wherever data sets go: to everybody they are the clips in them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from models import datasets
from models.evaluate import evaluate
from models.recordings import duration_s, medium
from models.records import Item, Label, Transcript
from models.tasks import load_runtime
from models.versions import STARTERS
from serving.batch import annotate
from serving.labels import convert
from serving.loop import Loop
from serving.media_files import content_id
from serving.settings import Settings
from serving.simulate import Request as Simulated
from serving.simulate import simulate
from serving.suspects import Request as Suspected
from serving.suspects import suspects
from serving.training import Request, material, train_version
from serving.unstored import unstored
from tests.labelled import data_set
from tests.samples import SAMPLES, needs_samples
from tests.serving.test_cli import prelabel
from tests.serving.work import settings
from tests.tiny_versions import NOW, make_version

COUNT = 12
QUIET = Console(quiet=True)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings(tmp_path / "kept", database_url=f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def loop(chosen: Settings) -> Loop:
    return Loop.open(chosen)


def joined(clips: str, root: Path, kind: str = "wav") -> dict[str, str]:
    """A data set's clips in one recording a speaker, a pause before each, as Kaldi's segments and NeMo's offsets."""
    lines: dict[str, list[str]] = {name: [] for name in ("wav.scp", "segments", "text", "utt2spk")}
    manifest, sounds = list[str](), dict[str, list[tuple[Path, str]]]()
    for item, label in datasets.read(clips):
        assert isinstance(label, Transcript)
        sounds.setdefault((item.group or "").replace(" ", "_"), []).append((Path(item.uri), label.text))
    root.mkdir()
    for speaker, said in sorted(sounds.items()):
        pieces, at = list[np.ndarray](), 0
        for number, (clip, text) in enumerate(said):
            samples, rate = soundfile.read(clip, dtype="float32")
            pause = np.random.default_rng(number).normal(0, 0.1, rate // 4).astype(np.float32)
            pieces += [pause, samples]
            start, at = at + len(pause), at + len(pause) + len(samples)
            name, file = f"{speaker}-{number:04d}", f"{speaker}.{kind}"
            lines["segments"].append(f"{name} {speaker}-rec {start / rate:.6f} {at / rate:.6f}")
            lines["text"].append(f"{name} {text}")
            lines["utt2spk"].append(f"{name} {speaker}")
            times = {"offset": start / rate, "duration": len(samples) / rate}
            manifest.append(json.dumps({"audio_filepath": file, "text": text, "speaker": speaker, **times}))
        lines["wav.scp"].append(f"{speaker}-rec {speaker}.{kind}")
        subtype = soundfile.info(said[0][0]).subtype if kind == "wav" else "PCM_16"
        with soundfile.SoundFile(root / f"{speaker}.{kind}", "w", rate, 1, subtype) as out:
            out.write(np.concatenate(pieces))
    for name, written in lines.items():
        (root / name).write_text("".join(f"{line}\n" for line in sorted(written)), encoding="utf-8")
    (root / "all.jsonl").write_text("".join(f"{line}\n" for line in manifest), encoding="utf-8")
    return {"kaldi": f"kaldi:{root}", "nemo": f"nemo:{root}/all.jsonl"}


def heard(pairs: list[tuple[Item, Label]]) -> set[tuple[bytes, str | None, Label]]:
    """What the items of a data set are, whatever they are called."""
    return {(medium(item.uri), (item.group or "").replace(" ", "_"), label) for item, label in pairs}


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_the_stretches_are_the_clips_that_were_joined(tmp_path: Path, kind: str) -> None:
    clips = data_set(tmp_path / "clips", "asr")
    told = heard(list(datasets.read(clips)))
    assert len(told) == COUNT
    for spec in joined(clips, tmp_path / "long", kind).values():
        pairs = list(datasets.read(spec))
        assert heard(pairs) == told
        assert len({item.id for item, _ in pairs}) == len({item.uri for item, _ in pairs}) == COUNT


@needs_samples
@pytest.mark.parametrize("format", ["kaldi", "nemo"])
def test_figures_on_stretches_are_those_on_the_clips(format: str, tmp_path: Path) -> None:
    lines = (SAMPLES / "speech" / "fsdd" / "test.jsonl").read_text().splitlines()[::20]
    for line in lines:  # decoded, so that the recordings can hold them as they are
        clip = SAMPLES / "speech" / "fsdd" / json.loads(line)["audio_filepath"]
        samples, rate = soundfile.read(clip, dtype="float32")
        (tmp_path / "clips" / "audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "clips" / "audio" / f"{clip.stem}.wav", samples, rate, subtype="FLOAT")
    text = "".join(line.replace(".ogg", ".wav") + "\n" for line in lines)
    (tmp_path / "clips" / "test.jsonl").write_text(text)
    clips = f"nemo:{tmp_path}/clips"
    runtime = load_runtime("asr", STARTERS / "asr" / "model.onnx")
    ours, theirs = (
        evaluate("asr", runtime, datasets.read(spec)) for spec in (joined(clips, tmp_path / "long")[format], clips)
    )
    assert ours.measured.values == theirs.measured.values
    assert ours.scores.tolist() == theirs.scores.tolist()


def test_gold_stretches_are_kept_and_left_out_of_training(tmp_path: Path, loop: Loop) -> None:
    clips = data_set(tmp_path / "clips", "asr")
    specs = joined(clips, tmp_path / "long", "flac")
    brought = loop.gold.bring("asr", list(datasets.read(specs["kaldi"]))[:4], "long", "tester")
    assert (brought.labels, brought.failed) == (4, ())
    shutil.move(tmp_path / "long", tmp_path / "elsewhere")
    gold = list(loop.labelled.gold_data("asr"))
    assert [content_id(Path(item.uri)) for item, _ in gold] == [item.id for item, _ in gold]
    shutil.move(tmp_path / "elsewhere", tmp_path / "long")
    for spec in (*specs.values(), clips):
        found = material(Request("asr", (spec,)), loop)
        assert (found.gold, len(found.pairs)) == (4, COUNT - 4)


def test_stretches_that_cannot_be_brought_are_told(tmp_path: Path, loop: Loop) -> None:
    pairs = list(datasets.read(joined(data_set(tmp_path / "clips", "asr"), tmp_path / "long")["kaldi"]))
    first, label = pairs[0]
    recording = first.uri.partition("#")[0]
    bad = [(replace(first, uri=f"{recording}#t=900,901"), label), (replace(first, uri="/gone.wav#t=1"), label)]
    brought = loop.gold.bring("asr", [*bad, *pairs[1:3]], "long", "tester")
    assert brought.labels == 2
    assert "#t=900,901: expected a stretch within" in brought.failed[0][1] + brought.failed[1][1]
    assert "gone.wav: expected a sound file, got no such file" in brought.failed[0][1] + brought.failed[1][1]


def test_a_version_is_trained_on_stretches_and_knows_them_as_clips(tmp_path: Path) -> None:
    clips = data_set(tmp_path / "clips", "asr")
    spec = joined(clips, tmp_path / "long")["kaldi"]
    request = Request("asr", (spec,), epochs=1, batch_size=4)
    version = train_version(
        request,
        material(request, Loop.open(settings(tmp_path / "kept", database_url=f"sqlite:///{tmp_path}/s.db"))),
        start=None,
        runs_dir=tmp_path / "runs",
        versions_dir=tmp_path / "versions",
        console=QUIET,
    )
    known = {content_id(Path(item.uri)) for item, _ in datasets.read(clips)}
    assert version.training_ids() < known
    assert len(version.training_ids()) >= COUNT - 3 * 2


def test_labels_of_stretches_are_suspected_as_those_of_clips(tmp_path: Path, loop: Loop, chosen: Settings) -> None:
    clips = data_set(tmp_path / "clips", "asr")
    model = str(make_version(tmp_path / "versions", "asr").onnx)
    ours, theirs = (
        suspects(Suspected("asr", (spec,), model), loop, chosen, tmp_path / f"{number}.jsonl")
        for number, spec in enumerate((joined(clips, tmp_path / "long")["nemo"], clips))
    )
    assert sorted(one.suspicion.score for one in ours) == sorted(one.suspicion.score for one in theirs)


def test_a_simulation_works_on_stretches_as_on_clips(tmp_path: Path, loop: Loop, chosen: Settings) -> None:
    version = make_version(tmp_path / "versions", "asr")
    loop.versions.add(version.folder, "tester")
    loop.versions.promote(version.name, "tester", force=True)
    clips = data_set(tmp_path / "clips", "asr")
    told = list[list[tuple[str, float, float]]]()
    for number, spec in enumerate((joined(clips, tmp_path / "long")["kaldi"], clips)):
        request = Simulated("asr", (spec,), rounds=2, seeds=1, epochs=0, mistakes=0.0, groups=False)
        report = simulate(request, loop, chosen, tmp_path / f"out{number}", NOW, processes=1)
        told.append([(one.name, one.human_hours.mean, one.labels_wrong.mean) for one in report.arms])
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "name", [name for name, found in datasets.FORMATS.items() if found.task == "asr" and found.write]
)
def test_stretches_are_written_in_every_format(name: str, tmp_path: Path) -> None:
    spec = joined(data_set(tmp_path / "clips", "asr"), tmp_path / "long", "flac")["kaldi"]
    pairs = list(datasets.read(spec))
    assert convert(spec, name, tmp_path / "out", console=QUIET) == COUNT
    if datasets.FORMATS[name].read:
        assert heard(list(datasets.read(f"{name}:{tmp_path}/out"))) == heard(pairs)
    else:
        written = {path.stem: path.read_text() for path in (tmp_path / "out").iterdir()}
        end = {"webvtt": "00:00:00.000 --> 00:00:{:06.3f}", "textgrid": "xmax = {:.10g}"}[name]
        for item, _ in pairs:
            assert end.format(duration_s(item.uri)) in written[item.id]


def test_manifests_may_name_stretches(tmp_path: Path, loop: Loop, chosen: Settings) -> None:
    spec = joined(data_set(tmp_path / "clips", "asr"), tmp_path / "long")["kaldi"]
    items = [item for item, _ in datasets.read(spec)]
    uris = [*(item.uri.removeprefix(f"{tmp_path}/") for item in items[:3]), "long/speaker_0.wav#t=900,901"]
    manifest = tmp_path / "some.jsonl"
    manifest.write_text("".join(json.dumps({"uri": uri, "group": "g"}) + "\n" for uri in uris))
    version = make_version(tmp_path / "versions", "asr")
    counts = annotate("asr", str(manifest), tmp_path / "out.jsonl", unstored(version, chosen), console=QUIET)
    assert (counts.annotated, counts.failed) == (3, 1)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["uri"], line["item_id"]) for line in lines] == [
        (uri, content_id(medium(item.uri))) for uri, item in zip(uris[:3], items, strict=False)
    ]
    done = prelabel(tmp_path, "register", "asr", str(manifest), "--db", chosen.database_url,
                    PRELABEL_DATA_DIR=str(chosen.data_dir))  # fmt: skip
    assert (done.returncode, done.stdout.split("\n")[0]) == (1, "3 new, 0 known, 1 failed"), done.stderr
    assert "#t=900,901: expected a stretch within" in done.stdout
    kept = [loop.path(loop.store.items.item(one["item_id"])) for one in lines]
    assert [content_id(path) for path in kept] == [one["item_id"] for one in lines]
