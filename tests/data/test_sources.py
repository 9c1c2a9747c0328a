"""Several sources of features, precomputed words and labels of saliency: from a recipe to answers."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console

import framework
from framework.data.features import open_features
from framework.data.options import DataOptions
from framework.data.store_writing import plan_store, write_store
from framework.engine import checkpoint
from framework.engine.check import check_recipe
from framework.engine.data import missing, open_data
from framework.engine.narrate import Narrator
from framework.engine.one_video import read_video
from framework.engine.run import RunResult, execute
from framework.engine.score import score_file
from framework.errors import CheckpointError, DataError, Problems
from framework.recipe import Recipe, load_recipe, parse_recipe
from framework.registry import Registry, load_registry

RECIPE = """
name = "tiny"
[data]
name = "qvhighlights"
root = "ROOT"
video = ["slowfast", "clip"]
clip_s = 2.0
window = 8
text = { name = "features", file = "clip_text" }
[layout]
clips = 8
scales = 2
anchors = 4
[encoder]
name = "ms2d.tan"
width = 8
lstm_layers = 1
word_width = 4
pool = 2
[target]
name = "ms2d.iou_maps"
[denoiser]
name = "ms2d.conv"
width = 8
map_width = 4
kernel = 3
groups = 2
time_width = 8
[sampler]
name = "one_step"
[post]
name = "nms"
[train]
epochs = 1
batch_size = 4
optimizer = { name = "adam", lr = 1e-3 }
[evaluate]
rule = "qvhighlights"
"""


def line(qid: int, *, labelled: bool = True) -> str:
    """Video ``v<qid>`` of 16 s; the moment is the clips 1 and 2."""
    record = {"qid": qid, "query": "a dog runs", "duration": 16, "vid": f"v{qid}", "relevant_windows": [[2, 6]]}
    labels = {"relevant_clip_ids": [1, 2], "saliency_scores": [[1, 2, 3], [4, 4, 4]]}
    return json.dumps({**record, **labels} if labelled else record)


def arrays(qid: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """SlowFast, a row longer and of another size, and CLIP of one video."""
    random = np.random.default_rng(qid)
    slowfast, clip = 50 * random.normal(size=(9, 3)), random.normal(size=(8, 2))
    return slowfast.astype(np.float32), clip.astype(np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("qvhighlights")
    for name in ("slowfast", "clip", "clip_text"):
        (root / name).mkdir()
    for qid in range(12):
        for name, values in zip(("slowfast", "clip"), arrays(qid), strict=True):
            np.savez(root / name / f"v{qid}.npz", features=values)
        words = np.random.default_rng(qid).normal(size=(3, 4)).astype(np.float16)
        np.savez(root / "clip_text" / f"qid{qid}.npz", last_hidden_state=words, pooler_output=words[0])
    (root / "highlight_train_release.jsonl").write_text("\n".join(map(line, range(8))))
    (root / "highlight_val_release.jsonl").write_text("\n".join(map(line, range(8, 12))))
    (root / "tiny.toml").write_text(RECIPE.replace("ROOT", str(root)))
    return root


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def recipe(root: Path, registry: Registry, *overrides: str) -> Recipe:
    return load_recipe(root / "tiny.toml", overrides, registry)


def run(root: Path, registry: Registry, out: Path, *overrides: str) -> RunResult:
    quiet = Narrator(Console(quiet=True))
    return execute(recipe(root, registry, *overrides), registry, out=out, device="cpu", narrator=quiet)


@pytest.fixture(scope="module")
def finished(root: Path, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(root, registry, tmp_path_factory.mktemp("run") / "features")


@pytest.fixture(scope="module")
def learned(root: Path, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(root, registry, tmp_path_factory.mktemp("run") / "learned", 'data.text="learned"')


def test_an_encoder_is_told_the_width_of_all_sources_and_of_labels(root: Path, registry: Registry) -> None:
    data = open_data(recipe(root, registry))
    assert attrs.astuple(data.inputs) == (5, 4, None, True, False)
    described = data.describe()["features"]
    assert (described["width"], described["widths"]) == (5, (3, 2))
    assert described["source"] == f"{root / 'slowfast'} + {root / 'clip'}"
    batch = next(data.loader("train", training=False).batches())
    assert batch.saliency is not None
    assert batch.saliency[:2, 2:].tolist() == [[0.125, 0.25, 6], [0.25, 0.375, 12]]
    one = open_data(recipe(root, registry, "data.video=clip"))
    assert (one.inputs.video, one.features.name) == (2, str(root / "clip"))


def test_no_labels_in_training_are_no_labels_for_the_encoder(root: Path, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "highlight_train_release.jsonl").write_text("\n".join(line(qid, labelled=False) for qid in range(8)))
    (tmp_path / "highlight_val_release.jsonl").write_text(line(8))
    for name in ("slowfast", "clip", "clip_text"):
        (tmp_path / name).symlink_to(root / name)
    assert not open_data(recipe(root, registry, f"data.root={tmp_path}")).inputs.saliency


def test_a_run_on_two_sources_gives_the_numbers_of_its_rule_and_evaluates_its_file_alike(finished: RunResult) -> None:
    assert list(finished.metrics) == ["R1@0.5", "R1@0.7", "mAP@0.5", "mAP@0.75", "mAP"]
    assert score_file(finished.folder / "predictions" / "val.jsonl").metrics == pytest.approx(finished.metrics)


def test_a_run_with_precomputed_words_loads_but_cannot_be_asked_anything_new(finished: RunResult) -> None:
    localizer = framework.load(finished.folder, device="cpu")
    video = localizer.index(list(arrays(0)))
    with pytest.raises(DataError, match=r"'a dog sleeps': has no word vectors in .*cannot make any") as caught:
        localizer.localize(video, "a dog sleeps")
    assert "\n" not in str(caught.value)


def test_sources_may_be_given_side_by_side_or_one_by_one(learned: RunResult, tmp_path: Path) -> None:
    localizer = framework.load(learned.folder, device="cpu")
    slowfast, clip = arrays(3)
    together = localizer.index(np.concatenate([slowfast[:8], clip], axis=1))
    apart = localizer.index([slowfast, clip])
    assert (together.duration, together.clips.shape) == (16.0, (8, 5))
    np.testing.assert_array_equal(together.clips, apart.clips)
    answer = localizer.localize(together, "a dog runs")
    assert answer == localizer.localize(apart, "a dog runs")
    # Each source is scaled by itself, so the size of one alone means nothing.
    scaled = localizer.localize(localizer.index([8 * slowfast, clip]), "a dog runs")
    assert [attrs.astuple(moment) for moment in scaled] == [
        pytest.approx(attrs.astuple(moment), abs=1e-5) for moment in answer
    ]


def test_sources_that_do_not_fit_the_weights_are_refused(learned: RunResult) -> None:
    localizer = framework.load(learned.folder, device="cpu")
    slowfast, clip = arrays(3)
    with pytest.raises(DataError, match="1 sources, but the weights were trained on 2"):
        localizer.index([slowfast])
    with pytest.raises(DataError, match="2 columns, but the weights were trained on 3"):
        localizer.index([clip, slowfast])
    with pytest.raises(DataError, match=r"2 columns, but the weights were trained on 5: slowfast 3, clip 2\. Give all"):
        localizer.index(clip)
    with pytest.raises(DataError, match=r"1 of 1 videos differ between the sources .* 9 in source 1, 4 in source 2;"):
        localizer.index([slowfast, clip[:4]])


@pytest.mark.parametrize("features", ["x.npy", ["a.npy", "b.npy"], [[1.0, 2.0], [3.0]], [[[1.0, 2.0], [3.0]]], [{}]])
def test_what_is_no_array_of_numbers_is_refused_in_one_line(learned: RunResult, features: object) -> None:
    with pytest.raises(
        DataError, match=r"video features: \w+ is no array of numbers .* Give rows of equal length"
    ) as caught:
        framework.load(learned.folder, device="cpu").index(features)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_files_of_several_sources_are_read_with_commas_between(root: Path, tmp_path: Path) -> None:
    names = [root / name / "v3.npz" for name in ("slowfast", "clip")]
    found = read_video(Path(",".join(map(str, names)))).features
    assert isinstance(found, list)
    for one, other in zip(found, arrays(3), strict=True):
        np.testing.assert_array_equal(one, other)
    np.save(tmp_path / "a,b.npy", arrays(3)[1])
    np.testing.assert_array_equal(read_video(tmp_path / "a,b.npy").features, arrays(3)[1])
    with pytest.raises(DataError, match=r"absent.npz: must be a .npy or .npz file"):
        read_video(Path(f"{names[0]},absent.npz"))


def test_a_checkpoint_that_does_not_say_its_features_is_refused(learned: RunResult, tmp_path: Path) -> None:
    path = learned.folder / "checkpoints" / "last.safetensors"
    tensors, meta = checkpoint.load(path)
    del meta["data"]["features"]["widths"], meta["schema"]
    checkpoint.save(tmp_path / "damaged.safetensors", tensors, meta)
    with pytest.raises(
        CheckpointError, match=r"damaged\.safetensors: its description is damaged \(KeyError: 'widths'\)"
    ):
        framework.load(tmp_path / "damaged.safetensors", device="cpu")
    assert framework.load(path, device="cpu").spec.widths == (3, 2)


@pytest.fixture(scope="module")
def stores(root: Path) -> str:
    """The same features as stores, and the override that names them."""
    for name in ("slowfast", "clip"):
        write_store(plan_store(open_features(root / name), name, clip_s=2.0), root / f"{name}_store")
    return 'data.video=["slowfast_store", "clip_store"]'


def test_a_run_on_stores_gives_what_one_on_their_sources_does(
    root: Path, registry: Registry, finished: RunResult, stores: str, tmp_path: Path
) -> None:
    other = run(root, registry, tmp_path / "run", stores)
    names = [result.folder / "predictions" / "val.jsonl" for result in (finished, other)]
    assert names[0].read_text() == names[1].read_text()


@pytest.mark.parametrize("resample", ["middle", "mean", "linear"])
def test_weights_answer_a_loaded_video_as_they_answered_in_the_run(
    resample: str, root: Path, registry: Registry, stores: str, tmp_path: Path
) -> None:
    """Positions and resampling are the same for a batch of a run and for a video that is given by hand."""
    overrides = ("data.mode=sample", f"data.resample={resample}", "data.positions=true", stores, 'data.text="learned"')
    data = open_data(recipe(root, registry, *overrides))
    assert data.inputs.video == 5 + 2
    localizer = framework.load(run(root, registry, tmp_path / "run", *overrides).folder, device="cpu")
    (batch,) = data.loader("val", training=False).batches()
    number = batch.meta.videos.index("v9")
    given = localizer._batch(localizer.index(list(arrays(9)), duration=batch.meta.durations[number]), ["a dog runs"])
    assert torch.equal(given.feats["video"][0][0], batch.feats["video"][0][number])
    assert 1 <= len(localizer.localize(localizer.index(list(arrays(9))), "a dog runs")) <= 5


def test_a_store_of_another_clip_length_is_one_problem_of_check(root: Path, stores: str) -> None:
    (problem,) = check_recipe(str(root / "tiny.toml"), [stores, "data.clip_s=1.9"]).problems
    assert "[data] clip_s = 1.9: " in problem
    assert "slowfast_store says that its rows last 2 s" in problem


def test_check_looks_at_every_source(root: Path, registry: Registry, tmp_path: Path) -> None:
    found = check_recipe(str(root / "tiny.toml"))
    assert found.problems == []
    assert f"features {root / 'slowfast'} + {root / 'clip'}: 5 columns" in found.facts
    (tmp_path / "short").mkdir()
    for qid in range(12):
        np.save(tmp_path / "short" / f"v{qid}.npy", arrays(qid)[1][:4])
    found = check_recipe(str(root / "tiny.toml"), [f'data.video=["clip", "{tmp_path / "short"}"]'])
    assert any("12 of 12 videos differ between the sources" in problem for problem in found.problems)


def test_check_lists_a_broken_video_once_and_few_of_many(root: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for qid in range(12):
        np.save(tmp_path / "flat" / f"v{qid}.npy", arrays(qid)[1] if qid < 2 else arrays(qid)[1][0])
    found = check_recipe(str(root / "tiny.toml"), [f"data.video={tmp_path / 'flat'}"])
    assert len(found.problems) == 6
    assert sum("has shape (2,)" in problem for problem in found.problems) == 5
    assert found.problems[-1] == "... and 5 more of that kind"


def test_check_encodes_every_query_and_lists_few_broken_ones(root: Path, tmp_path: Path) -> None:
    words = np.ones((3, 4), np.float16)
    for qid in range(12):
        broken = words * np.nan if 1 <= qid < 8 else words[:, :3] if qid == 10 else words
        np.savez(tmp_path / f"qid{qid}.npz", last_hidden_state=broken)
    found = check_recipe(str(root / "tiny.toml"), [f"data.text.file={tmp_path}"])
    assert len(found.problems) == 6
    assert all("has NaN or infinity in row 0" in problem for problem in found.problems[:5])
    assert found.problems[5] == "... and 3 more of that kind"
    np.savez(tmp_path / "qid10.npz", last_hidden_state=words[:, :3])
    for qid in range(8):
        np.savez(tmp_path / f"qid{qid}.npz", last_hidden_state=words)
    (problem,) = check_recipe(str(root / "tiny.toml"), [f"data.text.file={tmp_path}"]).problems
    assert "query 10 has 3 columns, others have 4" in problem


def test_a_rule_without_a_number_for_a_split_is_refused_before_training(
    root: Path, registry: Registry, tmp_path: Path
) -> None:
    message = (
        f'{root / "tiny.toml"} [evaluate] qvhighlights on split "val": mAP-middle has no value: no ground-truth moment '
        "is longer than 10 s and at most 30 s; set the rule's option lengths = false"
    )
    with pytest.raises(DataError) as caught:
        run(root, registry, tmp_path / "run", "evaluate.lengths=true")
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()
    assert check_recipe(str(root / "tiny.toml"), ["evaluate.lengths=true"]).problems == [message]


def test_a_clip_length_that_videos_contradict_is_a_warning_in_the_mode_sample(root: Path) -> None:
    found = check_recipe(str(root / "tiny.toml"), ["data.mode=sample", "data.clip_s=1.0"])
    assert found.problems == []
    assert len(found.warnings) == 7
    assert "clip_s = 1: 12 of 12 videos" in found.warnings[-1]
    assert "predict, not told the duration, would give wrong seconds" in found.warnings[-1]
    assert check_recipe(str(root / "tiny.toml"), ["data.mode=sample"]).warnings == []


def test_eval_lays_options_over_the_rule_of_the_run(finished: RunResult, learned: RunResult) -> None:
    path = finished.folder / "predictions" / "val.jsonl"
    with pytest.raises(DataError, match=r"mAP-middle has no value: .*; set the rule's option lengths = false$"):
        score_file(path, overrides=["lengths=true"])
    assert score_file(path, overrides=["lengths=false"]).metrics == pytest.approx(finished.metrics)
    with pytest.raises(Problems, match=r"qvhighlights has no such option. Options: .*lengths"):
        score_file(path, overrides=["n=[1]"])
    assert list(score_file(path, rule="rank", overrides=["n=[1]", "m=[0.5]"]).metrics) == ["R1@0.5", "mIoU"]


def test_each_absent_source_is_one_line(root: Path, registry: Registry) -> None:
    lines = missing(recipe(root, registry, 'data.video=["clip", "pann", "flow"]', "data.text.file=words"))
    assert [entry.split(":")[0] for entry in lines] == [str(root / name) for name in ("pann", "flow", "words")]
    assert all("--set data." in entry and "\n" not in entry for entry in lines)
    (entry,) = missing(recipe(root, registry, "data.video=pann"))
    assert entry == (
        f"{root / 'pann'}: no video features there. Point to them by --set data.root=FOLDER "
        "--set data.video=FILE_OR_FOLDER."
    )


@pytest.mark.parametrize(
    ("written", "video", "sources"),
    [
        ("i3d.hdf5", "i3d.hdf5", ("i3d.hdf5",)),
        ('["slowfast", "clip"]', ("slowfast", "clip"), ("slowfast", "clip")),
        ('["clip"]', ("clip",), ("clip",)),
        ("none", None, ()),
    ],
)
def test_a_recipe_names_one_source_several_or_none(
    root: Path, registry: Registry, written: str, video: str | tuple[str, ...] | None, sources: tuple[str, ...]
) -> None:
    found = recipe(root, registry, f"data.video={written}")
    assert (found.data.options.video, found.data.options.sources) == (video, sources)
    assert parse_recipe(found.to_toml(), Path("again.toml"), registry) == found
    assert DataOptions().sources == ()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("3", 'must be text in quotes or a list of texts in quotes or "none"'),
        ('["clip", 3]', 'must be text in quotes or a list of texts in quotes or "none"'),
        ("[]", "must name one source at least, and none twice"),
        ('["clip", "clip"]', "must name one source at least, and none twice"),
    ],
)
def test_a_wrong_list_of_sources_is_one_line(root: Path, registry: Registry, written: str, message: str) -> None:
    with pytest.raises(Problems, match=r"data.video = ") as caught:
        recipe(root, registry, f"data.video={written}")
    (problem,) = caught.value.problems
    assert message in problem
