"""Word vectors of a language model in a local folder, such as CLIP's text tower or DistilBERT, frozen."""

from __future__ import annotations

import hashlib
import importlib.util
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from framework.core.options import at_least, one_of, option
from framework.data.cache import unit_rows
from framework.data.text import TextSource, split_words
from framework.errors import DataError

INSTALL: Final = "pip install 'nlvl[text]'"

VOCABULARIES: Final = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
"""One of them holds the words of a tokenizer."""

IDENTITY: Final = (
    *("*.safetensors", "config.json", "merges.txt", *VOCABULARIES),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
)
"""The files that decide the vectors of a sentence."""

CLIP: Final = "clip_text_model"
"""The architecture whose last token was trained to stand for the sentence."""

MANY: Final = 8
"""Batches from which on a terminal is shown how far they are."""


@attrs.frozen
class PretrainedOptions:
    """Options of a language model."""

    model: str = option("language_model", doc="folder of the language model, from the data's root", movable=True)
    words: int | None = option(32, doc="tokens of a query that are used, the first ones; none: all", rule=at_least(1))
    layer: int = option(-1, doc="hidden state: -1 the model's output, 0 its embeddings, 1 its first layer, and so on")
    normalize: bool = option(True, doc="scale each vector to length 1")
    pool: str = option(
        "tokens",
        doc="tokens: a vector each; sentence: one vector, the end token's of CLIP, the mean over tokens of others",
        rule=one_of("tokens", "sentence"),
    )
    special: bool = option(True, doc="keep the tokens that the model adds, such as CLIP's start and end of text")
    batch_size: int = option(64, doc="sentences that go through the model at once", rule=at_least(1))


