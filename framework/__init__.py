"""Diffusion methods for natural-language video localization behind four interfaces.

Everything in ``__all__`` is the public interface; parts of plugins import the modules that docs name besides.
Names are loaded when they are first asked for, so that ``import framework`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from framework.api import load, run
    from framework.engine.localizer import Localizer, Moment, VideoIndex
    from framework.engine.run import RunResult
    from framework.errors import UserError
    from framework.hookspecs import hookimpl

_HOMES = {
    "Localizer": "framework.engine.localizer",
    "Moment": "framework.engine.localizer",
    "RunResult": "framework.engine.run",
    "UserError": "framework.errors",
    "VideoIndex": "framework.engine.localizer",
    "hookimpl": "framework.hookspecs",
    "load": "framework.api",
    "run": "framework.api",
}

_PACKAGES = ("blocks", "core", "data", "diffusion", "errors", "metrics", "moments", "samplers", "targets", "testing")
"""Public packages that need no import of their own: ``framework.moments.iou(a, b)``."""

__all__ = [
    "Localizer",
    "Moment",
    "RunResult",
    "UserError",
    "VideoIndex",
    "__version__",
    "hookimpl",
    "load",
    "run",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"framework.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
