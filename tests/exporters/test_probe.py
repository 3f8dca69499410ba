"""What an export carries of its own answer."""

import numpy as np
import pytest
import torch
from tiny import tiny_model, tiny_processor

from sottovoce.errors import InputError
from sottovoce.exporters.probe import EXACT, PROBE_FILE, Probe
from sottovoce.models.families import family_of
from sottovoce.models.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    model = tiny_model("wav2vec2").eval()
    return Recogniser(model, tiny_processor(folder), family_of("wav2vec2"))


class Changed:
    """Another runtime: the recogniser's logits, changed."""

    def __init__(self, recogniser, change):
        self.recogniser, self.change = recogniser, change

    def frame_logits(self, waveforms):
        return [self.change(logits) for logits in self.recogniser.frame_logits(waveforms)]


def test_the_model_itself_agrees(recogniser, tmp_path):
    probe = Probe.of(recogniser)
    assert probe.tolerance == EXACT
    assert probe.difference(recogniser) == 0
    probe.write(tmp_path)
    read = Probe.read(tmp_path)
    assert read.tolerance == probe.tolerance
    assert np.array_equal(read.waveform, probe.waveform)
    assert np.array_equal(read.logits, probe.logits)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda logits: 1.01 * logits, pytest.approx(0.01, rel=1e-3)),
        (lambda logits: -logits, pytest.approx(2.0)),
        (lambda logits: logits[:-1], float("inf")),
        (lambda logits: logits * np.nan, float("inf")),
    ],
)
def test_a_difference_is_relative_to_the_logits(recogniser, change, expected):
    assert Probe.of(recogniser).difference(Changed(recogniser, change)) == expected


def test_the_probe_hears_speech_like_noise(recogniser):
    """White noise would hide what rounding does to the statistics of slow signals."""
    waveform = Probe.of(recogniser).waveform
    assert waveform.dtype == np.int16 and len(waveform) == recogniser.sampling_rate // 2
    assert np.corrcoef(waveform[1:].astype(float), waveform[:-1].astype(float))[0, 1] > 0.9


def test_a_folder_without_a_probe_cannot_be_checked(tmp_path):
    with pytest.raises(InputError, match=r"has no probe\.safetensors.*export the model again"):
        Probe.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_damaged_probe_is_refused(recogniser, tmp_path, content):
    Probe.of(recogniser).write(tmp_path)
    whole = (tmp_path / PROBE_FILE).read_bytes()
    (tmp_path / PROBE_FILE).write_bytes(whole[:-100] if content is None else content)
    with pytest.raises(InputError, match=r"probe\.safetensors is damaged .*export the model again"):
        Probe.read(tmp_path)


def test_probe_of_a_batch_norm_in_training_mode_is_of_evaluation(recogniser):
    recogniser.model.train()
    torch.manual_seed(0)
    first = Probe.of(recogniser)
    assert np.array_equal(first.logits, Probe.of(recogniser).logits)
    recogniser.model.eval()
