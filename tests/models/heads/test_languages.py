"""A multilingual attention decoder: which language and task it is told, and what it does untold."""

from collections.abc import Callable

import pytest
from tiny import noise

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.models.heads.attention_decoder import AttentionDecoder
from sottovoce.models.recogniser import Recogniser

MakeRecogniser = Callable[..., Recogniser]
ENGLISH, FRENCH, TRANSCRIBE, TRANSLATE = 300, 301, 302, 303
START, NO_TIMESTAMPS = 257, 258


@pytest.fixture
def speaking(make_recogniser: MakeRecogniser) -> Callable[..., Recogniser]:
    def make(**asked: str) -> Recogniser:
        recogniser = make_recogniser("whisper")
        generation = recogniser.model.generation_config
        generation.is_multilingual = True
        generation.lang_to_id = {"<|en|>": ENGLISH, "<|fr|>": FRENCH}
        generation.task_to_id = {"transcribe": TRANSCRIBE, "translate": TRANSLATE}
        parts = recogniser.model, recogniser.processor, recogniser.family
        return Recogniser(*parts, decoding=Decoding(**asked))

    return make


def _head(recogniser: Recogniser) -> AttentionDecoder:
    assert isinstance(recogniser.head, AttentionDecoder)
    return recogniser.head


@pytest.mark.parametrize(
    ("asked", "language", "task"),
    [
        ({"language": "fr"}, FRENCH, TRANSCRIBE),
        ({"language": "French"}, FRENCH, TRANSCRIBE),
        ({"language": "en", "task": "translate"}, ENGLISH, TRANSLATE),
    ],
)
def test_the_prefix_is_the_one_that_generate_forces(
    speaking: Callable[..., Recogniser], asked: dict[str, str], language: int, task: int
) -> None:
    recogniser = speaking(**asked)
    head = _head(recogniser)
    assert head.prefix == (START, language, task, NO_TIMESTAMPS)
    seen: list[list[int]] = []

    def see(_: object, inputs: tuple[object, ...], given: dict[str, object]) -> None:
        seen.append(given["input_ids"][0].tolist())  # type: ignore[index]

    decoder = recogniser.model.model.decoder
    decoder.register_forward_pre_hook(see, with_kwargs=True)
    assert recogniser.recognise([noise(0.3)])[0] is not None
    assert tuple(seen[0]) == head.prefix


def test_english_is_normalised_as_english_and_others_as_any(
    speaking: Callable[..., Recogniser],
) -> None:
    assert speaking(language="en").labels.normaliser == "english"
    assert speaking(language="fr").labels.normaliser == "basic"
    assert speaking(language="fr", task="translate").labels.normaliser == "english"
    assert speaking().labels.normaliser == "basic"
    assert speaking(language="fr", normaliser="none").labels.normaliser == "none"


def test_without_a_language_it_finds_one_out_but_cannot_be_taught(
    speaking: Callable[..., Recogniser],
) -> None:
    recogniser = speaking()
    assert recogniser.recognise([noise(0.3)])[0] is not None
    assert "--language" in str(recogniser.head.misfit((65, 256), 10, 0.5))
    with pytest.raises(InputError, match="name one with --language"):
        recogniser.features([noise(0.3)])


def test_a_language_that_it_has_not_is_refused(speaking: Callable[..., Recogniser]) -> None:
    with pytest.raises(InputError, match="no language 'klingon'; it has en, fr"):
        speaking(language="klingon")
