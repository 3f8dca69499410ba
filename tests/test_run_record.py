import json
from dataclasses import replace

import pytest
from example_record import example_record

from sottovoce.errors import InputError
from sottovoce.record import RunRecord


def test_a_record_survives_json():
    record = replace(example_record(depth=3), recipe={"bits": 4.0, "teacher": None})
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_missing_field_is_named():
    stored = example_record(depth=3).to_json()
    del stored["systems"]
    with pytest.raises(InputError, match="lacks 'systems'"):
        RunRecord.from_json(stored)


def test_an_unknown_field_is_named():
    stored = example_record(depth=3).to_json()
    stored["layers"][0]["colour"] = "red"
    with pytest.raises(InputError, match="colour"):
        RunRecord.from_json(stored)
