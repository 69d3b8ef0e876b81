import re
from pathlib import Path

import pytest

from infra.local import bqml
from infra.local.bqml.option_tables import TABLES
from infra.local.bqml.preprocessing import SIGNATURES
from infra.local.bqml.table_functions import FUNCTIONS

TEXT = (Path(bqml.__file__).parent / "README.md").read_text(encoding="utf-8")


def section(title):
    return TEXT.split(f"### {title}\n")[1].split("\n#")[0].split("`ML.TRANSFORM` and")[0]


def named(text):
    return set(re.findall(r"`(?:ML\.)?([A-Z0-9_]+)`", text))


@pytest.mark.parametrize("model_type", sorted(TABLES))
def test_the_page_lists_every_option_of_a_model_type_and_no_other(model_type):
    (row,) = [line for line in section("Model types and their options").splitlines() if f"| `{model_type}` |" in line]
    assert named(row) - {model_type} == {option.upper() for option in TABLES[model_type]}


def test_the_page_lists_every_function_and_no_other():
    assert named(section("Table functions")) == set(FUNCTIONS)
    assert named(section("Preprocessing functions")) == set(SIGNATURES)


def test_the_page_names_no_model_type_that_there_is_not():
    rows = [line for line in section("Model types and their options").splitlines() if line.startswith("| `")]
    assert len(rows) == len(TABLES)
