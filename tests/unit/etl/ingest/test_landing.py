from __future__ import annotations

import datetime as dt
import json
import os
import socket
import threading
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from import_target import TABLES

from etl.errors import InputError, UnavailableError
from etl.ingest import import_deals, import_labels, landing
from etl.ingest.landing import Landing
from etl.settings import load_settings
from etl.warehouse import Warehouse

HEAD = "deal_id,source,title,price,shelf\n"
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def deals(target, tmp_path):
    """Imports deals from CSV lines; each call is an hour later than the one before."""
    hours = iter(range(1000))

    def load(*lines, **more):
        path = tmp_path / "deals.csv"
        path.write_text(HEAD + "\n".join(lines) + "\n")
        arrived = NOON + dt.timedelta(hours=next(hours))
        return import_deals(target.warehouse, target.templates, path, **{"ingested_at": arrived, **more})

    return load


@pytest.fixture
def labels(target, tmp_path):
    hours = iter(range(1000))

    def load(*lines, head="left_id,right_id,is_duplicate", **more):
        path = tmp_path / "labels.csv"
        path.write_text(head + "\n" + "\n".join(lines) + "\n")
        given = {"left_source": "a", "right_source": "b", "ingested_at": NOON + dt.timedelta(hours=next(hours)), **more}
        return import_labels(target.warehouse, target.templates, path, **given)

    return load


def counts(report):
    return report.rows, report.loaded, report.unchanged, report.rejected


def test_deals_land_typed_with_what_else_came_under_its_own_name(target, deals):
    report = deals('1,shop,"27"" tv",19.99,A7')
    assert counts(report) == (1, 1, 0, 0)
    assert (report.other_columns, report.others_kept) == (("shelf",), True)
    row = target.rows(
        "SELECT deal_id, title, price, JSON_VALUE(attributes, '$.shelf'), brand, ingested_at FROM {}.raw_deals"
    )[0]
    assert (row[0], row[1], str(row[2].normalize()), *row[3:]) == ("1", '27" tv', "19.99", "A7", None, NOON)


def test_the_same_file_twice_changes_nothing(target, deals):
    lines = ["1,shop,tv,5,", "2,shop,radio,free,", "3,shop,phone,7,"]
    first, second = deals(*lines), deals(*lines)
    assert (counts(first), counts(second)) == ((3, 2, 0, 1), (3, 0, 2, 1))
    assert (first.landed_before, second.landed_before) == (None, NOON)
    assert (target.count("raw_deals"), target.count("rejected_rows")) == (2, 1)


def test_only_what_changed_is_a_new_version_and_the_earlier_ones_stay(target, deals):
    deals("1,shop,tv,5,", "2,shop,radio,6,")
    assert counts(deals("1,shop,tv,4,", "2,shop,radio,6,", "3,shop,new,1,")) == (3, 2, 1, 0)
    versions = target.rows("SELECT deal_id, CAST(price AS INT64) FROM {}.raw_deals ORDER BY deal_id, ingested_at")
    assert versions == [("1", 5), ("1", 4), ("2", 6), ("3", 1)]


def test_a_deal_that_goes_back_to_what_it_was_is_a_version_of_its_own(target, deals):
    for price in (5, 4):
        deals(f"1,shop,tv,{price},")
    assert counts(deals("1,shop,tv,5,", "2,shop,x,1,")) == (2, 2, 0, 0)
    assert target.rows("SELECT CAST(price AS INT64) FROM {}.raw_deals WHERE deal_id = '1' ORDER BY ingested_at") == [
        (5,),
        (4,),
        (5,),
    ]


def test_the_very_file_of_before_can_be_imported_again_on_purpose(target, deals):
    deals("1,shop,tv,5,")
    deals("1,shop,tv,4,")
    assert counts(deals("1,shop,tv,5,")) == (1, 0, 1, 0)
    assert counts(deals("1,shop,tv,5,", again=True)) == (1, 1, 0, 0)
    assert target.count("raw_deals") == 3


def test_versions_in_one_file_keep_the_order_of_its_lines(target, deals):
    assert counts(deals("1,shop,tv,5,", "1,shop,tv,5,", "1,shop,tv,4,", "1,other,tv,9,", "1,shop,tv,5,")) == (
        5,
        4,
        1,
        0,
    )
    versions = target.rows(
        "SELECT CAST(price AS INT64), ingested_at FROM {}.raw_deals WHERE source = 'shop' ORDER BY ingested_at"
    )
    assert [price for price, _ in versions] == [5, 4, 5]
    assert len({at for _, at in versions}) == 3
    assert all(NOON <= at < NOON + dt.timedelta(milliseconds=1) for _, at in versions)


