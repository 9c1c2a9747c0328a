"""What is installed, for people: all parts, those of a kind, or one with its options and papers."""

from __future__ import annotations

from framework.core.part import KINDS, Part
from framework.errors import RecipeError, nearest
from framework.recipe import describe
from framework.registry import Registry, load_registry


def describe_parts(what: str | None) -> str:
    """List every part (None) or those of a kind, or describe the parts of one name. Raises RecipeError."""
    registry = load_registry()
    if what is not None and what not in KINDS:
        found = registry.named(what)
        if not found:
            names = [part.name for part in registry.parts()]
            raise RecipeError(
                f'"{what}": no such part or kind.{nearest(what, [*names, *KINDS])} Kinds: {", ".join(KINDS)}.'
            )
        return "\n\n".join(_described(part, registry) for part in found)
    lines: list[str] = []
    for kind in KINDS if what is None else (what,):
        lines += [f"{kind}:", *(f"  {part.name:<20} {part.summary}" for part in registry.parts(kind)), ""]
    lines += [f"not loaded: {failure}" for failure in registry.failures]
    return "\n".join(lines).rstrip()


def _described(part: Part, registry: Registry) -> str:
    lines = [f"{part.name} ({part.kind}, from plugin {registry.plugin(part)})", "", f"  {part.summary}", "", "Options:"]
    for option in describe(part):
        default = "must be given" if option.default is None else f"default {option.default}"
        rule = f"; {option.rule}" if option.rule else ""
        shared = "; may stand in [layout]" if option.shared else ""
        lines.append(f"  {option.name}: {option.type}, {default}{rule}{shared}")
        lines.append(f"      {option.doc}")
    if not describe(part):
        lines.append("  none")
    if part.papers:
        lines += ["", "Papers:", *(f"  {paper.title}" for paper in part.papers)]
    return "\n".join(lines)
