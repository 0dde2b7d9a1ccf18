"""What the documents say is so: commands, settings and records are documented, and every link leads somewhere."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from models import records
from models.datasets import FORMATS
from models.report import document
from serving import policies
from serving.cli import app
from serving.settings import Settings
from serving.simulation import document as simulation

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app)


def verbs() -> list[str]:
    return sorted(getattr(COMMANDS, "commands", {}))


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"prelabel {verb}\b", README), f"README.md: expected a line on `prelabel {verb}`"


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_explains_itself(verb: str) -> None:
    assert COMMANDS.commands[verb].help  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_in_the_table(name: str) -> None:
    found = FORMATS[name]
    read, written = ("yes" if possible else "" for possible in (found.read, found.write))
    row = f"| `{name}` | {found.task} | {read} | {written} | `{found.layout}` |"
    assert row in README, f"README.md: expected the row {row}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table(name: str) -> None:
    field = Settings.model_fields[name]
    row = f"| `PRELABEL_{name.upper()}` | `{shown(field.default)}` | {field.description} |"
    assert row in README, f"README.md: expected the row {row}"


def shown(default: object) -> str:
    if isinstance(default, tuple):
        return json.dumps(list(default))
    return str(default)


SERIES = {"datasets", "versions", "verbs"}  # folders of files of one kind, which the picture names as a whole


def test_every_file_of_the_rooms_is_on_the_picture() -> None:
    named = set(re.findall(r"\b[a-z_0-9]+\.py\b", ARCHITECTURE))
    for room in ("models", "selection", "serving"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.parent.name not in SERIES and path.name != "__init__.py":
                assert path.name in named, f"docs/architecture.md: {path.relative_to(ROOT)}"


def test_the_picture_names_no_file_that_is_not_there() -> None:
    for name in re.findall(r"\b[a-z_0-9]+\.py\b", ARCHITECTURE):
        assert list(ROOT.glob(f"*/**/{name}")), f"docs/architecture.md names {name}"


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    for target in targets:
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("records", records.json_schema()),
        ("report", document.json_schema()),
        ("simulation", simulation.json_schema()),
        ("policy", policies.json_schema()),
    ],
    ids=("records", "report", "simulation", "policy"),
)
def test_the_published_schemas_are_the_schemas(name: str, schema: object) -> None:
    published = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert published == schema


def test_the_lock_names_every_dependency_exactly() -> None:
    """The lock is what make installs and what the bento carries."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = {name: rest.split()[0] for name, _, rest in (line.partition("==") for line in lines)}
    for wish in wanted:
        name, _, version = re.sub(r"\[.*\]|[<>]=?.*", "", wish).partition("==")
        assert locked.get(name, "nothing").startswith(version), f"requirements.lock: {name}; run make lock"
        assert name in locked, f"requirements.lock: {name}; run make lock"
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    assert bento["python"]["requirements_txt"] == "./requirements.lock"


def test_the_examples_of_choosing_run(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8"), re.S)
    made: dict[str, Any] = {}
    exec(example, made)
    assert np.bincount(made["clips"][made["picks"]]).tolist() == [5] * 10
    assert 3500 < made["seconds"][made["an_hour"]].sum() <= 3600
    assert capsys.readouterr().out
