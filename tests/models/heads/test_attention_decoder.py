"""What an attention decoder is trained towards, and what it refuses."""

from collections.abc import Callable

import pytest
import torch
from tiny import noise

from sottovoce.config.decoding import Decoding
from sottovoce.errors import InputError
from sottovoce.models.heads.attention_decoder import AttentionDecoder
from sottovoce.models.recogniser import Recogniser

MakeRecogniser = Callable[..., Recogniser]


@pytest.fixture
def recogniser(make_recogniser: MakeRecogniser) -> Recogniser:
    return make_recogniser("whisper")


@pytest.fixture
def head(recogniser: Recogniser) -> AttentionDecoder:
    assert isinstance(recogniser.head, AttentionDecoder)
    return recogniser.head


def test_targets_begin_with_a_space_and_end(head: AttentionDecoder) -> None:
    written = head.tokenizer.decode(head.targets("  ab   c ", "u"), skip_special_tokens=True)
    assert written == " ab c"
    assert head.targets("", "u") == (head.end,)


def test_the_loss_is_that_of_transformers(recogniser: Recogniser, head: AttentionDecoder) -> None:
    targets = [head.targets("ab", "u"), head.targets("abc a", "v")]
    features = recogniser.features([noise(0.3), noise(0.5, seed=1)], targets)
    found = head.task_loss(recogniser.logits(features), features)
    length = max(map(len, targets))
    rows = [(-100, *each, *(length - len(each)) * (-100,)) for each in targets]
    with torch.no_grad():
        theirs = recogniser.model(
            features.values,
            decoder_input_ids=features.decoder_inputs,
            labels=torch.tensor(rows),
        )
    torch.testing.assert_close(found, theirs.loss)


def test_a_batch_has_the_logits_of_each_alone(
    recogniser: Recogniser, head: AttentionDecoder
) -> None:
    targets = [head.targets("ab", "u"), head.targets("abc a", "v")]
    waveforms = [noise(0.3), noise(0.5, seed=1)]
    with torch.no_grad():
        features = recogniser.features(waveforms, targets)
        logits = recogniser.logits(features)
        assert features.positions.tolist() == [len(each) for each in targets]
        for row, (waveform, each) in enumerate(zip(waveforms, targets, strict=True)):
            alone = recogniser.logits(recogniser.features([waveform], [each]))
            torch.testing.assert_close(logits[row, : len(each)], alone[0])


def test_what_it_writes_of_its_own_accord_is_what_generate_writes(
    recogniser: Recogniser, head: AttentionDecoder
) -> None:
    waveforms = [noise(0.3), noise(0.5, seed=1)]
    features = recogniser.features(waveforms)
    texts = recogniser.recognise(waveforms)
    decoded = head.tokenizer.batch_decode(features.targets, skip_special_tokens=True)
    for target, text in zip(decoded, texts, strict=True):  # what never ends is cut, and ended
        assert text is not None
        assert text.startswith(target.strip())
    assert all(each[-1] == head.end for each in features.targets)


def test_what_it_wrote_first_stands_while_layers_are_quantized(
    recogniser: Recogniser, head: AttentionDecoder
) -> None:
    first = recogniser.features([noise(0.3)]).targets
    with torch.no_grad():
        recogniser.model.model.decoder.layers[0].fc1.weight.mul_(-1)
    assert recogniser.features([noise(0.3)]).targets == first


@pytest.mark.parametrize(
    ("text", "log_probability", "doubtful"),
    [
        ("ab c", -0.1, False),
        ("ab c", -1.5, True),
        ("ab" * 8, -0.1, False),
        ("abc a b c a c b", -0.1, True),  # as long as the decoder holds: it never ended
    ],
)
def test_what_should_teach_nobody(
    head: AttentionDecoder, text: str, log_probability: float, doubtful: bool
) -> None:
    targets = head.targets(text, "u")[: head.longest - len(head.prefix)]
    if doubtful and log_probability > -1:
        targets = (targets * 3)[: head.longest - len(head.prefix)]
    assert head.is_doubtful(targets, log_probability) == doubtful


def test_loops_are_doubtful(make_recogniser: MakeRecogniser) -> None:
    head = make_recogniser("whisper", max_target_positions=400).head
    assert head.is_doubtful(head.targets("abc " * 40, "u"), -0.1)


@pytest.mark.parametrize(
    ("targets", "seconds", "message"),
    [
        ((65,) * 30, 0.5, "30 tokens, and the decoder holds 22"),
        ((65, 256), 1.2, "hears 1 s at once"),
        ((65, 256), 0.5, None),
    ],
)
def test_what_does_not_fit_is_said(
    head: AttentionDecoder, targets: tuple[int, ...], seconds: float, message: str | None
) -> None:
    found = head.misfit(targets, 10, seconds)
    assert found is None if message is None else message in str(found)


def test_english_alone_takes_no_other_language(recogniser: Recogniser) -> None:
    parts = recogniser.model, recogniser.processor, recogniser.family
    with pytest.raises(InputError, match="writes English alone"):
        Recogniser(*parts, decoding=Decoding(language="fr"))
