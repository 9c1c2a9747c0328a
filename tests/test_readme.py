"""What the README shows works: its target passes the laws, its commands are those that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import tomli
import torch

from framework.core.noise import GeneratorNoise
from framework.core.part import Part
from framework.data.predictions import read_predictions
from framework.engine.assemble import assemble
from framework.engine.loss import losses
from framework.recipe import parse_recipe
from framework.registry import load_registry
from framework.testing import check_target, tiny

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_target_in_the_readme_passes_the_laws_and_can_be_registered() -> None:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class Centre" in block]
    module: dict[str, object] = {"__name__": "mine"}
    exec(compile(code, "README.md", "exec"), module)
    (part,) = module["register_parts"]()  # type: ignore[operator]
    assert isinstance(part, Part)
    registry = load_registry({"mine": _Module(module)})
    assert not registry.failures
    assert registry.part("target", "mine.centre", "README.md").options.__name__ == "CentreOptions"
    check_target(part.factory(part.options()), examples=10)
    (written,) = [block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "mine.centre" in block]
    recipe = parse_recipe(written, Path("README.md"), registry)
    method = assemble(recipe, tiny.INPUTS_OF_IDS)
    terms = losses(method, tiny.batch(ids=True), GeneratorNoise(torch.Generator().manual_seed(0)))
    assert terms["main/l1"].requires_grad


class _Module:
    def __init__(self, names: dict[str, object]) -> None:
        self.__dict__.update(names)


def test_the_commands_of_the_readme_are_those_of_ci_and_exist() -> None:
    assert "pip install -c constraints.txt -e . && python -m framework run recipes/ms2d_charades.toml" in README
    assert "pip install -c constraints.txt -e '.[test]' && pytest" in README
    assert "pip install --quiet -c constraints.txt -e '.[test]' && pytest" in (ROOT / ".ci" / "run").read_text()
    for name in re.findall(r"(?:recipes|tools|docs)/[\w/]+\.(?:toml|py|png|md)", README):
        assert (ROOT / name).is_file(), name
    for line in re.findall(r"^    (framework/\w+|plugins/\w+|recipes|tools) ", README, re.MULTILINE):
        assert (ROOT / line).is_dir(), line


DATA = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_page_on_data_names_every_dataset_rule_and_source_of_words_that_is_installed() -> None:
    registry = load_registry()
    for kind in ("dataset", "metric", "text"):
        names = {part.name for part in registry.parts(kind)}
        first = set(re.findall(r"^\| `([a-z_]+)` \|", DATA, re.MULTILINE))
        assert names <= first, kind
    known = {part.name for part in registry.parts()} | {"punctuation"}
    assert set(re.findall(r"^\| `([a-z_]+)` \|", DATA, re.MULTILINE)) <= known


def test_the_page_on_data_shows_what_can_be_read(tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", DATA, re.DOTALL)
    (line, prediction), (own,) = ([text for kind, text in blocks if kind == wanted] for wanted in ("json", "toml"))
    files = ("train.jsonl", "val.jsonl", "test_iid.jsonl", "test_ood.jsonl")
    for name in files:
        (tmp_path / name).write_text(line)
    options = tomli.loads(own)["data"]
    part = load_registry().part("dataset", options.pop("name"), "docs/data.md")
    options["others"] = tuple(options["others"])
    del options["root"]
    dataset = part.factory(part.options(**options), tmp_path)
    assert [dataset.queries(split)[0].id for split in (*dataset.splits,)] == [7] * 4
    (tmp_path / "answers.jsonl").write_text(prediction)
    assert read_predictions(tmp_path / "answers.jsonl")[7].saliency == (0.1, 0.7)


def test_files_that_the_page_on_data_names_are_there() -> None:
    for name in re.findall(r"(?:recipes|tools)/[\w/]+\.(?:toml|py|md)", DATA):
        assert (ROOT / name).is_file(), name
    assert (ROOT / "docs/results/benchmarks.md").is_file()
