"""The embedded data set: the same everywhere, and as long, as busy and as ambiguous as it says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import DataError
from plugins.datasets import register_parts
from plugins.datasets.activity_scripts import OBJECTS, VERBS, ScriptConstants, write_script
from plugins.datasets.synthetic import Synthetic, SyntheticOptions


def made(**options: object) -> Synthetic:
    return Synthetic(SyntheticOptions(**options), Path("nowhere"))


@pytest.fixture(scope="module")
def large() -> Synthetic:
    return made(train_queries=4000)


SCRIPTS = [write_script(f"v{number}", ScriptConstants(), 0) for number in range(1500)]


@given(st.text(max_size=8), st.integers())
@settings(deadline=None, max_examples=60)
def test_a_script_is_the_same_each_time_and_keeps_inside_its_video(video: str, seed: int) -> None:
    script = write_script(video, ScriptConstants(), seed)
    assert script == write_script(video, ScriptConstants(), seed)
    assert len({(activity.verb, activity.item) for activity in script.activities}) == len(script.activities)
    assert 1 <= len(script.asked) <= 3 <= len(script.activities)
    for activity in script.activities:
        assert 0 <= activity.start < activity.end <= script.duration


def test_a_sentence_names_the_verb_and_the_object_of_its_activity() -> None:
    for script in SCRIPTS[:200]:
        for activity, sentences in zip(script.activities, script.asked, strict=False):
            for sentence in sentences:
                words = set(sentence.split())
                assert words & set(VERBS[activity.verb])
                assert words & set(OBJECTS[activity.item])
                assert len(words & {word for verb in VERBS for word in verb}) == 1


def test_a_moment_asked_about_twice_is_asked_in_other_words() -> None:
    asked = [sentences for script in SCRIPTS for sentences in script.asked]
    assert all(len(set(sentences)) == len(sentences) for sentences in asked)
    assert np.mean([len(sentences) == 2 for sentences in asked]) == pytest.approx(0.36, abs=0.03)


def test_distractors_share_the_verb_or_the_object_of_what_is_asked() -> None:
    """Some share one by chance too, so the stated 40 % is the least."""
    shares: Counter[str] = Counter()
    for script in SCRIPTS:
        first, *others = script.activities
        shares["item"] += any(other.item == first.item for other in others)
        shares["verb"] += any(other.verb == first.verb for other in others)
    for count in shares.values():
        assert 0.4 <= count / len(SCRIPTS) < 0.8


def test_a_network_sees_the_verb_and_the_object_of_each_activity() -> None:
    script = SCRIPTS[0]
    assert [interval.label for interval in script.intervals[:2]] == [
        script.activities[0].verb,
        len(VERBS) + script.activities[0].item,
    ]
    assert len(script.intervals) == 2 * len(script.activities)


def test_lengths_are_distributed_as_in_charades_sta(large: Synthetic) -> None:
    """Charades-STA: 30.6 s a video, 8.1 s a moment, 2.4 queries a video; a third of the moments touch an end."""
    queries = large.queries("train")
    durations = {query.video: query.duration for query in queries}
    moments = np.array([query.moments[0] for query in queries])
    lengths = moments[:, 1] - moments[:, 0]
    assert np.mean(list(durations.values())) == pytest.approx(30.6, abs=0.7)
    assert np.std(list(durations.values())) == pytest.approx(8.5, abs=0.8)
    assert lengths.mean() == pytest.approx(8.1, abs=0.2)
    assert lengths.std() == pytest.approx(3.6, abs=0.25)
    assert len(queries) / len(durations) == pytest.approx(2.4, abs=0.1)
    touching = (moments[:, 0] == 0) | (moments[:, 1] == [query.duration for query in queries])
    assert touching.mean() == pytest.approx(1 / 3, abs=0.05)


def test_the_vocabulary_is_small_and_known_from_training(large: Synthetic) -> None:
    words = {word for query in large.queries("train") for word in query.text.split()}
    assert 40 <= len(words) <= 120
    assert {word for query in large.queries("test") for word in query.text.split()} <= words


def test_splits_have_the_sizes_asked_for_and_share_no_video() -> None:
    data = made(train_queries=60, val_queries=7, test_queries=11)
    found = {split: data.queries(split) for split in data.splits}
    assert {split: len(queries) for split, queries in found.items()} == {"train": 60, "val": 7, "test": 11}
    ids = [query.id for queries in found.values() for query in queries]
    assert len(set(ids)) == 78
    videos = [{query.video for query in queries} for queries in found.values()]
    assert sum(map(len, videos)) == len(set.union(*videos))
    assert data.features().videos() == set.union(*videos)


def test_a_larger_size_adds_queries_and_changes_none() -> None:
    assert made(train_queries=50).queries("train") == made(train_queries=80).queries("train")[:50]


def test_another_seed_gives_other_videos_and_sentences() -> None:
    one, two = (made(train_queries=20, seed=seed) for seed in (0, 1))
    assert [q.text for q in one.queries("train")] != [q.text for q in two.queries("train")]
    video = one.queries("train")[0].video
    assert one.features().shape(video) != two.features().shape(video)


def test_features_have_the_shape_that_is_promised_and_are_read_in_part() -> None:
    source = made(train_queries=20, val_queries=4, test_queries=4, width=24).features()
    for video in sorted(source.videos()):
        whole = source.read(video)
        assert whole.shape == source.shape(video)
        assert whole.dtype == np.float32
        assert np.isfinite(whole).all()
        assert whole.min() >= 0
        assert np.array_equal(source.read(video, 3, 9), whole[3:9])


def test_what_a_reader_does_to_features_does_not_reach_the_next_reader() -> None:
    source = made(train_queries=2).features()
    video = min(source.videos())
    first = source.read(video)
    first[:] = -1
    assert source.read(video).min() >= 0


def test_rows_times_clip_length_give_the_duration() -> None:
    data = made(train_queries=40)
    for query in data.queries("train"):
        rows = data.features().shape(query.video)[0]
        assert 0 <= query.duration - rows * 0.64 < 0.64


def test_features_do_not_depend_on_the_order_of_reading() -> None:
    forward, backward = made(train_queries=12).features(), made(train_queries=12).features()
    videos = sorted(forward.videos())[:8]
    ahead = {video: forward.read(video) for video in videos}
    for video in reversed(videos):
        assert np.array_equal(backward.read(video), ahead[video])


def test_what_one_half_of_the_moments_shows_of_a_verb_is_found_again_in_the_other(large: Synthetic) -> None:
    """Without this no sentence could be answered: rows inside a moment, less the rest of the video, tell its verb."""
    shown: dict[int, list[np.ndarray]] = {verb: [] for verb in range(len(VERBS))}
    for query in large.queries("train")[:1500]:
        rows, (start, end, _) = large.features().read(query.video), query.moments[0]
        verb = next(index for index, words in enumerate(VERBS) if set(words) & set(query.text.split()))
        shown[verb].append(rows[int(start / 0.64) : int(end / 0.64) + 1].mean(0) - rows.mean(0))
    halves = [np.array([np.mean(found[half::2], axis=0) for found in shown.values()]) for half in (0, 1)]
    one, other = (half - half.mean(0) for half in halves)
    likeness = one @ other.T / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(other, axis=1)
    assert (likeness.argmax(1) == np.arange(len(VERBS))).all()


def test_the_fingerprint_covers_every_option() -> None:
    prints = {
        made(**option).fingerprint()
        for option in (
            {},
            {"train_queries": 9},
            {"val_queries": 9},
            {"test_queries": 9},
            {"width": 9},
            {"seed": 9},
        )
    }
    assert len(prints) == 6
    assert made().fingerprint() == made().fingerprint()


def test_another_process_makes_the_same_data() -> None:
    code = (
        "from pathlib import Path; from plugins.datasets.synthetic import *;"
        "d = Synthetic(SyntheticOptions(train_queries=5), Path()); print(d.fingerprint(), d.queries('train'))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    data = made(train_queries=5)
    assert other.stdout.strip() == f"{data.fingerprint()} {data.queries('train')}"


def test_nothing_is_missing_and_a_split_that_does_not_exist_is_refused() -> None:
    data = made()
    assert data.missing() == data.missing(["test"]) == []
    assert (data.train, data.validation) == ("train", "val")
    with pytest.raises(DataError, match=r'split "validation": must be one of train, val, test'):
        data.queries("validation")


def test_the_plugin_registers_every_dataset() -> None:
    parts = {part.name: part for part in register_parts()}
    assert set(parts) == {"activitynet", "charades_sta", "didemo", "jsonl", "qvhighlights", "synthetic", "tacos"}
    assert all(part.kind == "dataset" and part.summary.endswith(".") for part in parts.values())
    assert {name for name, part in parts.items() if not part.papers} == {"jsonl", "synthetic"}
    papers = [paper for part in parts.values() for paper in part.papers]
    assert all(paper.bibtex.count("{") == paper.bibtex.count("}") for paper in papers)
