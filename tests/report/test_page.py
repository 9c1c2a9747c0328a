"""The page of a run: whole in itself, well formed, honest about its profile, safe with hostile text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.errors import DataError
from framework.report import write_report
from framework.report.tables import EMBEDDED

MakeRun = Callable[..., Path]
Parse = Callable[[str], Any]
HOSTILE = '</h3></script><script>alert(1)</script><img src=x onerror="alert(1)">\' & {{ 7 * 7 }}'


def page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def examples_of(make_run: MakeRun) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((make_run() / "examples.json").read_text())
    return found


@pytest.mark.parametrize("profile", ["full", "embedded"])
def test_the_page_is_well_formed_and_its_references_lead_somewhere(
    make_run: MakeRun, parse: Parse, profile: str
) -> None:
    examples = examples_of(make_run)
    html = page(make_run(profile, examples=examples * 2))
    parsed = parse(html)
    ids = parsed.values("id")
    assert parsed.broken == []
    assert len(ids) == len(set(ids))
    targets = [link[1:] for link in parsed.values("href", "xlink:href") if link.startswith("#")]
    targets += re.findall(r"url\(#([^)]*)\)", html) + parsed.values("for", "aria-labelledby")
    assert set(targets) <= set(ids)


def test_the_page_needs_no_network_and_no_other_file(make_run: MakeRun, parse: Parse) -> None:
    html = page(make_run("embedded"))
    parsed = parse(html)
    links = parsed.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"https?://|//[a-z]|@import|url\((?!#)", html.replace("//# ", ""))
    assert "default-src 'none'" in html


def test_the_page_lies_in_the_run_folder_and_is_the_same_when_written_again(make_run: MakeRun) -> None:
    folder = make_run()
    assert write_report(folder) == folder / "report.html"
    assert page(folder) == page(folder)


def test_a_folder_that_is_no_run_gets_no_page(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_banner_stands_on_the_embedded_page_and_on_no_other(make_run: MakeRun, parse: Parse) -> None:
    embedded, full = parse(page(make_run("embedded"))), parse(page(make_run("full")))
    assert (len(embedded.all("p", "banner")), len(full.all("p", "banner"))) == (1, 0)
    assert (EMBEDDED in embedded.text, EMBEDDED in full.text) == (True, False)
    assert "[embedded] ms2d_charades" in embedded.text
    assert "embedded" not in full.text


def test_the_difference_to_the_paper_is_given_for_the_dataset_alone(make_run: MakeRun, parse: Parse) -> None:
    assert "-1.05" in parse(page(make_run("full"))).text
    assert "-1.05" not in parse(page(make_run("embedded"))).text


def test_a_hostile_query_is_shown_as_text(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["query"] = HOSTILE
    parsed = parse(page(make_run(examples=examples)))
    assert HOSTILE in parsed.text
    assert len(parsed.all("script")) == 1
    assert not parsed.values("onerror")
    assert parsed.broken == []


def test_hostile_text_anywhere_in_the_folder_makes_no_element(make_run: MakeRun, parse: Parse) -> None:
    clean = [tag for tag, _ in parse(page(make_run())).elements]
    folder = make_run()
    for name in ("manifest.json", "metrics.json", "examples.json", "history.jsonl"):
        content = (folder / name).read_text()
        for known in ("charades_sta", "i3d.hdf5", "cpu", "last", "ms2d_charades", "main/mse", "mIoU", "3MSZA"):
            content = content.replace(json.dumps(known), json.dumps(HOSTILE))
        (folder / name).write_text(content)
    (folder / "recipe.toml").write_text(HOSTILE)
    parsed = parse(page(folder))
    assert [tag for tag, _ in parsed.elements] == clean
    assert parsed.text.count(HOSTILE) >= 8


def test_half_a_surrogate_pair_does_not_stop_the_page(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["query"] = "before \ud800 after"
    assert "before ? after" in parse(page(make_run(examples=examples))).text


def test_the_page_holds_the_recipe_the_rule_the_cost_and_the_environment(make_run: MakeRun, parse: Parse) -> None:
    text = parse(page(make_run())).text
    for stated in ('name = "ms2d.iou_maps"', "rank, IoU > m, NMS 0.49", "35,200", "2 h 13 min", "i3d.hdf5", "5d1f"):
        assert stated in text
    assert "nlvl run 'ms2d charades.toml'" in text


def test_training_curves_are_drawn_in_the_page(make_run: MakeRun, parse: Parse) -> None:
    html = page(make_run())
    parsed = parse(html)
    assert len(parsed.all("figure", "plot")) == 3
    assert html.count("stroke: var(--line-0)") >= 3
    untrained = parse(page(make_run(epochs=[])))
    assert untrained.all("figure", "plot") == []
    assert "No epoch of training is recorded" in untrained.text


def test_an_example_shows_truth_and_moments_where_they_lie(make_run: MakeRun, parse: Parse) -> None:
    parsed = parse(page(make_run()))
    (truth,), moments = parsed.all("rect", "truth"), parsed.all("rect", "moment")
    assert (truth["x"], truth["width"]) == ("25.0%", "25.0%")
    assert [(moment["x"], moment["width"]) for moment in moments] == [("24.0%", "27.0%"), ("0.0%", "25.0%")]
    assert "2.4 to 5.1 s" in parsed.text


def test_bars_stay_on_the_time_line_though_a_moment_leaves_the_video(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["truth"] = [[-2.0, 4.0]]
    examples[0]["moments"] = [[8.0, 14.0, 1.0], [math.nan, math.nan, math.nan]]
    parsed = parse(page(make_run(examples=examples)))
    bars = [(bar["x"], bar["width"]) for bar in parsed.all("rect", "truth") + parsed.all("rect", "moment")]
    assert bars == [("0.0%", "40.0%"), ("80.0%", "20.0%"), ("0.0%", "0.0%")]
    assert "n/a to n/a s" in parsed.text


def test_maps_stand_truth_beside_prediction_with_a_slider_over_the_steps(make_run: MakeRun, parse: Parse) -> None:
    parsed = parse(page(make_run()))
    described = [image["alt"] or "" for image in parsed.all("img") if image["alt"]]
    assert described == [
        "Truth: best cell 0.90 at 2.5 to 5.0 s",
        "Prediction after step 1 of 2: best cell 0.80 at 0.0 to 2.5 s",
        "Prediction after step 2 of 2: best cell 0.70 at 2.5 to 5.0 s",
    ]
    (slider,) = parsed.all("input")
    assert (slider["type"], slider["min"], slider["max"]) == ("range", "1", "2")
    assert parsed.values("data-step") == ["1", "2"]


def test_one_sampling_step_needs_no_slider_and_no_map_needs_no_section(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["scales"][0]["steps"] = examples[0]["scales"][0]["steps"][:1]
    one_step = parse(page(make_run(examples=examples)))
    assert (len(one_step.all("input")), len(one_step.all("figure", "map"))) == (0, 2)
    examples[0]["scales"] = []
    without = parse(page(make_run(examples=examples)))
    assert (len(without.all("figure", "map")), len(without.all("rect", "truth"))) == (0, 1)


def test_a_map_without_truth_is_shown_alone(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["scales"][0]["truth"] = None
    parsed = parse(page(make_run(examples=examples)))
    assert (len(parsed.all("figure", "map")), len(parsed.all("span", "mark"))) == (2, 0)


def test_values_that_are_not_finite_are_told_not_hidden(make_run: MakeRun, parse: Parse) -> None:
    examples = examples_of(make_run)
    examples[0]["scales"][0]["steps"] = [[math.nan] * 7 + [None], [0.5, math.inf] + [0.0] * 5 + [None]]
    text = parse(page(make_run(examples=examples, scored={"metrics": {"R1@0.5": math.nan}}))).text
    assert "no cell has a value; 7 cells are not finite" in text
    assert "best cell 0.50 at 0.0 to 2.5 s; 1 cells are not finite" in text
    assert "nan" not in text.lower()


def test_a_run_without_examples_has_a_page_without_them(make_run: MakeRun, parse: Parse) -> None:
    folder = make_run()
    (folder / "examples.json").unlink()
    parsed = parse(page(folder))
    assert parsed.all("article") == []
    assert "#examples" not in parsed.values("href")


def test_an_unfinished_run_is_marked(make_run: MakeRun, parse: Parse) -> None:
    assert len(parse(page(make_run(said={"status": "interrupted"}))).all("p", "warning")) == 1
    assert parse(page(make_run())).all("p", "warning") == []


def test_sections_of_plugins_follow_as_they_are(make_run: MakeRun, parse: Parse) -> None:
    sections = [("Lengths <s>", "<p id='mine'>a <em>b</em></p>"), ("More", "<p>c</p>")]
    html = write_report(make_run(), sections).read_text(encoding="utf-8")
    assert "<p id='mine'>a <em>b</em></p>" in html
    assert "Lengths &lt;s&gt;" in html
    assert html.index("The resolved recipe") < html.index("id='mine'") < html.index("<p>c</p>")
    assert parse(html).broken == []


def with_spans(make_run: MakeRun, steps: list[Any]) -> Path:
    (example,) = examples_of(make_run)
    return make_run(examples=[{**example, "scales": [], "steps": steps}])


def test_spans_of_each_sampling_step_lie_below_each_other_on_a_strip(make_run: MakeRun, parse: Parse) -> None:
    steps = [[[0.0, 10.0, 0.9], [2.0, 4.0, 0.5], [1.0, 9.0, 0.1]], [[2.5, 5.0, 0.95]]]
    parsed = parse(page(with_spans(make_run, steps)))
    assert parsed.broken == []
    spans = parsed.all("rect", "span")
    assert [(span["x"], span["width"]) for span in spans] == [
        ("0.0%", "100.0%"),
        ("20.0%", "20.0%"),
        ("10.0%", "80.0%"),
        ("25.0%", "25.0%"),
    ]
    assert [span["y"] for span in spans] == ["0", "3", "6", "0"]
    assert len(parsed.all("rect", "first")) == 2
    assert [(band["x"], band["width"]) for band in parsed.all("rect", "band")] == [("25.0%", "25.0%")] * 2
    assert "step 1" in parsed.text
    assert "2.5 to 5.0 s" in parsed.text


def test_a_step_without_spans_is_told_and_an_example_without_steps_has_no_strips(
    make_run: MakeRun, parse: Parse
) -> None:
    parsed = parse(page(with_spans(make_run, [[], [[0.0, 1.0, 0.5]]])))
    assert len(parsed.all("table", "strips")) == 1
    assert "none" in parsed.text
    assert parse(page(with_spans(make_run, []))).all("table", "strips") == []
    assert parse(page(make_run())).all("table", "strips") == []
