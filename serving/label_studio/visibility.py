"""When a control is not shown: below a ``visibleWhen``, until somebody chose something. What is not shown says nothing.

As in the editor of Label Studio 1.23.2 (its visibility mixin): a control is shown where the conditions of all Views
around it hold and, of a TextArea, its own; on other controls here they mean nothing. Nor does a condition that asks
for choices of each region say anything of the others. Attributes may be written in small or large letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

_HIDING = {"View", "TextArea"}  # the tags whose condition hides a control of ours
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


def is_per_region(tag: Element) -> bool:
    """Whether people answer a control for each region."""
    return (attribute(tag, "perRegion") or "").lower() == "true"


def _conditions(tag: Element, root: Element) -> list[Condition]:
    when, told = attribute(tag, "visibleWhen"), attribute(tag, "whenChoiceValue")
    if tag.tag not in _HIDING or (when not in _ASKED and (when or not told)):
        return []
    control = attribute(tag, "whenTagName") if when else None
    if any(one.get("name") == control and is_per_region(one) for one in root.iter()):
        return []
    if when and not control:  # then the editor asks for any choice, whatever is named
        return [Condition(None, frozenset(), _ASKED[when])]
    aliases = {one.get("value", ""): one.get("alias") for one in root.iter("Choice")}
    values = {value for value in (told or "").split(",") if value}
    values |= {alias for value in values if (alias := aliases.get(value))}
    return [Condition(control, frozenset(values), _ASKED.get(when or "", True))]


def _chosen(region: Mapping[str, Any]) -> list[str]:
    """What was chosen; of a taxonomy the ends of the paths."""
    value = region.get("value") or {}
    return [*(value.get("choices") or ()), *(path[-1] for path in value.get("taxonomy") or () if path)]
