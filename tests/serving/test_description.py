"""The API's description is one that a generator of clients accepts, and the client that it makes works."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.served import Served, listening, picture, serving, sound

PACKAGE = "prelabel_client"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("described")
    with serving(folder, uri_roots=(folder,)) as running:
        yield running


@pytest.fixture(scope="module")
def url(served: Served) -> Iterator[str]:
    with listening(served) as address:
        yield address


@pytest.fixture(scope="module")
def generated(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A client that was generated of the served description, where Python finds it."""
    folder = tmp_path_factory.mktemp("generated")
    description = folder / "openapi.json"
    description.write_bytes(httpx.get(f"{url}/openapi.json", timeout=60, trust_env=False).content)
    generate(description, folder / "out")
    sys.path.insert(0, str(folder / "out"))
    yield folder / "out"
    sys.path.remove(str(folder / "out"))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def generate(description: Path, out: Path) -> None:
    """Warnings are failures: each would be a route without a function."""
    settings = description.with_suffix(".yaml")
    settings.write_text("post_hooks: []\n")  # how its code is formatted matters to nobody here
    command = f"{Path(sys.executable).parent}/openapi-python-client generate --fail-on-warning".split()
    places = ["--path", str(description), "--output-path", str(out), "--config", str(settings)]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def of(name: str) -> Any:
    """A module of the generated client."""
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def client(generated: Path, url: str) -> Any:
    made: Any = importlib.import_module(PACKAGE)
    return made.Client(base_url=url, timeout=httpx.Timeout(60), raise_on_unexpected_status=True)


def test_every_route_of_the_protocol_has_its_function(generated: Path, served: Served) -> None:
    paths = served.client.get("/openapi.json").json()["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)
    ours = [one for path, methods in paths.items() if path.startswith("/v1/") for one in methods.values()]
    assert {"annotate", "register_items", "queue", "correct", "report"} <= {one["operationId"] for one in ours}
    for operation in ours:
        module = of(f"api.{operation.get('tags', ['default'])[0]}.{operation['operationId']}")
        assert module.sync_detailed, operation


def test_a_generator_refuses_what_it_does_not_understand(served: Served, tmp_path: Path) -> None:
    """So that the test above can fail."""
    described = served.client.get("/openapi.json").json()
    content = described["paths"]["/v1/items"]["post"]["requestBody"]["content"]
    content["application/jsonl"] = content.pop("application/json")
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    with pytest.raises(AssertionError, match="Unsupported content type application/jsonl"):
        generate(tmp_path / "openapi.json", tmp_path / "out")


def test_media_are_annotated_in_each_way_of_sending_them(client: Any, served: Served) -> None:
    annotate, file, models = of("api.default.annotate"), of("types").File, of("models")
    bytes_of = io.BytesIO(picture())
    answer = annotate.sync("detection", client=client, body=file(payload=bytes_of))
    assert [box.category for box in answer.label.boxes] == ["car"]
    assert answer.route.reason
    files = [file(payload=io.BytesIO(picture(shade)), file_name=f"{shade}.png") for shade in (0, 1)]
    first, second = annotate.sync("detection", client=client, body=models.AnnotateFilesBody(file=files))
    assert first.item_id == answer.item_id != second.item_id
    (served.folder / "a.png").write_bytes(picture())
    uri = models.AnnotateJsonUriBody(uri=f"{served.folder}/a.png")
    assert annotate.sync("detection", client=client, body=uri).item_id == answer.item_id
    heard = of("api.default.media").sync(answer.item_id, client=client)
    assert heard.payload.read() == picture()


@pytest.mark.parametrize(("task", "kind"), [("detection", "Boxes"), ("lane", "Lanes"), ("asr", "Transcript")])
def test_a_label_is_read_as_what_it_is_and_nothing_of_it_is_lost(
    task: str, kind: str, client: Any, served: Served
) -> None:
    medium = sound() if task == "asr" else picture(9)
    told = served.client.post(f"/v1/{task}/annotate", content=medium).json()["label"]
    answer = of("api.default.annotate").sync(task, client=client, body=of("types").File(io.BytesIO(medium)))
    assert (type(answer.label).__name__, answer.label.to_dict()) == (kind, told)


def test_a_correction_is_sent_and_the_report_counts_it(client: Any, served: Served) -> None:
    models = of("models")
    (served.folder / "b.png").write_bytes(picture(7))
    entry = models.RegisterItemsItemLine.from_dict({"uri": f"{served.folder}/b.png", "task": "detection"})
    assert of("api.default.register_items").sync(client=client, body=[entry]).new == 1
    answer = of("api.default.annotate").sync("detection", client=client, body=of("types").File(io.BytesIO(picture(7))))
    before = of("api.default.report").sync(client=client).tasks["detection"]["human_seconds"]
    correction = {"task": "detection", "label": answer.label.to_dict(), "annotator": "ada", "seconds": 6.5}
    body = models.CorrectCorrectionBody.from_dict(correction)
    receipt = of("api.default.correct").sync(answer.item_id, client=client, body=body)
    assert (receipt.item_id, receipt.repeated) == (answer.item_id, False)
    assert of("api.default.report").sync(client=client).tasks["detection"]["human_seconds"] == before + 6.5
    missing = of("api.default.correct").sync("nothing", client=client, body=body)
    assert missing.error.code == "not_found"
