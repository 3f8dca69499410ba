from collections.abc import Callable

import pytest
from torch import nn

from sottovoce.errors import InputError
from sottovoce.models.families import FAMILIES, family_of
from sottovoce.models.recogniser import Recogniser


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_matrix_of_the_encoder_layers_is_found(
    make_recogniser: Callable[..., Recogniser], name: str
) -> None:
    recogniser = make_recogniser(name)
    matrices = family_of(name).encoder_matrices(recogniser.model)
    linear = [
        module_name
        for module_name, module in recogniser.model.named_modules()
        if isinstance(module, nn.Linear)
        and ".encoder.layers." in module_name
        and not module_name.endswith("gru_rel_pos_linear")  # WavLM's gate, 8 by head size
    ]
    assert sorted(matrix.name for matrix in matrices) == sorted(linear)
    assert [matrix.depth for matrix in matrices] == [0] * 6 + [1] * 6
    assert [matrix.module for matrix in matrices[:6]] == ["attention"] * 4 + ["feed-forward"] * 2


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_shapes_are_rows_by_columns(make_recogniser: Callable[..., Recogniser], name: str) -> None:
    recogniser = make_recogniser(name)
    shapes = recogniser.family.shapes(recogniser.model)
    assert list(shapes.values())[:6] == [(32, 32)] * 4 + [(48, 32), (32, 48)]


def test_other_families_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'whisper' .* hubert, wav2vec2, wavlm"):
        family_of("whisper")
