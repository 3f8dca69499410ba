"""An attention decoder: a distribution over tokens behind every token, given all before it."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.models.features import Features, Targets
from sottovoce.quiet import quiet
from sottovoce.speech.free_text import FreeText
from sottovoce.text.normalisers import MAKERS

if TYPE_CHECKING:
    from sottovoce.models.recogniser import Recogniser

_UNKNOWN_LANGUAGE = "the model writes many languages; name one with --language"
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_SAMPLE = 31
_MOST_COMPRESSED = 2.4
_LEAST_SURE = -1.0
_LONG_FORM = {
    "return_timestamps": True,
    "temperature": _TEMPERATURES,
    "compression_ratio_threshold": 1.35,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
}
"""Of recordings longer than a window, as transformers' documentation recommends for Whisper
(arXiv 2212.04356, section 4.5; the ratio is of tokens)."""


@dataclass(frozen=True)
class AttentionDecoder:
    """Positions are the target's tokens, the end included, under teacher forcing.

    Attributes:
        prefix: token ids that begin every target and are given, not learnt.
        knows_language: whether they are all that `generate` forces; else it finds the language out.
        end: the token that ends a text.
        longest: tokens that the decoder holds.
        window: seconds that the encoder holds; `window_frames` of mel.
        options: of `generate`.
        tokenizer: text <-> tokens.
        written: see `own_targets`.
    """

    labels: FreeText
    prefix: tuple[int, ...]
    knows_language: bool
    end: int
    longest: int
    window: float
    window_frames: int
    options: dict[str, Any]
    tokenizer: Any
    written: dict[bytes, tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)
    hears_whole_recordings: bool = True
    teaches_itself: bool = True
    kept_labels: int | None = 64

    @classmethod
    def of(cls, model: Any, processor: Any, decoding: Decoding) -> "AttentionDecoder":
        """Read a checkpoint's generation config and tokenizer.

        Raises:
            InputError: the tokenizer does not suit the model, or the model has no such language.
        """
        tokenizer, generation = processor.tokenizer, model.generation_config
        if not hasattr(generation, "no_timestamps_token_id"):
            raise InputError(
                "generation_config.json is not there, or names no no_timestamps_token_id; put the "
                "published checkpoint's there"
            )
        if len(tokenizer) > model.config.vocab_size:
            raise InputError(
                f"the tokenizer has {len(tokenizer):,} tokens and the model gives "
                f"{model.config.vocab_size:,}; put the tokenizer beside the checkpoint that it "
                "was trained with"
            )
        extractor = processor.feature_extractor
        prefix, knows_language = _prefix(generation, decoding)
        english = _writes_english(generation, prefix)
        name = decoding.normaliser or ("english" if english else "basic")
        spellings = getattr(tokenizer, "english_spelling_normalizer", None) or {}
        return cls(
            labels=FreeText(name, MAKERS[name](spellings)),
            prefix=prefix,
            knows_language=knows_language,
            end=generation.eos_token_id,
            longest=model.config.max_target_positions,
            window=float(extractor.chunk_length),
            window_frames=extractor.nb_max_frames,
            options=_options(generation, decoding),
            tokenizer=tokenizer,
        )

    @property
    def sample_targets(self) -> tuple[int, ...]:
        return (*range(min(_SAMPLE, self.longest - len(self.prefix) - 1)), self.end)

    def targets(self, text: str, utterance: str) -> tuple[int, ...]:  # noqa: ARG002
        """A space before the text, as the model writes it, and the end behind."""
        spaced = f" {' '.join(text.split())}" if text.strip() else ""
        return (*self.tokenizer(spaced, add_special_tokens=False).input_ids, self.end)

    def is_doubtful(self, targets: Sequence[int], log_probability: float) -> bool:
        """As Whisper judges its own output (arXiv 2212.04356, section 4.5): unsure, or looping,
        which compresses well; or it never came to an end."""
        text = self.tokenizer.decode(targets, skip_special_tokens=True).encode()
        ratio = len(text) / max(1, len(zlib.compress(text)))
        endless = len(targets) >= self.longest - len(self.prefix)
        return endless or ratio > _MOST_COMPRESSED or log_probability < _LEAST_SURE

    def misfit(self, targets: Sequence[int], frames: int, seconds: float) -> str | None:
        room = self.longest - len(self.prefix)
        if frames < 1:
            return "holds no sound; leave it out"
        if seconds > self.window:
            return (
                f"lasts {seconds:.2f} s, and the model hears {self.window:g} s at once; cut it, or "
                "leave it out"
            )
        if len(targets) > room:
            return (
                f"has a transcript of {len(targets)} tokens, and the decoder holds {room}; cut the "
                "utterance, or leave it out"
            )
        return None if self.knows_language else f"cannot be used: {_UNKNOWN_LANGUAGE}"

    def prepare(
        self, recogniser: "Recogniser", features: Features, targets: Targets | None
    ) -> Features:
        if targets is None:
            targets = self.own_targets(recogniser, features)
        forced = [(*self.prefix, *each[:-1]) for each in targets]
        length = max(map(len, forced))
        rows = [(*row, *(length - len(row)) * (self.end,)) for row in forced]
        tokens = torch.tensor(rows, dtype=torch.long, device=features.values.device)
        return replace(features, targets=tuple(targets), decoder_inputs=tokens)

    def at_positions(self, logits: Tensor, features: Features) -> Tensor:  # noqa: ARG002
        return logits[:, len(self.prefix) - 1 :]

    def task_loss(self, logits: Tensor, features: Features) -> Tensor:
        """Cross-entropy under teacher forcing."""
        counted = features.position_mask(logits)
        tokens = [token for each in features.targets for token in each]
        expected = torch.tensor(tokens, dtype=torch.long, device=logits.device)
        total = F.cross_entropy(logits[counted], expected, reduction="sum")
        return total / max(1, len(tokens))

    def own_targets(self, recogniser: "Recogniser", features: Features) -> Targets:
        """What the recogniser writes of its own accord, greedily, the end included.

        What it wrote when it first saw an utterance stands: calibration runs the same speech again
        while layers are quantized, and compares what goes into them token by token.

        Raises:
            InputError: the language is not known.
        """
        if not self.knows_language:
            raise InputError(_UNKNOWN_LANGUAGE)
        keys = [hashlib.sha256(row.cpu().numpy().tobytes()).digest() for row in features.values]
        if not self.written.keys() >= set(keys):
            self.written.update(zip(keys, self._greedy(recogniser, features), strict=True))
        return [self.written[key] for key in keys]

    def _greedy(self, recogniser: "Recogniser", features: Features) -> Targets:
        greedily = self.options | {"num_beams": 1}
        with torch.no_grad(), recogniser.evaluating(), quiet():
            written = recogniser.model.generate(
                features.values, attention_mask=features.unit_mask, **greedily
            )
        return [self._ended(row) for row in written.tolist()]

    def texts(self, recogniser: "Recogniser", features: Features) -> list[str | None]:
        lengths, unit_mask = features.units.tolist(), features.unit_mask
        short = [row for row, units in enumerate(lengths) if units <= self.window_frames]
        texts: dict[int, str | None] = {}
        if short:
            values = features.values[short, :, : self.window_frames]
            mask = unit_mask[short, : self.window_frames]
            mask = F.pad(mask, (0, self.window_frames - mask.shape[1]))
            texts |= zip(short, self._written(recogniser, values, mask, {}), strict=True)
        for row in set(range(len(lengths))) - texts.keys():
            values = features.values[row : row + 1, :, : lengths[row]]
            mask = unit_mask[row : row + 1, : lengths[row]]
            (texts[row],) = self._written(recogniser, values, mask, _LONG_FORM)
        return [texts[row] for row in range(len(lengths))]

    def _written(
        self, recogniser: "Recogniser", values: Tensor, mask: Tensor, options: dict[str, Any]
    ) -> list[str | None]:
        """Transcripts of mel frames, by transformers' own `generate`."""
        finite = True

        def see(_: Any, __: Any, logits: Tensor) -> None:
            nonlocal finite
            finite = finite and bool(logits.isfinite().all())

        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the fallbacks of long recordings draw tokens
            hook = recogniser.model.get_output_embeddings().register_forward_hook(see)
            try:
                tokens = recogniser.model.generate(
                    values,
                    attention_mask=mask,
                    **self.options | options,
                )
            finally:
                hook.remove()
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() if finite else None for text in texts]

    def _ended(self, tokens: Sequence[int]) -> tuple[int, ...]:
        said = tokens[: tokens.index(self.end)] if self.end in tokens else tokens
        return (*said[: self.longest - len(self.prefix) - 1], self.end)


