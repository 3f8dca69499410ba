"""What becomes of Conformers on the way to ONNX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from program import save_checkpoint, save_speech, sottovoce
from tiny import noise

from sottovoce.exporters.folder import write_export
from sottovoce.loading import load
from sottovoce.models.recogniser import Recogniser
from sottovoce.runtime.engines import engine_of

pytest.importorskip("onnxruntime")
MakeRecogniser = Callable[..., Recogniser]
ONE_LAYER = {"num_hidden_layers": 1}
SECONDS = (0.3, 1.0, 3.0)  # tracing sees 1.0 s; the table of positions ends before


@pytest.mark.parametrize(
    ("family", "positions"),
    [
        # the fast tests have a packed one with these positions
        pytest.param("wav2vec2-conformer", "relative", marks=pytest.mark.slow),
        ("wav2vec2-conformer", "rotary"),
        ("wav2vec2-bert", "relative"),
        ("wav2vec2-bert", "rotary"),
    ],
)
def test_the_graph_computes_what_the_model_computes(
    make_recogniser: MakeRecogniser, tmp_path: Path, family: str, positions: str
) -> None:
    recogniser = make_recogniser(family, position_embeddings_type=positions, **ONE_LAYER)
    write_export(recogniser, "onnx", tmp_path / "exported")
    _assert_same(recogniser, engine_of(tmp_path / "exported", "onnx"))


@pytest.mark.parametrize("family", ["wav2vec2-conformer", "wav2vec2-bert"])
def test_a_packed_one_leaves_out_what_is_never_called(tmp_path: Path, family: str) -> None:
    start = save_checkpoint(tmp_path / "a", family, **ONE_LAYER)
    speech = save_speech(tmp_path)
    small = tmp_path / "small"
    ended = sottovoce(
        *("compress", start, "--train", speech, "--dev", speech, "--out", small, "--steps", 2),
        *("--bits", 3, "--cnn-bits", 3, "--evaluations", 1, "--seconds-per-batch", 1.5),
    )
    assert ended.status == 0, ended.err
    recogniser = load(small)
    write_export(recogniser, "onnx", tmp_path / "exported")
    for runtime in ("onnx", "openvino"):  # OpenVINO once broke what unpacks depthwise kernels
        _assert_same(recogniser, engine_of(tmp_path / "exported", runtime))


def _assert_same(first: Any, second: Any) -> None:
    for seconds in SECONDS:
        one, other = (engine.frame_logits([noise(seconds)])[0] for engine in (first, second))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["wav2vec2-bert", "parakeet_ctc"])
def test_features_go_in_where_the_extractor_makes_them(
    make_recogniser: MakeRecogniser, tmp_path: Path, family: str
) -> None:
    recogniser = make_recogniser(family, **ONE_LAYER)
    write_export(recogniser, "onnx", tmp_path / "exported")
    engine = engine_of(tmp_path / "exported", "onnx")
    _assert_same(recogniser, engine)
    lengths = range(1, 9000, 61)
    assert [engine.frames_of(n) for n in lengths] == [recogniser.frames_of(n) for n in lengths]
