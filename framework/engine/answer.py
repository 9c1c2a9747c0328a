"""Answers of trained weights to every query of a split, written without being scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from framework.data.loader import Loader
from framework.data.predictions import write_predictions
from framework.data.spec import FeatureSpec
from framework.engine.data import missing_features, open_dataset, open_video
from framework.engine.evaluate import Lists, by_id
from framework.engine.folder import writing
from framework.engine.highlights import Scores, saliency_of
from framework.engine.localizer import Localizer, load
from framework.engine.predict import predict
from framework.errors import DataError, Problems, nearest


@attrs.frozen
class Answered:
    """What was written. path: of the file. dataset, split: whose queries, and how many. doubts: see FeatureSpec."""

    path: Path
    dataset: str
    split: str
    queries: int
    profile: str
    doubts: tuple[str, ...]


def answer_split(
    run: Path,
    split: str,
    *,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    device: str = "auto",
    renamed: bool = False,
) -> Answered:
    """Answer every query of a split with the weights that a run reports, in the QVHighlights submission form.

    Labels are not read, so a split may have none. overrides: ``data.key=value``, such as another root, or another
    dataset with the same features. out: the file to write, by default ``predictions/SPLIT.jsonl`` of the run. renamed:
    the features are those of training under another name. Raises UserError for other features than the weights know.
    """
    localizer = load(run, device, overrides)
    choice = localizer.recipe.data
    dataset = open_dataset(choice)
    if split not in dataset.splits:
        close = nearest(split, dataset.splits)
        raise DataError(f'split "{split}": {choice.dataset.part.name} has {", ".join(dataset.splits)}.{close}')
    if lacking := dataset.missing([split]) + missing_features(choice):
        raise Problems(lacking)
    path = out or _beside(run, split)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    queries = dataset.queries(split)
    video, asked = open_video(choice, dataset), [query.video for query in queries]
    video.require(asked)
    doubts = _require_spec(localizer, FeatureSpec.of(choice.options, video, asked), renamed)
    size, seed = localizer.recipe.evaluate.batch_size, localizer.seed
    loader = Loader(queries, video, localizer.text, choice.options, batch_size=size, seed=seed)
    answers, saliency = _answers(localizer, loader, dataset.rated_clip_s)
    with writing(path):
        write_predictions(path, queries, answers, saliency)
    return Answered(path, choice.dataset.part.name, split, len(queries), localizer.profile, doubts)


def _beside(run: Path, split: str) -> Path:
    """The place of a split's predictions in a run folder, which a checkpoint of it may be named for."""
    folder = run if run.is_dir() else run.resolve().parent.parent
    path = folder / "predictions" / f"{split}.jsonl"
    if path.exists():
        raise DataError(f"{path}: is there already. Name another file by --out, or score this one by the command eval.")
    return path


def _require_spec(localizer: Localizer, found: FeatureSpec, renamed: bool) -> tuple[str, ...]:
    """Refuse other features than those of training, and return what makes one doubt that they are the same."""
    if wrong := list(localizer.spec.differences(found, renamed)):
        only_named = not renamed and not list(localizer.spec.differences(found, renamed=True))
        hint = " If they were only renamed, say so by --renamed-features." if only_named else ""
        raise DataError(f"features for {localizer.source}: {'; '.join(wrong)}. Give those of training.{hint}")
    return tuple(localizer.spec.doubts(found.lengths))


def _answers(localizer: Localizer, loader: Loader, clip_s: float | None) -> tuple[Lists, Scores]:
    method = localizer.method
    answers: Lists = {}
    saliency: Scores = {}
    for batch in loader.batches(0):
        moved = batch.to(method.device)
        found = predict(method, method.objectives[0], moved, localizer.seed, localizer.draws)
        answers |= dict(by_id(found.index.ask, found.candidates, batch))
        if clip_s is not None:
            saliency |= dict(saliency_of(found, batch, clip_s))
    return answers, saliency
