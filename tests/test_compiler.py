import pytest
from torch._inductor.exc import InvalidCxxCompiler, TritonMissing

from sottovoce.compiler import require_compiler
from sottovoce.errors import InputError


@pytest.mark.parametrize("error", [InvalidCxxCompiler(), TritonMissing(None)])
def test_a_missing_compiler_is_told_with_its_mend(error: Exception) -> None:
    mend = r"a model cannot be compiled; install .* g\+\+ \(on CUDA, Triton\) or leave it: \S"
    with pytest.raises(InputError, match=mend), require_compiler("a model", "leave it"):
        raise error
