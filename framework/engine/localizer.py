"""A trained method that answers questions about videos it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from framework.core.encoder import Inputs
from framework.core.structures import Batch
from framework.data.batch import collate
from framework.data.cache import VideoCache
from framework.data.dataset import Query
from framework.data.sampling import excerpt, prepared
from framework.data.spec import FeatureSpec, typical_length
from framework.data.text import TextSource
from framework.engine import checkpoint
from framework.engine.assemble import Method, assemble
from framework.engine.data import open_text
from framework.engine.environment import choose_device
from framework.engine.one_video import OneVideo
from framework.engine.predict import predict
from framework.errors import CheckpointError, DataError, RecipeError
from framework.recipe import Chosen, Recipe, parse_recipe
from framework.registry import load_registry


@attrs.frozen
class Moment:
    """An answer: seconds and a score, larger is better."""

    start_s: float
    end_s: float
    score: float


@attrs.frozen(eq=False)
class VideoIndex:
    """One video ready to be asked about. clips: (T, D), as a feature file holds them. duration: seconds."""

    clips: NDArray[np.float32]
    clip_s: float
    duration: float


class Localizer:
    """Answers with the weights of a run; made by ``framework.load``.

    recipe: of the run. spec: the features that the weights were trained on. source: the checkpoint, for messages.
    """

    def __init__(self, method: Method, text: TextSource, recipe: Recipe, spec: FeatureSpec, source: Path) -> None:
        self.method, self.text, self.recipe, self.spec, self.source = method, text, recipe, spec, source
        self.profile = recipe.profile
        self.data, self.seed, self.draws = recipe.data.options, recipe.seed, recipe.evaluate.draws

    def index(
        self,
        features: NDArray[np.float32] | Sequence[NDArray[np.float32]],
        *,
        clip_s: float | None = None,
        duration: float | None = None,
    ) -> VideoIndex:
        """Take in one video.

        features: (T, D), unnormalised as the extractor gave them; where the weights were trained on several sources,
        their columns side by side, or a list of arrays, one a source, in the recipe's order. clip_s: seconds between
        two rows; must be that of the training features, which is the default. duration: seconds, default T x clip_s.
        Raises DataError where the features are not of the kind that the weights were trained on.
        """
        clips = self._clips(features)
        step = self.data.clip_s if clip_s is None else clip_s
        if abs(step - self.data.clip_s) > 1e-6 and self.data.mode == "window":
            raise DataError(
                f"clip_s = {step:g}: the weights were trained on {self.data.clip_s:g} s a row. Resample the features."
            )
        lasts = len(clips) * step if duration is None else duration
        if not (math.isfinite(lasts) and lasts > 0):
            raise DataError(
                f"duration = {lasts:g}: must be a number of seconds above 0. Leave it out for rows x clip_s."
            )
        return VideoIndex(clips, step, lasts)

    def doubts(self, video: VideoIndex) -> list[str]:
        """What makes one doubt that a video's features are of the kind that the weights were trained on."""
        blocks = np.split(video.clips, np.cumsum(self.spec.widths)[:-1], axis=1)
        return list(self.spec.doubts([typical_length(block) for block in blocks]))

    # A str is a sequence of str as well; it is taken as one sentence.
    @overload
    def localize(self, video: VideoIndex | NDArray[np.float32], queries: str, top: int = 5) -> list[Moment]: ...  # type: ignore[overload-overlap]
    @overload
    def localize(
        self, video: VideoIndex | NDArray[np.float32], queries: Sequence[str], top: int = 5
    ) -> list[list[Moment]]: ...
    def localize(
        self, video: VideoIndex | NDArray[np.float32], queries: str | Sequence[str], top: int = 5
    ) -> list[Moment] | list[list[Moment]]:
        """Find the moments of one sentence, best first, or of several, a list each; at most ``top`` of them.

        The noise of a sentence depends on the seed of the run and the sentence alone.
        """
        if top < 1:
            raise DataError(f"top = {top}: must be at least 1")
        shown = video if isinstance(video, VideoIndex) else self.index(video)
        asked = [queries] if isinstance(queries, str) else list(queries)
        if not asked:
            return []
        found = self._answers(self._batch(shown, asked))
        answers = [[Moment(*moment) for moment in moments[:top]] for moments in found]
        return answers[0] if isinstance(queries, str) else answers

    def _clips(self, features: NDArray[np.float32] | Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The columns of all sources side by side, (T, D), unnormalised."""
        if not (isinstance(features, (list, tuple)) and features and _array(features[0]).ndim == 2):
            return _checked(_array(features), sum(self.spec.widths), self._sources())
        if len(features) != len(self.spec.widths):
            raise DataError(
                f"video features: {len(features)} sources, but the weights were trained on {len(self.spec.widths)}. "
                "Give one array a source, in the order of the recipe's [data] video."
            )
        blocks = [_checked(_array(x), width) for x, width in zip(features, self.spec.widths, strict=True)]
        sources = [OneVideo(block, f"source {number}") for number, block in enumerate(blocks, 1)]
        cache = VideoCache(*sources, normalize=False)
        cache.require(["video"])
        return cache.read("video")

    def _sources(self) -> str:
        """Names and widths of the sources where there are several, else nothing."""
        return self.spec.words if len(self.spec.names) > 1 else ""

    def _batch(self, video: VideoIndex, asked: Sequence[str]) -> Batch:
        place = "the given sentence"
        queries = [Query(sentence, sentence, "video", video.duration, (), place) for sentence in asked]
        cut = excerpt(queries[0], len(video.clips), self.data)
        blocks = np.split(video.clips, np.cumsum(self.spec.widths)[:-1], axis=1)
        cache = VideoCache(*map(OneVideo, blocks), normalize=self.data.normalize)
        clips = prepared(cache.read("video"), cut, self.data)
        words = [self.text.encode(query.id, query.text) for query in queries]
        return collate(queries, words, [cut], [clips], [0] * len(queries), self.data.window).to(self.method.device)

    def _answers(self, batch: Batch) -> list[list[tuple[float, float, float]]]:
        found = predict(self.method, self.method.objectives[0], batch, self.seed, self.draws).candidates
        table = torch.stack([found.start, found.end, found.score], dim=-1).cpu()
        kept = found.mask.cpu()
        return [
            [(start, end, score) for start, end, score in table[row][kept[row]].tolist()] for row in range(len(table))
        ]


def load(run_or_checkpoint: Path | str, device: str = "auto", overrides: Sequence[str] = ()) -> Localizer:
    """Load a run folder (its reported weights) or one checkpoint; no code of it is run. Raises CheckpointError.

    overrides: ``data.key=value``, for files that lie elsewhere now, such as those of a language model.
    """
    path = Path(run_or_checkpoint)
    path = reported(path) if path.is_dir() else path
    place = choose_device(device)
    tensors, meta = checkpoint.load(path, place)
    recipe = parse_recipe(_text(meta, path), path, load_registry())
    with checkpoint.described(path):
        inputs = Inputs(**meta["inputs"])
        spec = FeatureSpec.read(meta["data"]["features"])
    if overrides:
        recipe = _overridden(recipe, spec, overrides, path)
    text = open_text(recipe.data)
    with checkpoint.described(path):
        text.restore(meta["text"])
    method = assemble(recipe, inputs)
    checkpoint.restore(method.modules, tensors, path)
    method.modules.to(place).eval()
    return Localizer(method, text, recipe, spec, path)


def _overridden(recipe: Recipe, spec: FeatureSpec, overrides: Sequence[str], path: Path) -> Recipe:
    """The recipe with its data elsewhere. Raises RecipeError for whatever the weights have learned to work with."""
    for text in overrides:
        if not text.strip().startswith("data."):
            raise RecipeError(
                f"--set {text}: weights are trained; where data lie can change, as in --set data.root=DIR."
            )
    found = parse_recipe(recipe.to_toml(), path, load_registry(), overrides)
    changed = [*spec.differences(spec.under(found.data.options)), *_other_words(recipe.data.text, found.data.text)]
    if changed:
        raise RecipeError(
            f"--set: {'; '.join(changed)}: {path} has learned it so. Where data lie can change, and whose they are."
        )
    return found


def _other_words(before: Chosen, after: Chosen) -> Iterator[str]:
    """How words would be made otherwise; where their files lie may change."""
    if before.part.name != after.part.name:
        yield f"data.text = {after.part.name}, trained on {before.part.name}"
        return
    for field in attrs.fields(before.part.options):
        ours, theirs = getattr(before.options, field.name), getattr(after.options, field.name)
        if ours != theirs and not field.metadata["movable"]:
            yield f"data.text.{field.name} = {theirs}, trained on {ours}"


def _text(meta: Mapping[str, Any], path: Path) -> str:
    if not isinstance(meta.get("recipe"), str) or "inputs" not in meta or "text" not in meta:
        raise CheckpointError(f"{path}: holds no recipe; it is not a checkpoint that can be loaded. Name best or last.")
    return str(meta["recipe"])


def reported(folder: Path) -> Path:
    """The checkpoint whose numbers a run folder reports. Raises CheckpointError."""
    for name in ("best", "last"):
        path = folder / "checkpoints" / f"{name}.safetensors"
        if path.is_file():
            return path
    raise CheckpointError(f"{folder}: no checkpoints/best.safetensors or last.safetensors there. Name a run folder.")


def _array(features: object) -> NDArray[np.float32]:
    try:
        return np.asarray(features, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"video features: {type(features).__name__} is no array of numbers ({error}). Give rows of equal length; "
            "a file is read by numpy.load."
        ) from error


def _checked(clips: NDArray[np.float32], width: int, sources: str = "") -> NDArray[np.float32]:
    """Refuse features that are not (rows, width) and finite; sources: what makes up that width, if several do."""
    if clips.ndim != 2 or not len(clips):
        raise DataError(f"video features: shape {clips.shape}; must be (rows, {width}) with a row at least")
    if clips.shape[1] != width:
        remedy = (
            f": {sources}. Give all of these, in that order." if sources else ". Give features of the same extractor."
        )
        raise DataError(f"video features: {clips.shape[1]} columns, but the weights were trained on {width}{remedy}")
    finite = np.isfinite(clips).all(axis=1)
    if not finite.all():
        raise DataError(f"video features: row {int(finite.argmin())} holds NaN or infinity. Extract the video again.")
    return clips
