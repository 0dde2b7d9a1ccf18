"""When a control is not shown: below a ``visibleWhen``, until somebody chose something. What is not shown says nothing.

As in the editor of Label Studio 1.23.2 (its visibility mixin): a control is shown where the conditions of all tags
around it, and its own, hold; names of attributes are told apart by nothing but their letters, small or large.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

_ASKED = {"choice-selected": True, "choice-unselected": False}  # the other conditions are of regions, which stay


@dataclass(frozen=True)
class Condition:
    """Whether one of some choices, any where none are named, is (not) chosen at a control, any where none is named."""

    control: str | None
    choices: frozenset[str]
    chosen: bool

    def holds(self, result: Sequence[Mapping[str, Any]]) -> bool:
        """Whether an annotation with these regions meets it."""
        found = {
            name for region in result if self.control in (None, region.get("from_name")) for name in _chosen(region)
        }
        return bool(found & self.choices if self.choices else found) == self.chosen


def conditions_of(tag: Element, root: Element) -> tuple[Condition, ...]:
    """All that must hold for a control to be shown."""
    return tuple(found for one in (*around(tag, root), tag) for found in _conditions(one, root))


def around(tag: Element, root: Element) -> list[Element]:
    """The tags that a tag stands in."""
    parents = {child: parent for parent in root.iter() for child in parent}
    found = list[Element]()
    while tag in parents:
        tag = parents[tag]
        found.append(tag)
    return found


def attribute(tag: Element, name: str) -> str | None:
    """An attribute, in whatever letters."""
    return next((value for key, value in tag.attrib.items() if key.lower() == name.lower()), None)


def _conditions(tag: Element, root: Element) -> list[Condition]:
    when, told = attribute(tag, "visibleWhen"), attribute(tag, "whenChoiceValue")
    if when not in _ASKED and (when or not told):
        return []
    aliases = {one.get("value", ""): one.get("alias") for one in root.iter("Choice")}
    values = {value for value in (told or "").split(",") if value}
    values |= {alias for value in values if (alias := aliases.get(value))}
    control = attribute(tag, "whenTagName") if when else None
    return [Condition(control, frozenset(values), _ASKED.get(when or "", True))]


def _chosen(region: Mapping[str, Any]) -> list[str]:
    """What was chosen; of a taxonomy the ends of the paths."""
    value = region.get("value") or {}
    return [*(value.get("choices") or ()), *(path[-1] for path in value.get("taxonomy") or () if path)]