def test_several_files_of_one_instant_keep_the_order_in_which_they_came(target, deals):
    for price in (5, 4, 3):
        deals(f"1,shop,tv,{price},", ingested_at=NOON)
    assert target.rows("SELECT CAST(price AS INT64) FROM {}.raw_deals ORDER BY ingested_at") == [(5,), (4,), (3,)]


def test_refused_rows_are_kept_with_reason_line_content_and_file(target, deals):
    report = deals("1,shop,tv,5,", "2,shop,,6,", "3,shop")
    assert counts(report) == (3, 1, 0, 2)
    assert report.reasons == {"title: missing": 1, "2 fields instead of 5": 1}
    kept = target.rows("SELECT kind, line, reason, content, import_id FROM {}.rejected_rows ORDER BY line")
    assert kept == [
        ("deals", 3, "title: missing", "2,shop,,6,", report.import_id),
        ("deals", 4, "2 fields instead of 5", "3,shop", report.import_id),
    ]
    assert target.rows("SELECT DISTINCT file FROM {}.rejected_rows")[0][0].endswith("deals.csv")


def test_a_file_of_nothing_but_bad_rows_loads_nothing_and_says_so(target, deals):
    assert counts(deals("1,shop,,5,", ",shop,tv,5,")) == (2, 0, 0, 2)
    assert (target.count("raw_deals"), target.count("rejected_rows")) == (0, 2)


def test_a_wrong_mapping_is_told_before_anything_is_loaded(target, deals):
    with pytest.raises(InputError, match="there is no column 'nmae'"):
        deals("1,shop,tv,5,", mapping={"title": "nmae"})
    assert target.tables() == sorted(TABLES)
    assert target.count("raw_deals") == 0


@pytest.mark.parametrize("dies_after", ["insert_rejected_rows", "insert_deals"])
def test_an_import_that_died_halfway_is_finished_by_the_same_call(target, deals, monkeypatch, dies_after):
    lines = ["1,shop,tv,5,", "2,shop,,6,", "1,shop,tv,4,"]
    whole = Landing.insert

    def insert(self, statement, *args, **more):
        added = whole(self, statement, *args, **more)
        if statement == dies_after:
            raise KeyboardInterrupt
        return added

    monkeypatch.setattr(Landing, "insert", insert)
    with pytest.raises(KeyboardInterrupt):
        deals(*lines)
    monkeypatch.undo()
    deals(*lines)
    assert target.rows("SELECT CAST(price AS INT64) FROM {}.raw_deals ORDER BY ingested_at") == [(5,), (4,)]
    assert target.count("rejected_rows") == 1
    assert target.tables() == sorted(TABLES)


def test_two_imports_of_one_file_at_once_land_it_once(target, tmp_path):
    path = tmp_path / "deals.csv"
    path.write_text(HEAD + "".join(f"{i},shop,tv {i},{i},\n" for i in range(200)) + "x,shop,,1,\n")
    start, failures = threading.Barrier(4), []

    def load():
        start.wait()
        try:
            import_deals(target.warehouse, target.templates, path)
        except Exception as error:  # noqa: BLE001 -- the test tells any of them
            failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (target.count("raw_deals"), target.count("rejected_rows")) == (200, 1)
    assert target.tables() == sorted(TABLES)


def test_rows_that_were_deleted_can_be_imported_again(target, deals):
    deals("1,shop,tv,5,")
    target.rows("DELETE FROM {}.raw_deals WHERE TRUE")
    assert counts(deals("1,shop,tv,5,")) == (1, 1, 0, 0)
    assert target.count("raw_deals") == 1


def test_a_column_that_an_analyst_adds_to_the_ddl_can_be_imported(target, deals):
    target.rows("DROP TABLE {}.raw_deals")
    target.create("raw_deals", lambda ddl: ddl.replace("title STRING NOT NULL", "shelf STRING, title STRING NOT NULL"))
    report = deals("1,shop,tv,5,A7")
    assert report.columns["shelf"] == "shelf"
    assert target.rows("SELECT shelf, attributes FROM {}.raw_deals") == [("A7", None)]


