"""Calling the hooks that observe: each plugin gets copies, and a failure names the plugin."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from framework.errors import PluginError
from framework.registry import DISABLE, Registry

RESUME: Final = "Everything is saved: go on by --resume"
FINISHED: Final = "The run is finished and saved: write its page by the command report"


def announce(registry: Registry, hook: str, then: str = RESUME, **given: Any) -> list[Any]:
    """Call ``hook`` of every plugin that has it and return what they gave.

    Arguments are copied for each plugin, so that observing cannot change a run. Raises PluginError, naming the plugin,
    where one fails; ``then`` says what is left to do.
    """
    found = []
    for impl in reversed(getattr(registry.manager.hook, hook).get_hookimpls()):
        arguments = {name: _copied(given[name]) for name in impl.argnames}
        try:
            found.append(impl.function(**arguments))
        except Exception as error:  # A plugin may fail in any way.
            raise PluginError(
                f'plugin "{impl.plugin_name}": its hook {hook} failed with {type(error).__name__}: {error}. {then}, '
                f"once it is mended or switched off by {DISABLE}={impl.plugin_name}."
            ) from error
    return found


def _copied(value: Any) -> Any:
    return copy.deepcopy(dict(value)) if isinstance(value, Mapping) else value
