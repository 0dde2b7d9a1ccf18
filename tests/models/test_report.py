"""A report: its numbers for programs, its items, its page for people, and what becomes of wishes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pyarrow import parquet
from rich.console import Console

from models import datasets
from models.asr.transcripts import NORMALISER
from models.errors import InvalidInput
from models.evaluate import Evaluation
from models.holding import alone_in
from models.records import TASKS, Item, Label, Prediction, Task, Transcript, from_json
from models.report import page
from models.report.document import Model, Report, json_schema, to_json
from models.report.files import appearing
from models.report.job import Data, Subject, report
from models.report.judged import judge
from models.report.lines import lines
from models.report.wishes import check, parse_wish
from tests.labelled import COUNT, data_set
from tests.models.datasets.corpora import put
from tests.tiny_versions import make_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUIET = Console(quiet=True)
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def scores(said: Sequence[Prediction]) -> Any:
    return np.array([one.score for one in said])


def subject(folder: Path, task: Task, **how: Any) -> Subject:
    version = make_version(folder, task, **how)
    return Subject(Model(version.name, version.onnx_sha256), version.onnx, scores)


def named(folder: Path, task: Task, *names: str) -> Data:
    return {name: list(datasets.read(data_set(folder / name, task))) for name in names or ("data",)}


def run(folder: Path, task: Task, data: Data | None = None, **how: Any) -> Report:
    main = subject(folder / "versions", task)
    known = data or named(folder, task)
    return report(task, main, known, folder / "out", now=NOW, console=QUIET, threads=1, rounds=40, **how)


def read(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return values


class TestNumbers:
    @pytest.mark.parametrize("task", TASKS)
    def test_a_report_keeps_to_its_published_schema(self, tmp_path: Path, task: Task) -> None:
        other = subject(tmp_path / "others", task, size=20, word="no")
        run(tmp_path, task, against=other, wishes=[parse_wish(task, "auroc>=0.4")])
        validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
        validator.validate(read(tmp_path))
        for name in ("auroc", "ece", "aurc"):
            broken = read(tmp_path)
            del broken["metrics"][name]
            assert not validator.is_valid(broken), name
        assert not validator.is_valid(read(tmp_path) | {"more": 1})

    def test_the_schema_is_one_and_says_what_each_metric_means(self) -> None:
        jsonschema.Draft202012Validator.check_schema(json_schema())
        asr = json_schema()["allOf"][0]["then"]["properties"]["metrics"]
        assert {"wer", "cer", "exact", "auroc", "ece", "aurc"} <= set(asr["required"])
        assert "lower is better" in asr["properties"]["wer"]["description"]

    def test_of_speech(self, tmp_path: Path) -> None:
        """Twelve clips, in four of which "no yes" was said and "yes" heard."""
        run(tmp_path, "asr")
        values = read(tmp_path)
        assert {name: values["metrics"][name] for name in ("wer", "cer", "exact", "error_rate")} == {
            "wer": 4 / 16,
            "cer": 12 / 48,
            "exact": 8 / 12,
            "error_rate": 4 / 12,
        }
        low, high = values["intervals"]["wer"]
        assert low == high == 0.25  # each of the four speakers says one longer text
        assert values["normaliser"] == NORMALISER
        assert (values["schema_version"], values["n"], values["groups"]) == (1, 12, 4)
        assert values["created_at"] == "2026-01-01T00:00:00Z"

    def test_of_detection(self, tmp_path: Path) -> None:
        """A car in each of twelve pictures is found; in four there is a bus, which is not."""
        run(tmp_path, "detection")
        metrics = read(tmp_path)["metrics"]
        assert metrics["ap50_by_category"] == {"bus": 0.0, "car": 1.0}
        assert (metrics["ap50"], metrics["ap"]) == (0.5, 0.5)
        assert (metrics["precision"], metrics["recall"]) == (1.0, 12 / 16)
        low, high = read(tmp_path)["intervals"]["ap50_by_category"]["bus"]
        assert low == high == 0.0

    def test_of_lanes(self, tmp_path: Path) -> None:
        """One line in each of twelve pictures; in four it is elsewhere."""
        run(tmp_path, "lane")
        metrics = read(tmp_path)["metrics"]
        assert (metrics["f1"], metrics["precision"], metrics["recall"]) == pytest.approx((8 / 12, 8 / 12, 8 / 12))
        assert metrics["f1_8px"] == pytest.approx(8 / 12, abs=0.01)  # the lines differ a little in length
        assert 8 / 12 <= metrics["tusimple_accuracy"] < 1

    def test_several_data_sets_are_told_together_and_apart(self, tmp_path: Path) -> None:
        data = dict(named(tmp_path, "asr", "one", "two"))
        data["two"] = [pair for index, pair in enumerate(data["two"]) if index % 3 < 2]
        found = run(tmp_path, "asr", data)
        assert found.data == ("one", "two")
        assert (found.n, found.by_data["one"].n, found.by_data["two"].n) == (20, 12, 8)
        assert found.metrics["wer"] == 4 / 24
        assert (found.by_data["one"].metrics["wer"], found.by_data["two"].metrics["wer"]) == (4 / 16, 0.0)
        rows = parquet.read_table(tmp_path / "out" / "items.parquet").to_pylist()
        assert [row["data"] for row in rows] == ["one"] * 12 + ["two"] * 8

    def test_another_model_is_compared_on_the_same_items(self, tmp_path: Path) -> None:
        """The other one hears "no" everywhere: 16 words are wrong instead of 4."""
        found = run(tmp_path, "asr", against=subject(tmp_path / "others", "asr", word="no"))
        assert found.against is not None
        assert found.against.metrics["wer"] == 12 / 16
        assert found.against.differences["wer"] == (4 - 12) / 16
        assert found.against.difference_intervals["wer"] == (-0.5, -0.5)
        by_name = {line.name: line for line in lines(found)}
        assert (by_name["wer"].verdict, by_name["auroc"].verdict) == ("better", "same")

    def test_what_an_earlier_report_said_of_another_model_goes(self, tmp_path: Path) -> None:
        main, other = subject(tmp_path / "versions", "asr"), subject(tmp_path / "others", "asr", word="no")
        data, out = named(tmp_path, "asr"), tmp_path / "out"
        for against in (other, None):
            found = report("asr", main, data, out, now=NOW, against=against, console=QUIET, threads=1, rounds=2)
            assert (out / "against.parquet").exists() == bool(against) == bool(found.against)

    def test_a_model_is_not_compared_with_itself(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="expected another model to compare with, got asr-"):
            run(tmp_path, "asr", against=subject(tmp_path / "others", "asr"))

    def test_nothing_to_measure_is_an_error_before_any_work(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="evaluate asr: expected labelled items, got none in empty"):
            run(tmp_path, "asr", {"empty": []})
        with pytest.raises(InvalidInput, match="got none in empty"):
            run(tmp_path / "two", "asr", {**named(tmp_path, "asr"), "empty": []})
        assert not [*tmp_path.rglob("out")]

    @pytest.mark.parametrize(
        ("task", "text", "message"),
        [
            (
                "detection",
                "ap50_by_category.bicycle>=0.1",
                r"expected one of ap50_by_category\.bus, ap50_by_category\.car$",
            ),
            ("detection", "kitti_ap40.Car easy>=0.1", "expected one of no category at all"),
            ("lane", "f1_by_category>=0.1", "expected one of no category at all"),
            ("asr", "wer.car<=0.1", "expected wer alone, it has no parts"),
            ("asr", "auroc.car<=0.1", "expected auroc alone, it has no parts"),
        ],
    )
    def test_a_wish_about_what_the_labels_lack_is_an_error_before_any_work(
        self, tmp_path: Path, task: Task, text: str, message: str
    ) -> None:
        with pytest.raises(InvalidInput, match=message):
            run(tmp_path, task, wishes=[parse_wish(task, text)])
        assert not (tmp_path / "out").exists()

    def test_the_calibrator_makes_p_error_and_must_give_probabilities(self, tmp_path: Path) -> None:
        main = subject(tmp_path / "versions", "asr")
        for value, message in (
            (0.25, ""),
            (1.5, r"expected p_error in \[0, 1\] for each of 12 items"),
            (np.nan, "expected"),
        ):
            calibrated = Subject(main.model, main.onnx, lambda said, value=value: np.full(len(said), value))  # type: ignore[misc]
            arguments = ("asr", calibrated, named(tmp_path / str(value), "asr"), tmp_path / "out")
            if message:
                with pytest.raises(InvalidInput, match=message):
                    report(*arguments, now=NOW, console=QUIET, rounds=2)  # type: ignore[arg-type]
            else:
                found = report(*arguments, now=NOW, console=QUIET, rounds=2)  # type: ignore[arg-type]
                assert found.metrics["ece"] == pytest.approx(4 / 12 - 0.25)


class TestItems:
    def test_each_item_has_its_row(self, tmp_path: Path) -> None:
        run(tmp_path, "asr")
        rows = parquet.read_table(tmp_path / "out" / "items.parquet").to_pylist()
        assert len(rows) == COUNT
        assert {key: rows[2][key] for key in ("id", "group", "data", "error", "mistakes", "word_edits", "words")} == {
            "id": "2.wav",
            "group": "speaker 0",
            "data": "data",
            "error": True,
            "mistakes": 1,
            "word_edits": 1,
            "words": 2,
        }
        assert rows[2]["p_error"] == rows[2]["score"] < 0.5
        assert 0 <= rows[2]["max_probability_doubt"] <= 1
        assert from_json(Transcript, json.loads(rows[2]["truth"])) == Transcript("no yes")
        assert from_json(Transcript, json.loads(rows[2]["predicted"])).text == "yes"
        assert json.loads(rows[2]["features"])["words"] == 1.0

    def test_names_and_labels_that_are_no_utf8_are_written_out(self, tmp_path: Path) -> None:
        """What ``os.listdir`` makes of bytes that are no UTF-8, and half of a surrogate pair as JSON may hold it."""
        (item, _), *_ = named(tmp_path, "asr")["data"]
        odd = Item("caf\udce9.wav", item.uri, "a\ud800", None)
        run(tmp_path, "asr", {"caf\udce9": [(odd, Transcript("a\ud800"))]})
        (row,) = parquet.read_table(tmp_path / "out" / "items.parquet").to_pylist()
        told = ("caf\\udce9.wav", "a\\ud800", "caf\\udce9")
        assert (row["id"], row["group"], row["data"]) == told
        assert from_json(Transcript, json.loads(row["truth"])) == Transcript("a\ud800")
        assert read(tmp_path)["data"] == ["caf\udce9"]
        assert "caf\\udce9.wav" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    def test_no_journal_is_left_and_an_interrupted_run_leaves_nothing_but_its_journal(self, tmp_path: Path) -> None:
        data = named(tmp_path, "asr")
        gone = Path(data["data"][5][0].uri)
        kept = gone.read_bytes()
        gone.unlink()
        with pytest.raises(LookupError):
            run(tmp_path, "asr", data)
        assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".jsonl"]
        gone.write_bytes(kept)
        other = tmp_path / "versions"
        other.rename(tmp_path / "moved")
        run(tmp_path, "asr", data)
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"items.parquet", "report.html", "report.json"}


class TestFiles:
    def test_they_move_up_once_all_are_there(self, tmp_path: Path) -> None:
        put(tmp_path / "b", "old")
        with appearing(tmp_path) as work:
            put(work / "b", "new")
            put(work / "a", "new")
            assert (tmp_path / "b").read_text() == "old"
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        put(tmp_path / "b", "old")
        kept = "what was found until then is kept there, and the same command goes on from it"
        told = f"^{tmp_path}: expected room for a report, got No space left on device; {kept}$"
        with pytest.raises(InvalidInput, match=told), appearing(tmp_path) as work:
            Path("/dev/full").write_bytes(put(work / "b", "new").read_bytes())
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "old"}

    def test_what_a_killed_run_left_is_cleared_away(self, tmp_path: Path) -> None:
        with appearing(tmp_path) as work:
            hidden = work
        put(hidden / "half", "of a report")
        with appearing(tmp_path) as work:
            put(work / "a", "new")
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


class TestWishes:
    @pytest.mark.parametrize(
        ("text", "value", "met"),
        [
            ("wer<=0.25", 0.25, True),
            ("wer<0.25", 0.25, False),
            (" wer >= 0.3 ", 0.25, False),
            ("wer>.2", 0.25, True),
            ("wer<=2.5e-1", 0.25, True),
            ("ece<=1", None, False),
            ("ece>=0", None, False),
        ],
    )
    def test_a_wish_is_met_or_missed(self, text: str, value: float | None, met: bool) -> None:
        found = check(parse_wish("asr", text), {"wer": 0.25, "ece": None})
        assert (found.wish, found.value, found.met) == (text, value, met)

    @pytest.mark.parametrize(
        "text",
        ["", "wer", "wer=0.1", "wer<=", "<=0.1", "wer<=x", "wer<=nan", "wer<=inf", "wer<<0.1", "wer<=0.1<1", "wer 0.1"],
    )
    def test_a_malformed_wish_is_an_error(self, text: str) -> None:
        with pytest.raises(InvalidInput, match=r"threshold: expected METRIC<=NUMBER"):
            parse_wish("asr", text)

    def test_an_unknown_metric_is_an_error_that_names_the_known_ones(self) -> None:
        with pytest.raises(InvalidInput, match=r"threshold 'ap50>=0.7': expected a metric of asr \(wer, cer, exact"):
            parse_wish("asr", "ap50>=0.7")

    def test_a_category_is_named_behind_a_dot(self) -> None:
        metrics: Any = {"ap50": 0.5, "ap50_by_category": {"car": 0.9, "traffic light": 0.1}}
        assert check(parse_wish("detection", "ap50_by_category.car>=0.9"), metrics).met
        assert not check(parse_wish("detection", "ap50_by_category.traffic light>=0.9"), metrics).met
        for wrong in ("ap50_by_category>=0.1", "ap50_by_category.bus>=0.1"):
            with pytest.raises(InvalidInput, match=r"expected one of ap50_by_category\.car, ap50_by_category\.traffic"):
                check(parse_wish("detection", wrong), metrics)
        with pytest.raises(InvalidInput, match="expected ap50 alone"):
            check(parse_wish("detection", "ap50.car>=0.1"), metrics)


class Outline(HTMLParser):
    """What a page is made of: its tags in balance, what it loads, its text."""

    EMPTY = frozenset({"meta", "img", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.count: dict[str, int] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.loads += [
            str(value) for name, value in attrs if name in ("src", "href", "srcset", "data", "poster", "action")
        ]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


class TestPage:
    @pytest.mark.parametrize("task", TASKS)
    def test_it_is_whole_and_loads_nothing(self, tmp_path: Path, task: Task) -> None:
        run(tmp_path, task, against=subject(tmp_path / "others", task, size=20, word="no"))
        text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        outline = Outline(text)
        assert outline.open == []
        assert outline.loads
        assert all(source.startswith("data:") for source in outline.loads)
        for outside in ("http:", "https:", "@import", "url(", "<script", "<link"):
            assert outside not in text, outside
        assert "prefers-color-scheme: dark" in text
        assert 'name="viewport"' in text
        assert (
            outline.count["img" if task != "asr" else "audio"] == 4 + COUNT
        )  # those that are wrong, and all in order of doubt
        for name in ("Reliability", "Risk and coverage", "Worst", "Most doubtful"):
            assert name in outline.text

    @pytest.mark.parametrize(("n", "few"), [(1, True), (9, True), (10, False)])
    def test_it_says_that_a_few_items_tell_little(self, tmp_path: Path, n: int, few: bool) -> None:
        run(
            tmp_path,
            "asr",
            {"data": [(Item(item.id, item.uri), label) for item, label in named(tmp_path, "asr")["data"][:n]]},
        )
        text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert ("So few items tell little of others" in text) == few
        assert read(tmp_path)["too_few"] == read(tmp_path)["by_data"]["data"]["too_few"] == few
        assert f"on {n} item{'' if n == 1 else 's'}," in text

    def test_it_says_that_a_few_groups_tell_little_however_many_items_they_have(self, tmp_path: Path) -> None:
        run(tmp_path, "asr")
        assert "So few groups tell little of others" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert read(tmp_path)["too_few"]

    def test_texts_are_escaped(self, tmp_path: Path) -> None:
        (item, _), *_ = named(tmp_path, "asr")["data"]
        hostile = "<script>alert(1)</script>"
        truth: Label = Transcript(hostile)
        said = Prediction(Transcript(hostile), 0.5, {}, ())
        evaluation = Evaluation("asr", (Item(hostile, item.uri, hostile),), (truth,), (said,))
        judged = judge(Model(hostile, "0" * 64), evaluation, scores)
        blank = run(tmp_path, "asr", {hostile: [(item, truth)]})
        text = page.render(blank, judged)
        assert "<script" not in text
        assert "&lt;script&gt;" in text

    def test_no_more_than_24_of_each_are_shown(self, tmp_path: Path) -> None:
        data = {"data": list(datasets.read(data_set(tmp_path / "many", "asr", 90)))}
        run(tmp_path, "asr", data)
        assert Outline((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).count["audio"] == 48

    def test_the_worst_come_first_and_among_equals_the_surest(self) -> None:
        texts = [("a", "a b c"), ("a", "a"), ("a", "b"), ("a", "c"), ("x", "a b")]
        doubts = [0.1, 0.9, 0.8, 0.2, 0.5]
        said = tuple(
            Prediction(Transcript(ours), doubt, {}, ()) for (ours, _), doubt in zip(texts, doubts, strict=True)
        )
        items = tuple(Item(str(i), str(i)) for i in range(5))
        judged = judge(
            Model("m", "0" * 64), Evaluation("asr", items, tuple(Transcript(t) for _, t in texts), said), scores
        )
        assert judged.worst(9) == [0, 4, 3, 2]
        assert judged.most_doubtful(4) == [1, 2, 4, 3]
        assert judged.max_probability is None  # nobody told frame_probability


def test_one_evaluation_at_a_time_goes_on_in_a_folder(tmp_path: Path) -> None:
    """The other one's answers, and the files that are being written, stay as they are."""
    with alone_in(tmp_path / "out"):
        hidden = tmp_path / "out" / ".writing" / "report.html"
        hidden.parent.mkdir()
        hidden.touch()
        with pytest.raises(InvalidInput, match="out: expected to be the only run there, got another one going on"):
            run(tmp_path, "detection")
        assert hidden.is_file()


def test_to_json_begins_with_the_version_of_the_schema(tmp_path: Path) -> None:
    assert next(iter(to_json(run(tmp_path, "asr")))) == "schema_version"
