from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from framework.cli import main
from tests.engine.conftest import TINY

ROOT = Path(__file__).parents[1]
WIDTH = 24


@pytest.fixture
def charades(tmp_path: Path) -> Path:
    """A folder in the form of Charades-STA: files, features and a recipe that trains on them."""
    root = tmp_path / "data"
    root.mkdir()
    rng = np.random.default_rng(0)
    with h5py.File(root / "features.hdf5", "w") as file:
        for split, count in (("train", 20), ("test", 8)):
            videos = [f"{split[:2].upper()}{number:03d}" for number in range(count)]
            header = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
            rows = "".join(f"{video},S,Kitchen,5,5,Yes,x,,y,c001 1.00 5.00,20.00\n" for video in videos)
            (root / f"Charades_v1_{split}.csv").write_text(header + rows)
            lines = "".join(f"{video} 2.0 9.5##a person opens door {number}.\n" for number, video in enumerate(videos))
            (root / f"charades_sta_{split}.txt").write_text(lines)
            for video in videos:
                file[video] = np.abs(rng.normal(size=(31, WIDTH))).astype(np.float32)
    own = (
        TINY.replace('name = "synthetic"\n', 'name = "charades_sta"\n')
        .replace(f"train_queries = 48\nval_queries = 16\ntest_queries = 24\nwidth = {WIDTH}\n", "")
        .replace('text = "learned"', f'text = "learned"\nroot = "{root}"\nvideo = "features.hdf5"')
        .replace("epochs = 2", "epochs = 1")
    )
    (tmp_path / "recipe.toml").write_text(own)
    return tmp_path