def test_attributes_come_back_as_the_json_that_they_were(target, tmp_path):
    path = tmp_path / "deals.ndjson"
    extra = {"tags": ["a", "ü"], "stock": 3, "weight": 1.25, "nested": {"deep": None}, "big": 12345678901234567890123}
    path.write_text(json.dumps({"deal_id": "1", "source": "shop", "title": "tv", **extra}))
    import_deals(target.warehouse, target.templates, path)
    found = target.rows("SELECT TO_JSON_STRING(attributes) FROM {}.raw_deals")[0][0]
    assert json.loads(found) == {**extra, "big": pytest.approx(extra["big"])}


def test_a_verdict_given_twice_is_one_in_either_direction(target, labels):
    assert counts(labels("1,2,1", "1,2,yes", "3,4,0")) == (3, 2, 1, 0)
    again = labels("2,1,true", "5,6,0", left_source="b", right_source="a")
    assert counts(again) == (2, 1, 1, 0)
    assert target.count("labels") == 3


def test_another_verdict_on_a_pair_is_a_label_of_its_own_and_the_later_one(target, labels):
    labels("1,2,1")
    assert counts(labels("1,2,0")) == (1, 1, 0, 0)
    assert target.rows("SELECT is_duplicate FROM {}.labels ORDER BY ingested_at") == [(True,), (False,)]


def test_a_split_that_a_pair_did_not_have_lands_and_a_missing_one_does_not(target, labels):
    labels("1,2,1")
    assert counts(labels("1,2,1", split="test")) == (1, 1, 0, 0)
    assert counts(labels("1,2,1", "3,4,0")) == (2, 1, 1, 0)
    assert target.rows("SELECT left_id, split FROM {}.labels ORDER BY ingested_at, left_id") == [
        ("1", None),
        ("1", "test"),
        ("3", None),
    ]


def test_a_label_tells_when_it_was_given_and_when_it_came(target, labels):
    labels("1,2,1,2025-12-24,eve", "3,4,0,,", head="left_id,right_id,is_duplicate,labelled_at,labelled_by")
    rows = target.rows("SELECT labelled_at, labelled_by, ingested_at, origin FROM {}.labels ORDER BY left_id")
    assert rows == [(dt.datetime(2025, 12, 24, tzinfo=dt.UTC), "eve", NOON, "import"), (NOON, None, NOON, "import")]


def test_sources_of_labels_may_stand_in_columns(target, labels):
    head = "left_source,left_id,right_source,right_id,is_duplicate"
    labels("x,1,y,1,1", head=head, left_source=None, right_source=None)
    assert target.rows("SELECT left_source, right_source FROM {}.labels") == [("x", "y")]


def test_an_unknown_split_is_refused_before_anything_is_loaded(labels):
    with pytest.raises(
        InputError, match="--split holdout: there is no such split; the splits are: train, validation, test"
    ):
        labels("1,2,1", split="holdout")


def test_a_bigquery_that_is_down_is_named_with_its_address(target, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(landing, "_PATIENCE", 0.1)
    path = tmp_path / "deals.csv"
    path.write_text(HEAD + "1,shop,tv,5,\n")
    client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": address})
    warehouse = Warehouse(client, load_settings("local", endpoints={"bigquery": address}))
    with pytest.raises(UnavailableError, match=address):
        import_deals(warehouse, target.templates, path)


def test_a_table_that_is_not_there_is_named(target, deals):
    target.rows("DROP TABLE {}.raw_deals")
    with pytest.raises(InputError, match=r"there is no table bqloop-local\.d_[0-9a-f]+\.raw_deals"):
        deals("1,shop,tv,5,")


def test_the_abt_buy_data_set_lands_whole(target):
    folder = Path(os.environ.get("BQLOOP_DATASETS", Path(__file__).parents[5] / "shared" / "datasets")) / "abt_buy"
    if not folder.is_dir():
        pytest.skip(f"no data set in {folder}")
    use = (target.warehouse, target.templates)
    for table, source, rows in (("tableA", "abt", 1081), ("tableB", "buy", 1092)):
        report = import_deals(*use, folder / f"{table}.csv", source=source, mapping={"deal_id": "id", "title": "name"})
        assert counts(report) == (rows, rows, 0, 0)
    names = {"left_id": "ltable_id", "right_id": "rtable_id", "is_duplicate": "label"}
    for part, rows in (("train", 5743), ("valid", 1916), ("test", 1916)):
        report = import_labels(
            *use, folder / f"{part}.csv", left_source="abt", right_source="buy", split=part, mapping=names
        )
        assert counts(report) == (rows, rows, 0, 0)
    splits = target.rows("SELECT split, COUNTIF(is_duplicate) FROM {}.labels GROUP BY split ORDER BY split")
    assert splits == [("test", 206), ("train", 616), ("validation", 206)]
