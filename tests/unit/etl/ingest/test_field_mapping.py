from __future__ import annotations

import pytest
from ingest_files import fields

from etl.errors import InputError
from etl.ingest.kinds import DEALS
from etl.ingest.mapping import map_fields

COLUMNS = ("id", "name", "Brand", "price", "colour")


def plan(mapping, columns=COLUMNS, **constants):
    return map_fields(fields(DEALS), columns, mapping, constants, flags=DEALS.flags)


def test_a_mapped_column_fills_its_field_and_others_those_of_their_name():
    found = plan({"deal_id": "id", "title": "name"}, source="abt")
    assert found.columns == {"deal_id": "id", "title": "name", "brand": "Brand", "price": "price"}
    assert found.constants == {"source": "abt"}
    assert found.others == ("colour",)


def test_a_column_mapped_elsewhere_does_not_fill_the_field_of_its_own_name_too():
    found = plan({"deal_id": "id", "title": "name", "list_price": "price"}, source="abt")
    assert found.columns["list_price"] == "price"
    assert "price" not in found.columns


def test_a_column_may_fill_two_fields_when_it_is_mapped_twice():
    found = plan({"deal_id": "id", "title": "name", "brand": "name"}, source="abt")
    assert (found.columns["title"], found.columns["brand"]) == ("name", "name")


def test_a_source_for_all_rows_wins_over_a_column_which_is_kept_as_another():
    found = plan({"deal_id": "id", "title": "name"}, (*COLUMNS, "source"), source="abt")
    assert "source" not in found.columns
    assert "source" in found.others


def test_an_unknown_column_is_refused_with_those_that_there_are():
    with pytest.raises(InputError) as error:
        plan({"deal_id": "id", "title": "nmae"}, source="abt")
    assert str(error.value) == (
        "--map title=nmae: there is no column 'nmae'. Did you mean name? The columns are: id, name, Brand, price, colour"
    )


def test_an_unknown_field_is_refused_with_those_that_there_are():
    with pytest.raises(
        InputError, match=r"there is no field 'titel'\. Did you mean title\? The fields are: deal_id, source"
    ):
        plan({"titel": "name"}, source="abt")


@pytest.mark.parametrize("own", ["attributes", "ingested_at"])
def test_what_the_import_fills_itself_is_no_field(own):
    with pytest.raises(InputError, match=f"no field '{own}'"):
        plan({own: "name"}, source="abt")


def test_a_field_given_by_flag_and_by_map_is_refused():
    with pytest.raises(InputError, match="--source abt gives the same field"):
        plan({"deal_id": "id", "title": "name", "source": "colour"}, source="abt")


def test_a_required_field_that_nothing_fills_is_refused_with_the_ways_to_fill_it():
    with pytest.raises(InputError) as error:
        plan({"title": "name"})
    assert "nothing fills deal_id, source. Pass --map deal_id=COLUMN and --map source=COLUMN or --source VALUE" in str(
        error.value
    )
    assert "The file has the columns: id, name" in str(error.value)