def run(folder: Path, *more: str) -> int:
    return main(
        [
            "run",
            str(folder / "recipe.toml"),
            "--out",
            str(folder / "run"),
            "--device",
            "cpu",
            "--profile",
            "full",
            *more,
        ]
    )


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def features(folder: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(folder / "data/features.hdf5", "a") as file:
        change(file)


def remove_video(file: h5py.File) -> None:
    del file["TR003"]


def put_nan(file: h5py.File) -> None:
    file["TR003"][4, 2] = np.nan


def put_narrow(file: h5py.File) -> None:
    del file["TR003"]
    file["TR003"] = np.ones((31, WIDTH - 1), np.float32)


MISTAKES: dict[str, tuple[Callable[[Path], object], tuple[str, ...], list[str]]] = {
    "an unknown key": (lambda f: edit(f / "recipe.toml", "kernel", "kernal"), (), ["[denoiser]", "kernal", "kernel"]),
    "a wrong type": (lambda f: edit(f / "recipe.toml", "kernel = 3", 'kernel = "3"'), (), ["kernel", '"3"']),
    "a value out of range": (lambda f: None, ("--set", "denoiser.kernel=4"), ["denoiser.kernel", "odd"]),
    "an unknown part": (
        lambda f: edit(f / "recipe.toml", "ms2d.iou_maps", "ms2d.iou_map"),
        (),
        ["no such target", 'Did you mean "ms2d.iou_maps"?', "Installed:"],
    ),
    "a missing annotation file": (
        lambda f: (f / "data/charades_sta_test.txt").unlink(),
        (),
        ["charades_sta_test.txt"],
    ),
    "a malformed line": (
        lambda f: edit(f / "data/charades_sta_train.txt", "TR002 2.0 9.5##", "TR002 2.0 nine##"),
        (),
        ["charades_sta_train.txt:3", "nine"],
    ),
    "an end before its start": (
        lambda f: edit(f / "data/charades_sta_train.txt", "TR002 2.0 9.5##", "TR002 9.5 2.0##"),
        (),
        ["charades_sta_train.txt:3"],
    ),
    "an empty split": (lambda f: (f / "data/charades_sta_test.txt").write_text(""), (), ["charades_sta_test.txt"]),
    "a video without features": (lambda f: features(f, remove_video), (), ["features.hdf5", "TR003"]),
    "NaN in the features": (lambda f: features(f, put_nan), (), ["features.hdf5", "TR003"]),
    "a wrong feature width": (lambda f: features(f, put_narrow), (), ["features.hdf5", "TR003", str(WIDTH - 1)]),
    "an unwritable folder": (lambda f: (f / "run").write_text(""), (), ["cannot write there", "--out"]),
    "an unknown override": (lambda f: None, ("--set", "train.epoch=3"), ["train.epoch", "epochs"]),
    "a wrong clip length": (lambda f: None, ("--set", "data.clip_s=1.0"), ["clip_s", "0.6"]),
    "a CUDA device that is not there": (lambda f: None, ("--device", "cuda:99"), ["--device cuda:99"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_status_2(
    mistake: str, charades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, more, words = MISTAKES[mistake]
    make(charades)
    assert run(charades, *more) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


def test_a_run_on_files_trains_and_its_predictions_score_the_same(
    charades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(charades) == 0
    metrics = json.loads((charades / "run/metrics.json").read_text())
    assert metrics["profile"] == "full"
    assert metrics["checkpoint"] == "last"
    assert "no validation split" in metrics["selection"]
    predictions = charades / "run/predictions/test.jsonl"
    assert main(["eval", str(predictions), "--json", str(charades / "own.json")]) == 0
    assert json.loads((charades / "own.json").read_text())["metrics"] == metrics["metrics"]
    named = ["--data", "charades_sta", "--root", str(charades / "data"), "--split", "test"]
    assert main(["eval", str(predictions), *named, "--json", str(charades / "named.json")]) == 0
    assert json.loads((charades / "named.json").read_text())["metrics"] == metrics["metrics"]
    assert main(["report", str(charades / "run")]) == 0
    assert "report.html" in capsys.readouterr().out


def test_without_its_files_a_run_says_so_and_uses_the_embedded_data(
    charades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (charades / "data/features.hdf5").unlink()
    with (charades / "recipe.toml").open("a") as file:
        file.write('\n[embedded]\ndata.name = "synthetic"\ndata.train_queries = 32\ndata.test_queries = 16\n')
        file.write(f"data.val_queries = 16\ndata.width = {WIDTH}\n")
    assert main(["run", str(charades / "recipe.toml"), "--out", str(charades / "small"), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "features.hdf5" in said.splitlines()[0]
    assert "PROFILE embedded" in said
    for name in ("metrics.json", "manifest.json"):
        assert json.loads((charades / "small" / name).read_text())["profile"] == "embedded"
    assert "embedded" in (charades / "small/report.html").read_text()


def test_check_finds_everything_that_is_wrong_at_once(charades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(charades / "recipe.toml")]) == 0
    assert "0 problems" in capsys.readouterr().out
    features(charades, put_nan)
    edit(charades / "recipe.toml", "kernel = 3", "kernel = 4\nkernal = 3")
    assert main(["check", str(charades / "recipe.toml")]) == 2
    said = capsys.readouterr().err
    for word in ("kernal", "odd", "TR003"):
        assert word in said
    edit(charades / "recipe.toml", "kernel = 4\nkernal = 3", "kernel = 3")
    features(charades, lambda file: file["TE001"].__setitem__((0, 0), np.inf))
    assert main(["check", str(charades / "recipe.toml")]) == 2
    said = capsys.readouterr().err
    assert "TR003" in said
    assert "TE001" in said


def test_check_finds_parts_that_do_not_fit_where_the_data_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    pairing = ["--set", "denoiser.name=diffusionvmr.cascade", "--set", "data.root=nowhere"]
    assert main(["check", "ms2d_charades", *pairing]) == 2
    said = "".join(capsys.readouterr())
    assert "works on slots of kind free, but target ms2d.iou_maps has cells" in said
    assert "losses, answers and sweeps were not tried" in said


def test_check_describes_a_dataset_folder(charades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--data", "charades_sta", "--root", str(charades / "data")]) == 0
    said = capsys.readouterr().out
    assert "split train: 20 queries, 20 videos" in said
    assert "split test: 8 queries" in said


def test_predict_answers_in_each_form(charades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(charades)
    capsys.readouterr()
    ask = [
        "predict",
        str(charades / "run"),
        "--video",
        f"{charades / 'data/features.hdf5'}:TE001",
        "--query",
        "a person opens door",
        "--device",
        "cpu",
    ]
    assert main([*ask, "--top", "2"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert len(answer["moments"]) <= 2
    assert main([*ask, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("query,rank,start_s,end_s,score\n")
    assert main([*ask, "--format", "srt"]) == 0
    assert " --> " in capsys.readouterr().out
    np.save(charades / "wide.npy", np.ones((20, WIDTH + 1), np.float32))
    assert main(["predict", str(charades / "run"), "--video", str(charades / "wide.npy"), "--query", "x"]) == 2
    assert f"trained on {WIDTH}" in capsys.readouterr().err
    np.save(charades / "long.npy", np.full((20, WIDTH), 100, np.float32))
    assert main(["predict", str(charades / "run"), "--video", str(charades / "long.npy"), "--query", "x"]) == 0
    assert "note: rows of features are typically 490 long, those of training" in capsys.readouterr().err


def test_parts_lists_and_describes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parts"]) == 0
    listed = capsys.readouterr().out
    for name in ("charades_sta", "ms2d.tan", "ms2d.iou_maps", "ms2d.conv", "gaussian", "one_step", "rank", "nms"):
        assert name in listed
    assert main(["parts", "ms2d.conv"]) == 0
    assert "kernel" in capsys.readouterr().out
    assert main(["parts", "ms2d.conf"]) == 2
    assert "ms2d.conv" in capsys.readouterr().err


def test_the_checkout_runs_without_being_installed(tmp_path: Path) -> None:
    """Isolated from any installation of the project: only the repository root is on the path."""
    code = (
        "import sys, importlib.metadata as m; "
        "found = m.entry_points; m.entry_points = lambda **k: [e for e in found(**k) if e.dist.name != 'nlvl']; "
        "from framework.cli import main; sys.exit(main(['parts', 'encoder']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ms2d.tan" in done.stdout


def test_whoever_points_to_files_gets_those_or_a_refusal(charades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (charades / "recipe.toml").open("a") as file:
        file.write(f'\n[embedded]\ndata.name = "synthetic"\ndata.train_queries = 32\ndata.width = {WIDTH}\n')
    ask = ["run", str(charades / "recipe.toml"), "--out", str(charades / "run"), "--device", "cpu"]
    assert main([*ask, "--set", f"data.root={charades / 'typo'}"]) == 2
    assert "typo" in capsys.readouterr().err
    assert not (charades / "run").exists()


def test_predict_keeps_to_the_given_duration_and_names_unknown_words(
    charades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(charades)
    capsys.readouterr()
    video = f"{charades / 'data/features.hdf5'}:TE001"
    ask = ["predict", str(charades / "run"), "--video", video, "--query", "a zebra door", "--duration", "5"]
    assert main([*ask, "--device", "cpu"]) == 0
    said = capsys.readouterr()
    moments = json.loads(said.out)[0]["moments"]
    assert moments
    assert all(0 <= start < end <= 5 for start, end, _ in moments)
    assert "never seen in training: zebra" in said.err


def test_eval_names_what_it_was_given(charades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(charades)
    capsys.readouterr()
    for path, words in ((charades / "nothere.jsonl", "no such file"), (charades / "run", "predictions/SPLIT.jsonl")):
        assert main(["eval", str(path)]) == 2
        assert words in capsys.readouterr().err
