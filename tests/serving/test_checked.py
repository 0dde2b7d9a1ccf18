"""What people found on randomly drawn items: kept by item, and the same as from all of them read at once."""

from pathlib import Path
from typing import Any

import pytest

from serving.loop import Loop
from serving.media_files import MediaFiles
from serving.policies import parse_policy
from serving.store import Store
from serving.store.records import Unfit
from tests.serving.work import START, Clock, answer, correction, item, item_id, settings, version_folder

NAMES = range(7)


def service(store: Store, folder: Path) -> Loop:
    return Loop(store, MediaFiles(folder / "media"), settings(folder), Clock())


def told(loop: Loop) -> list[tuple[Any, ...]]:
    return list(zip(*(values.tolist() for values in loop.checked("v1")), strict=True))


def test_what_is_kept_is_what_reading_everything_tells(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was done in between, by whichever service; only what is new is read."""
    monkeypatch.setattr("serving.store.database.PAGE", 2)
    kept = service(store, tmp_path)
    kept.versions.add(version_folder(tmp_path, "v1"), "tester")
    for name in NAMES:
        said = answer(name, score=name / 10, decision="audit")
        store.items.save(item(name), said, name / 10, None, "tester", START)
    assert told(kept) == []
    given = {
        name: store.queue.correct(correction(name, "bus" if name % 3 == 0 else "car"), None, "tester", START)
        for name in NAMES
    }
    expected = [(name / 10, name % 3 == 0) for name in sorted(NAMES, key=item_id)]
    assert told(kept) == told(service(store, tmp_path)) == expected
    for do in (
        lambda: store.queue.correct(correction(0, "car", at=1), None, "tester", START),
        lambda: store.queue.withdraw(given[1].correction_id, "tester", START),
        lambda: store.unfit.say(Unfit(item_id(2), "detection", "damaged", "eve", 1.0, "t", START), None, "x", START),
        lambda: store.checks.contest(item_id(3), "detection", given[3].correction_id, "tester", START),
        lambda: kept.adopt(parse_policy({"matters_category": False}, "p", kept.policies.default), None, "boss"),
        lambda: store.unfit.take_back(item_id(2), "detection", "tester", START),
    ):
        do()
        assert told(kept) == told(service(store, tmp_path))


def test_only_new_checks_are_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = service(store, tmp_path)
    kept.versions.add(version_folder(tmp_path, "v1"), "tester")
    for name in NAMES:
        store.items.save(item(name), answer(name, decision="audit"), 0.5, None, "tester", START)
        store.queue.correct(correction(name, "car"), None, "tester", START)
    told(kept)
    read, among = list[str](), store.checks.among

    def noted(*asked: Any) -> Any:
        read.extend(asked[-1])
        return among(*asked)

    monkeypatch.setattr(store.checks, "among", noted)
    told(kept)
    assert read == []
    store.queue.correct(correction(4, "bus", at=1), None, "tester", START)
    told(kept)
    assert read == [item_id(4)]