def _prefix(generation: Any, decoding: Decoding) -> tuple[tuple[int, ...], bool]:
    """The tokens that `generate` forces, and whether they are all.

    Raises:
        InputError: the model has no such language, or writes one alone and is asked for another.
    """
    start, end = generation.decoder_start_token_id, generation.no_timestamps_token_id
    if not getattr(generation, "is_multilingual", False):
        if decoding.language not in (None, "en", "english") or decoding.task == "translate":
            raise InputError("the model writes English alone; leave --language and --task out")
        return (start, end), True
    language = decoding.language or getattr(generation, "language", None)
    if language is None:
        return (start,), False
    code = TO_LANGUAGE_CODE.get(language.lower(), language.lower()).strip("<|>")
    token = generation.lang_to_id.get(f"<|{code}|>")
    if token is None:
        known = ", ".join(sorted(name.strip("<|>") for name in generation.lang_to_id))
        raise InputError(f"the model has no language {language!r}; it has {known}")
    task = decoding.task or getattr(generation, "task", None) or "transcribe"
    return (start, token, generation.task_to_id[task], end), True


def _writes_english(generation: Any, prefix: Sequence[int]) -> bool:
    """Whether a text behind these tokens is English: said in it, or translated into it."""
    if not getattr(generation, "is_multilingual", False):
        return True
    english = generation.lang_to_id.get("<|en|>"), generation.task_to_id.get("translate")
    return bool(set(english) & set(prefix))


def _options(generation: Any, decoding: Decoding) -> dict[str, Any]:
    """Arguments of `generate`."""
    options: dict[str, Any] = {
        "num_beams": decoding.beams,
        "do_sample": False,
        "return_timestamps": False,
    }
    if getattr(generation, "is_multilingual", False):
        asked = {"language": decoding.language, "task": decoding.task}
        options |= {name: value for name, value in asked.items() if value is not None}
    return options
