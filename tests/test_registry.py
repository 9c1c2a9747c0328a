"""What is installed is found by one mechanism; what is broken is named, and the rest works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from framework.core.options import option
from framework.core.part import KINDS, Part
from framework.errors import RecipeError
from framework.hookspecs import INTERFACE, hookimpl
from framework.registry import (
    GROUP,
    HOOKS,
    OWN,
    ROOT,
    Registry,
    checkout_entry_points,
    entry_points,
    load_registry,
)


class Spans:
    """Predict spans.

    More words.
    """


@attrs.frozen
class SpansOptions:
    width: int = option(2, doc="width")


def part(name: str = "tiny.spans", kind: str = "target", options: type = SpansOptions) -> Part:
    return Part(kind, name, Spans, options)


class Plugin:
    def __init__(self, *parts: Part) -> None:
        self.given: Sequence[Part] = parts

    @hookimpl
    def register_parts(self) -> Sequence[Part]:
        return self.given


def registry_of(**plugins: object) -> Registry:
    registry = Registry()
    for name, plugin in plugins.items():
        registry.add(name, lambda plugin=plugin: plugin)
    return registry


def failure(plugin: object) -> str:
    """The one message of a registry with ``plugin`` and a good one; the good one must work."""
    registry = registry_of(good=Plugin(part("good.maps")), bad=plugin)
    assert registry.part("target", "good.maps", "test").name == "good.maps"
    assert registry.plugins == ("good",)
    assert [each.name for each in registry.parts()] == ["good.maps"]
    (found,) = registry.failures
    return str(found)


REMEDY = " Mend or uninstall it, or set NLVL_DISABLE=bad to do without it."


def test_parts_are_found_by_kind_and_name() -> None:
    registry = registry_of(tiny=Plugin(part(), part("tiny.spans", "denoiser"), part("tiny.boxes")))
    assert registry.part("target", "tiny.spans", "test").kind == "target"
    assert [each.name for each in registry.parts("target")] == ["tiny.boxes", "tiny.spans"]
    assert [each.kind for each in registry.parts()] == ["target", "target", "denoiser"]
    assert [each.kind for each in registry.named("tiny.spans")] == ["target", "denoiser"]
    assert registry.plugin(part()) == "tiny"
    assert part().summary == "Predict spans."


def test_a_missing_part_is_answered_with_the_nearest_and_all_installed() -> None:
    registry = registry_of(core=Plugin(*(part(name) for name in ("core.spans", "ms2d.iou_maps", "unloc.points"))))
    with pytest.raises(RecipeError) as error:
        registry.part("target", "core.span", "charades.toml [target]")
    assert str(error.value) == (
        'charades.toml [target] name = "core.span": no such target. Did you mean "core.spans"? '
        "Installed: core.spans, ms2d.iou_maps, unloc.points."
    )
    with pytest.raises(RecipeError, match=r'^--rule metric = "rank": no such metric\. Installed: none\.$'):
        registry.part("metric", "rank", "--rule", "metric")
    with pytest.raises(RecipeError, match=r'"core\.spans" is a target\. Installed: none\.$'):
        registry.part("denoiser", "core.spans", "charades.toml [denoiser]")


def test_a_plugin_that_cannot_be_imported_is_named() -> None:
    registry = Registry()
    registry.add("bad", EntryPoint("bad", "no_such_module_of_ours", GROUP).load)
    (found,) = registry.failures
    assert str(found) == f"plugin \"bad\": ModuleNotFoundError: No module named 'no_such_module_of_ours'.{REMEDY}"


def test_a_part_of_a_plugin_that_failed_is_answered_with_its_failure() -> None:
    registry = Registry()
    registry.add("bad", EntryPoint("bad", "no_such_module_of_ours", GROUP).load)
    with pytest.raises(RecipeError) as error:
        registry.part("target", "bad.spans", "charades.toml [target]")
    assert str(error.value) == (
        'charades.toml [target] name = "bad.spans": no such target. '
        "It may belong to a plugin that could not be loaded: "
        f"plugin \"bad\": ModuleNotFoundError: No module named 'no_such_module_of_ours'.{REMEDY} Installed: none."
    )
    with pytest.raises(RecipeError, match=r"no such target\. Not loaded: plugins bad\. Installed: none\.$"):
        registry.part("target", "other.spans", "charades.toml [target]")


def test_a_part_that_a_failed_plugin_had_under_another_name_is_found_again() -> None:
    registry = registry_of(bad=Plugin(part("other.spans"), part("other.spans")))
    with pytest.raises(RecipeError, match=r'It may belong to a plugin that could not be loaded: plugin "bad": target'):
        registry.part("target", "other.spans", "test")


class Misspelt:
    @hookimpl
    def after_trian_step(self) -> None: ...


class WrongArguments:
    @hookimpl
    def after_epoch(self, epok: int) -> None: ...


class Unmarked:
    def register_parts(self) -> list[Part]:
        return [part()]


class Wrapping:
    @hookimpl(wrapper=True)
    def run_finished(self) -> Iterator[None]:
        yield


class WrappingParts:
    @hookimpl(hookwrapper=True)
    def register_parts(self) -> Iterator[None]:
        yield


class Raising:
    @hookimpl
    def register_parts(self) -> list[Part]:
        raise KeyError("a\nb")


class Undocumented:
    @attrs.frozen
    class Options:
        width: int = attrs.field(default=1)


class Unresolvable:
    @attrs.frozen
    class Options:
        width: NoSuchType = option(1, doc="width")  # type: ignore[name-defined] # noqa: F821, RUF009


@attrs.frozen
class Nested:
    inner: Undocumented.Options = option(Undocumented.Options(), doc="inner")  # noqa: RUF009


@attrs.frozen
class Named:
    name: str = option("x", doc="name")


LISTED = f"Hooks: {', '.join(HOOKS)}."
BROKEN: list[tuple[object, str]] = [
    (Misspelt(), f'there is no hook "after_trian_step". Did you mean "after_train_step"? {LISTED}'),
    (Unmarked(), "register_parts is not marked @hookimpl, so it would never be called."),
    (Wrapping(), "run_finished is a wrapper, which is never called. Mark it by @hookimpl alone."),
    (WrappingParts(), "register_parts is a wrapper, which is never called. Mark it by @hookimpl alone."),
    (SimpleNamespace(nlvl_interface=2),
        "its nlvl_interface is 2, but the hooks of this framework have version 1. "
        "Install releases of both that agree."),
    (SimpleNamespace(nlvl_interface="1"),
        "its nlvl_interface is '1', but the hooks of this framework have version 1. "
        "Install releases of both that agree."),
    (SimpleNamespace(), f"nothing in it is marked @hookimpl. {LISTED}"),
    (Raising(), "KeyError: 'a\\nb'."),
    (Plugin(part("good.maps")), 'target "good.maps" is registered already, by good. Rename one.'),
    (Plugin(part(), part()), 'target "tiny.spans" is registered already, by bad. Rename one.'),
    (Plugin(part(kind="tarhet")),
        f'tarhet "tiny.spans": no such kind. Did you mean "target"? Kinds: {", ".join(KINDS)}.'),
    (Plugin(part("Tiny Spans")),
        'target "Tiny Spans": a name is plugin.part, in small letters, digits and underscores.'),
    (Plugin(part(options=dict)), 'target "tiny.spans": its options must be a class made by @attrs.frozen.'),
    (Plugin(part(options=Undocumented.Options)),
        'target "tiny.spans": option width has no documentation. Make it by option(..., doc=...).'),
    (Plugin(part(options=Nested)),
        'target "tiny.spans" inner: option width has no documentation. Make it by option(..., doc=...).'),
    (Plugin(part(options=Unresolvable.Options)),
        "target \"tiny.spans\": an annotation of its options cannot be resolved: name 'NoSuchType' is not defined."),
    (Plugin(part(options=Named)),
        'target "tiny.spans": an option cannot be called name; in a recipe that chooses a part. Rename it.'),
    (Plugin(Part("target", "tiny.spans", None, SpansOptions)),  # type: ignore[arg-type]
        'target "tiny.spans": its factory cannot be called.'),
    (Plugin("spans"), "register_parts must return a list of Part."),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("plugin", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_a_broken_plugin_is_named_with_the_remedy_and_the_rest_works(plugin: object, message: str) -> None:
    assert failure(plugin) == f'plugin "bad": {message}{REMEDY}'


def test_a_hook_with_wrong_arguments_is_quoted() -> None:
    message = failure(WrongArguments())
    assert message.startswith('plugin "bad": ')
    assert "after_epoch(epok: 'int')" in message
    assert "epok" in message.partition("Argument(s)")[2]


def test_a_plugin_that_was_written_for_these_hooks_is_taken() -> None:
    class Versioned(Plugin):
        nlvl_interface = INTERFACE

    registry = registry_of(tiny=Versioned(part()))
    assert (registry.failures, registry.plugins) == ((), ("tiny",))


def test_a_failed_plugin_hears_no_hook() -> None:
    class Half(Plugin):
        @hookimpl
        def run_started(self) -> None:
            raise AssertionError

    registry = registry_of(bad=Half(part(), part()))
    assert registry.manager.hook.run_started.get_hookimpls() == []
    registry.manager.check_pending()


def test_two_plugins_of_one_name_do_not_both_load() -> None:
    registry = registry_of(tiny=Plugin(part()))
    registry.add("tiny", lambda: Plugin(part("tiny.other")))
    registry.add(OWN, lambda: Plugin(part("tiny.other")))
    assert [str(each).partition(" Mend")[0] for each in registry.failures] == [
        'plugin "tiny": another plugin has that name.',
        'plugin "framework": another plugin has that name.',
    ]
    assert registry.plugins == ("tiny",)


def test_plugins_are_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLVL_DISABLE", " mine , ms2d,dataset")
    registry = load_registry({"mine": Plugin(part("mine.spans"))})
    assert not {"mine", "ms2d"} & set(registry.plugins)
    (found,) = registry.failures
    assert str(found).startswith(
        'NLVL_DISABLE: no plugin "dataset". Did you mean "datasets"? '
        "Plugins: datasets, diffusionvg, diffusionvmr, momentdetr, momentdiff, ms2d, "
    )
    with pytest.raises(RecipeError) as error:
        registry.part("target", "ms2d.iou_maps", "charades.toml [target]")
    assert ' no such target. Plugin "ms2d" is switched off by NLVL_DISABLE. Installed: ' in str(error.value)


def test_the_framework_and_its_own_plugins_load_without_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLVL_DISABLE", raising=False)
    registry = load_registry()
    assert registry.failures == ()
    assert {"datasets", "ms2d"} <= set(registry.plugins)
    assert {each.kind for each in registry.parts()} == set(KINDS)
    assert registry.plugin(registry.part("sampler", "gaussian", "test")) == OWN
    assert registry.plugin(registry.part("target", "ms2d.iou_maps", "test")) == "ms2d"


def test_a_checkout_is_found_without_being_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project.entry-points."{GROUP}"]\nmine = "mine_of_checkout"\n')
    (tmp_path / "mine_of_checkout.py").write_text("here = True\n")
    monkeypatch.setattr("sys.path", ["elsewhere"])
    (entry,) = checkout_entry_points(tmp_path)
    assert (entry.name, entry.group, entry.load().here) == ("mine", GROUP, True)
    assert checkout_entry_points(tmp_path / "nowhere") == []


def test_the_checkout_is_put_on_the_path_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(ROOT)])
    checkout_entry_points(ROOT)
    import sys

    assert sys.path == [str(ROOT)]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Install a distribution with one entry point, as pip would lay it out."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(distribution: str, name: str, source: str) -> None:
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}_module\n")
        (tmp_path / f"{name}_module.py").write_text(source)

    return install


THIRD_PARTY = """
import attrs
from framework.core.part import Part
from framework.hookspecs import hookimpl

class Maps:
    "Maps of a third party."

@attrs.frozen
class Options:
    pass

@hookimpl
def register_parts():
    return [Part("target", "{name}", Maps, Options)]
"""


def test_a_third_party_comes_in_by_the_same_door(install: Callable[[str, str, str], None]) -> None:
    install("someone", "aardvark", THIRD_PARTY.format(name="aardvark.maps"))
    registry = load_registry()
    assert registry.plugin(registry.part("target", "aardvark.maps", "test")) == "aardvark"
    names = [entry.name for entry in entry_points()]
    assert names.index("aardvark") > names.index("ms2d")


def test_a_third_party_that_takes_one_of_our_names_is_the_one_put_aside(
    install: Callable[[str, str, str], None],
) -> None:
    install("someone", "armadillo", THIRD_PARTY.format(name="ms2d.iou_maps"))
    registry = load_registry()
    assert registry.plugin(registry.part("target", "ms2d.iou_maps", "test")) == "ms2d"
    assert [str(each).partition(" Rename")[0] for each in registry.failures] == [
        'plugin "armadillo": target "ms2d.iou_maps" is registered already, by ms2d.'
    ]