class PretrainedText(TextSource):
    """Hidden states of a language model, one vector a token (L, D) or one a sentence (1, D).

    Needs transformers (``pip install 'nlvl[text]'``) and a folder with the model, from a machine with network:

        hf download distilbert-base-uncased --local-dir FOLDER
        hf download openai/clip-vit-large-patch14 --local-dir FOLDER

    Nothing is ever downloaded here, no code of the folder is run, and weights are read as safetensors alone. BERT-like
    encoders, the text tower of CLIP (from the folder of the whole model or of the tower) and the encoder of T5 are
    tested; other models that transformers' AutoModel opens work if they turn tokens alone into hidden states.

    The whole sentence goes through the model, up to the number of positions that it has, behind which tokens are cut
    off, its end token excepted; then the first ``words`` tokens are used, as Moment-DETR uses the features it comes
    with. Those features keep CLIP's start and end tokens, as does DiffusionVG with DistilBERT's, and in CLIP the end
    token alone has seen the whole sentence: so ``special`` is true by default. For one vector a sentence, all tokens
    count, whatever ``words`` says: CLIP's is the end token's, without the projection into the space of images; that
    of other models is the mean over the tokens.

    The model runs on the CPU in float32, so that vectors do not depend on the machine's accelerator. Which sentences
    go through it together does not matter; how many do shows in the last bits (4e-6 at most was seen), since products
    of matrices of other sizes are summed in another order. Those of a dataset's sentences are computed once and stay in
    memory: about 50 kB a sentence of 15 tokens and 768 columns. A checkpoint carries the model's fingerprint, not its
    weights: a new sentence needs the very same folder.
    """

    options: PretrainedOptions

    def __init__(self, options: PretrainedOptions, root: Path) -> None:
        super().__init__(options, root)
        self.path = root / options.model
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._model: LanguageModel | None = None
        self._sha256: str | None = None

    def missing(self) -> list[str]:
        lines = []
        if importlib.util.find_spec("transformers") is None:
            lines.append(f'text = "pretrained" needs transformers, which is not installed. Get it by {INSTALL}.')
        if not self.path.is_dir():
            lines.append(
                f"{self.path}: no folder of a language model there. Get one by `hf download MODEL --local-dir FOLDER` "
                "and point to it by --set data.text.model=FOLDER, or learn word vectors instead by --set "
                "data.text=learned."
            )
        return lines

    def prepare(self, train_sentences: Iterable[str], all_sentences: Iterable[str]) -> None:
        """Open the model; ``expect`` computes the vectors, and can say whose sentence is wrong."""
        self._opened()

    def expect(self, queries: Sequence[tuple[int | str, str]]) -> None:
        wanted = {sentence: query_id for query_id, sentence in queries if sentence not in self._vectors}
        if wanted:
            # Kept here alone: the sentences of a dataset are finite, what a loaded checkpoint is asked is not.
            self._vectors |= self._computed(wanted)

    def encode(self, query_id: int | str, sentence: str) -> NDArray[np.float32]:
        if sentence in self._vectors:
            return self._vectors[sentence]
        return self._computed({sentence: query_id})[sentence]

    def state(self) -> dict[str, Any]:
        return {"sha256": self._sha256, "width": self.width}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.width, self._sha256 = state["width"], state["sha256"]

    def _computed(self, wanted: Mapping[str, int | str]) -> dict[str, NDArray[np.float32]]:
        """Vectors of sentences, given with a query each for messages."""
        for sentence, query_id in wanted.items():
            split_words(f"query {query_id}", sentence)
        found: dict[str, NDArray[np.float32]] = {}
        for sentence, states, special in self._opened().states(list(wanted), self.options.batch_size):
            vectors = self._pooled(states, special).numpy()
            if not len(vectors):
                raise DataError(
                    f'query {wanted[sentence]}: {self.path} makes no token of the sentence "{sentence}"; reword it, or '
                    "set [data] text.special = true"
                )
            if not np.isfinite(vectors).all():
                raise DataError(
                    f"query {wanted[sentence]}: {self.path} gives NaN or infinity; its weights are damaged, get the "
                    "folder again"
                )
            found[sentence] = unit_rows(vectors) if self.options.normalize else vectors
        return found

    def _pooled(self, states: Tensor, special: Tensor) -> Tensor:
        kept = states if self.options.special else states[~special]
        if self.options.pool == "tokens":
            return kept[: self.options.words].clone()
        if self._opened().kind == CLIP:
            return states[-1:].clone()
        return kept.mean(0, keepdim=True) if len(kept) else kept

    def _opened(self) -> LanguageModel:
        if self._model is None:
            if lines := self.missing():
                raise DataError(" ".join(lines))
            _require_files(self.path)
            sha256 = fingerprint(self.path)
            if self._sha256 not in (None, sha256):
                raise DataError(
                    f"{self.path}: is not the language model of the checkpoint (SHA-256 {self._sha256}, here "
                    f"{sha256}); put that one there to ask new sentences"
                )
            self._model = LanguageModel(self.path, self.options.layer)
            self._sha256, self.width = sha256, self._model.width
        return self._model


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names, sizes and contents of the files that decide a sentence's vectors."""
    digest = hashlib.sha256()
    found = {path for pattern in IDENTITY for path in folder.glob(pattern)}
    # A name that begins with a dot is the system's, such as macOS's ._model.safetensors.
    for path in sorted(path for path in found if not path.name.startswith(".")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _require_files(folder: Path) -> None:
    """Refuse a folder in which transformers would look for something else, or would make something up."""

    def holds(*patterns: str) -> bool:
        return any(next(folder.glob(pattern), None) for pattern in patterns)

    if not holds("config.json"):
        raise DataError(f"{folder}: holds no config.json; name the folder that `hf download --local-dir` filled")
    if holds("adapter_config.json"):
        raise DataError(
            f"{folder}: holds an adapter to a model that is elsewhere; merge it into that, and save them as one"
        )
    if not holds("*.safetensors"):
        pickled = "only weights as pickles, which can run code" if holds("*.bin") else "no weights"
        raise DataError(
            f"{folder}: holds {pickled}; get a revision of the model with model.safetensors, or have transformers "
            "write one: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    if not holds(*VOCABULARIES):
        raise DataError(
            f"{folder}: holds no tokenizer ({', '.join(VOCABULARIES)}); copy it there from the model's own folder"
        )


class LanguageModel:
    """A model and its tokenizer, opened from a folder and tried once.

    kind: what transformers calls the architecture. width: columns of a hidden state (D). limit: tokens of a sentence
    that it can take, None where any number. Raises DataError where the folder does not hold a model of text, or one
    that has no hidden state ``layer``.
    """

    def __init__(self, path: Path, layer: int) -> None:
        self.path, self.layer = path, layer
        # Weights that nobody reads may be drawn anew; the random numbers of the run must not depend on that.
        with self._explained(), _quiet(), torch.random.fork_rng(devices=[]):
            self.tokenizer, self.model = _open(path)
            self.kind, self.limit = str(self.model.config.model_type), self._limit()
            self._require_known_words()
        self.width = self._run(self._tokens("a")[0][None]).shape[2]

    def states(self, sentences: Sequence[str], batch_size: int) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Each sentence with its hidden states (L, D) and which of its tokens are special (L,), shortest first.

        Only sentences of one length go together: padding would cost time, and change the last bits of the numbers.
        """
        tokens = {sentence: self._tokens(sentence) for sentence in sentences}
        order = sorted(tokens, key=lambda sentence: (len(tokens[sentence][0]), sentence))
        alike = [list(own) for _, own in groupby(order, lambda sentence: len(tokens[sentence][0]))]
        batches = [own[start : start + batch_size] for own in alike for start in range(0, len(own), batch_size)]
        console = Console(stderr=True)
        silent = len(batches) < MANY or not console.is_terminal
        for members in track(batches, "Sentences", console=console, transient=True, disable=silent):
            found = self._run(torch.stack([tokens[sentence][0] for sentence in members]))
            for sentence, states in zip(members, found, strict=True):
                yield sentence, states, tokens[sentence][1]

    def _tokens(self, sentence: str) -> tuple[Tensor, Tensor]:
        # One sentence at a time: for a list, tokenizers starts threads, and complains when the process forks later.
        with self._explained():
            found = self.tokenizer(
                sentence, truncation=self.limit is not None, max_length=self.limit, return_special_tokens_mask=True
            )
        special = torch.tensor(found["special_tokens_mask"], dtype=torch.bool)
        return torch.tensor(found["input_ids"], dtype=torch.long), special

    def _run(self, ids: Tensor) -> Tensor:
        """Hidden states (Q, L, D) of sentences of one length (Q, L)."""
        with self._explained(), _quiet(), torch.inference_mode():
            # Without a mask, some models would take a token that is also their padding for padding.
            found = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
            # The last of the hidden states lacks the final norm where a model has one, as CLIP's has.
            states: Tensor = found.last_hidden_state if self.layer == -1 else self._chosen(found.hidden_states)
        return states

    def _chosen(self, states: Sequence[Tensor]) -> Tensor:
        if not -len(states) <= self.layer < len(states):
            raise DataError(
                f"[data] text.layer = {self.layer}: the model in {self.path} has the hidden states 0, its embeddings, "
                f"to {len(states) - 1}; -1 is its output"
            )
        return states[self.layer]

    def _limit(self) -> int | None:
        stated = (self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", None))
        # A tokenizer that knows of no limit states a very large one.
        return min((int(limit) for limit in stated if limit and limit < 10**6), default=None)

    def _require_known_words(self) -> None:
        words, rows = len(self.tokenizer), self.model.get_input_embeddings().num_embeddings
        if words > rows:
            raise DataError(
                f"{self.path}: the tokenizer has {words} words, the model embeddings of {rows}; they belong to "
                "different models, get the folder again"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one line what transformers, tokenizers or safetensors raise on a folder that is not in order."""
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # They name no base class, and raise nearly all that there are.
            first = next(filter(str.strip, str(error).splitlines()), "")
            reason = textwrap.shorten(f"{type(error).__name__}: {first}", 200, placeholder=" ...")
            raise DataError(
                f"{self.path}: transformers cannot use it as a language model ({reason}); it may be damaged, cut off "
                "or no model of text"
            ) from error


def _open(path: Path) -> tuple[Any, Any]:
    """The tokenizer and the part of the model that reads text, frozen, in float32."""
    from transformers import (
        MODEL_FOR_TEXT_ENCODING_MAPPING,
        AutoConfig,
        AutoModel,
        AutoModelForTextEncoding,
        AutoTokenizer,
    )

    folder, local = str(path.resolve()), {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **local).get_text_config()
    encodes = type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING
    if config.is_encoder_decoder and not encodes:
        raise DataError(f"{path}: {config.model_type} is an encoder with a decoder; use a model that encodes alone")
    opening = AutoModelForTextEncoding if encodes else AutoModel
    model, found = opening.from_pretrained(
        folder,
        config=config,
        use_safetensors=True,
        attn_implementation="eager",  # The folder may ask for one that transformers would look for on its hub.
        ignore_mismatched_sizes=True,  # They are refused below, by name.
        output_loading_info=True,
        **local,
    )
    # Transformers 5 gives the shapes beside the name of a mismatched weight, transformers 4 the name alone.
    unlike = [key if isinstance(key, str) else key[0] for key in found["mismatched_keys"]]
    # The pooler of BERT is not read here, and many of its descendants come without.
    if wrong := sorted(name for name in {*found["missing_keys"], *unlike} if not name.startswith("pooler.")):
        raise DataError(
            f"{path}: {len(wrong)} weights are absent or not of the shape that its config.json says, first {wrong[0]}; "
            "get the folder again"
        )
    return AutoTokenizer.from_pretrained(folder, **local), model.float().eval().requires_grad_(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings and progress bars of transformers off the screen, and leave its settings as they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
