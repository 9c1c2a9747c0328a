"""A part: a named, documented building block that a recipe can ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

KINDS: Final = ("dataset", "text", "encoder", "target", "denoiser", "sampler", "rows", "post", "metric")


@attrs.frozen
class Paper:
    """A source to cite. bibtex: one complete entry."""

    title: str
    bibtex: str


@attrs.frozen
class Part:
    """One registered part.

    kind: one of ``KINDS``. name: ``plugin.part``, or a bare word for the framework's own. factory: the class, called
    with its options and whatever the contract of its kind says. options: an attrs class made with ``option``.
    """

    kind: str
    name: str
    factory: Callable[..., Any]
    options: type
    papers: tuple[Paper, ...] = ()

    @property
    def summary(self) -> str:
        """First line of the factory's docstring."""
        return ((self.factory.__doc__ or "").strip().splitlines() or [""])[0]
