import math
import re

import pytest

from sottovoce.report import numbers

TABLE = re.findall(r"^\| (\w+\(.*\)) +\| (.+?) +\|$", numbers.__doc__, flags=re.MULTILINE)


def test_the_table_covers_every_function():
    functions = {name for name, value in vars(numbers).items() if callable(value)}
    assert {call.split("(")[0] for call, _ in TABLE} == functions


@pytest.mark.parametrize(("call", "written"), TABLE)
def test_numbers_are_written_as_the_table_says(call, written):
    assert eval(call, vars(numbers) | {"math": math}) == written


def test_rounding_carries_into_the_next_unit():
    assert numbers.duration(59.7) == "1 min 0 s"
    assert numbers.duration(3599.8) == "1 h 0 min"
    assert numbers.duration(7199) == "2 h 0 min"
    assert numbers.size(999_960) == "1.0 MB"
