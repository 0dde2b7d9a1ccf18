"""The speech model that comes with the product, on real voices that it never heard."""

import numpy as np
import pytest

from models import datasets
from models.asr.metrics import measure
from models.asr.runtime import Runtime
from models.evaluate import evaluate, read_item
from models.records import Label, Transcript
from models.reliability import auroc
from models.versions import STARTERS, read_version
from tests.samples import SAMPLES, needs_samples


@pytest.fixture(scope="module")
def starter() -> Runtime:
    return Runtime(read_version(STARTERS / "asr").onnx, threads=1)


def text_of(label: Label) -> str:
    assert isinstance(label, Transcript)
    return label.text


def test_it_hears_no_word_in_silence(starter: Runtime) -> None:
    prediction = starter.predict(np.zeros(16000, np.float32))
    assert text_of(prediction.label) == ""
    assert prediction.score == 1.0


@needs_samples
@pytest.mark.parametrize(
    ("corpus", "least"),
    [
        ("nemo:{}/speech/speech_commands/dev.jsonl", 0.9),
        ("nemo:{}/speech/fsdd/test.jsonl", 0.95),
        ("nemo:{}/speech/dspspeech20/dev.jsonl", 0.85),
    ],
)
def test_most_single_words_of_new_speakers_come_back_right(starter: Runtime, corpus: str, least: float) -> None:
    every = list(datasets.read(corpus.format(SAMPLES)))
    result = evaluate("asr", starter, every[:: len(every) // 120])
    assert 1 - result.errors.mean() >= least
    told = auroc(result.scores, result.errors)
    assert told is not None
    assert told > 0.75


@needs_samples
def test_sentences_are_read_better_than_by_chance(starter: Runtime) -> None:
    pairs = list(datasets.read(f"commonvoice:{SAMPLES}/speech/commonvoice_hsb:dev"))
    assert evaluate("asr", starter, pairs).measured.values["cer"] < 0.34


@needs_samples
def test_minutes_of_speech_are_read_as_well_as_its_parts(starter: Runtime) -> None:
    pairs = list(datasets.read(f"commonvoice:{SAMPLES}/speech/commonvoice_hsb:dev"))
    clips = [read_item("asr", item) for item, _ in pairs]
    truth = Transcript(" ".join(text_of(label) for _, label in pairs))
    apart = Transcript(" ".join(text_of(starter.predict(clip).label) for clip in clips))
    together = starter.predict(np.concatenate(clips)).label
    assert measure([(together, truth)]).cer < measure([(apart, truth)]).cer + 0.05
    assert len(text_of(together)) == pytest.approx(len(apart.text), rel=0.15)
