"""``prelabel policy``: by what terms is decided who must look at what."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from models.records import TASKS
from models.tasks import parse_task
from serving.loop import Loop
from serving.verbs.console import ACTOR, Database, out, settings_of, table

app = typer.Typer(help="Adopt a policy, show the one in force, or list those of before.", no_args_is_help=True)

Of = Annotated[str | None, typer.Option("--task", help="asr, detection or lane; default: all of them")]


@app.command("adopt")
def adopt_policy(
    file: Annotated[Path, typer.Argument(help="TOML; what it leaves out is as the settings say")],
    task: Of = None,
    db: Database = None,
) -> None:
    """Put a policy in force; a running service follows at once."""
    from serving.policies import read_policy

    loop, named = Loop.open(settings_of(database_url=db)), parse_task(task) if task else None
    adopted = loop.adopt(read_policy(file, loop.policies.default), named, ACTOR)
    out.print(f"{adopted.version} is in force for {named or 'every task'}")


@app.command("show")
def show_policy(task: Of = None, db: Database = None) -> None:
    """Show what is in force, with all its terms, as TOML would say them."""
    policies = Loop.open(settings_of(database_url=db)).policies
    for name in [parse_task(task)] if task else TASKS:
        adopted = policies.adopted(name)
        whose = f"adopted by {adopted.actor} at {adopted.at:%Y-%m-%d %H:%M} UTC" if adopted else "as the settings say"
        out.print(f"{name}: {policies.of(name).version}, {whose}")
        out.print("\n".join(lines(policies.told(name))), highlight=False)


@app.command("history")
def policy_history(db: Database = None) -> None:
    """List every policy that was adopted, newest first."""
    found = Loop.open(settings_of(database_url=db)).policies.history()
    rows = [(f"{one.at:%Y-%m-%d %H:%M}", one.task or "every task", one.version, one.actor) for one in reversed(found)]
    out.print(table(("adopted at", "task", "policy", "by"), rows))


def lines(terms: Mapping[str, Any]) -> list[str]:
    """Terms as lines of TOML."""
    return [f"{name} = {_toml(value)}" for name, value in terms.items() if value is not None]


def _toml(value: Any) -> str:
    """A JSON value as TOML, whose strings and numbers are the same; there is no null in it."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
