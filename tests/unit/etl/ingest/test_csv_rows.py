from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_files import staged_text

from etl.errors import InputError
from etl.ingest import csv_rows
from etl.ingest.csv_rows import CsvRows

HEAD = "deal_id,source,title,price\n"


def rows_of(path: Path) -> tuple[list[tuple[str, ...]], list[tuple[int, str, str]]]:
    reader = CsvRows(path)
    good: list[tuple[str, ...]] = []
    broken = []
    for chunk in reader.chunks(reader.columns):
        good += list(zip(*(chunk.columns[name] for name in reader.columns), strict=True))
        broken += [(b.line, b.reason, b.content) for b in chunk.broken]
    return good, broken


def test_a_quoted_field_may_hold_commas_quotes_and_line_ends(tmp_path):
    good, refused = staged_text(tmp_path, HEAD + '1,shop,"27"" screen,\nnew",5\n2,shop,next,6\n')
    assert [r["title"] for r in good] == ['27" screen,\nnew', "next"]
    assert [r["line"] for r in good] == [2, 4]  # the first record takes lines 2 and 3
    assert refused == []


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path):
    good, _ = staged_text(tmp_path, b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b"1,shop,tv,5\r\n")
    assert good[0]["deal_id"] == "1"
    assert str(good[0]["price"]) == "5.000000000"


def test_a_row_with_too_many_or_too_few_fields_is_refused_with_its_line_and_content(tmp_path):
    good, refused = staged_text(tmp_path, HEAD + "1,shop,tv,5\n2,shop,tv\n3,shop,tv,5,6\n4,shop,tv,7\n")
    assert [r["deal_id"] for r in good] == ["1", "4"]
    assert [(r["line"], r["reason"], r["content"]) for r in refused] == [
        (3, "3 fields instead of 4", "2,shop,tv"),
        (4, "5 fields instead of 4", "3,shop,tv,5,6"),
    ]


def test_a_quote_that_never_closes_costs_its_own_line_only(tmp_path):
    text = HEAD + '1,shop,"open,5\n2,shop,tv,6\n3,shop,"fine, too",7\n4,shop,radio,8\n'
    good, refused = staged_text(tmp_path, text)
    assert [r["deal_id"] for r in good] == ["2", "3", "4"]
    assert [(r["line"], r["content"]) for r in refused] == [(2, '1,shop,"open,5')]


def test_an_open_quote_at_the_very_end_is_refused_and_said_so(tmp_path):
    good, refused = staged_text(tmp_path, HEAD + '1,shop,tv,5\n2,shop,"open,6\n')
    assert [r["deal_id"] for r in good] == ["1"]
    assert [(r["line"], r["reason"]) for r in refused] == [(3, "unexpected end of data")]


def test_bytes_that_are_not_utf8_refuse_their_row_and_are_shown(tmp_path):
    good, refused = staged_text(tmp_path, HEAD.encode() + b"1,shop,caf\xe9,5\n2,shop,tv,6\n")
    assert [r["deal_id"] for r in good] == ["2"]
    assert (refused[0]["line"], refused[0]["content"]) == (2, "1,shop,caf\\xe9,5")
    assert refused[0]["reason"] == "not UTF-8: byte 0xE9 at column 11"


def test_a_nul_character_refuses_its_row(tmp_path):
    good, refused = staged_text(tmp_path, HEAD + "1,shop,t\0v,5\n2,shop,tv,6\n")
    assert [r["deal_id"] for r in good] == ["2"]
    assert (refused[0]["reason"], refused[0]["content"]) == ("a NUL character at column 9", "1,shop,t\\x00v,5")


def test_empty_lines_are_no_rows(tmp_path):
    good, refused = staged_text(tmp_path, HEAD + "\n1,shop,tv,5\n\n\n2,shop,tv,6\n\n")
    assert [(r["deal_id"], r["line"]) for r in good] == [("1", 3), ("2", 6)]
    assert refused == []


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_seen_in_the_header(tmp_path, delimiter):
    good, _ = staged_text(tmp_path, (HEAD + "1,shop,tv,5\n").replace(",", delimiter))
    assert good[0]["title"] == "tv"


def test_a_packed_file_is_unpacked(tmp_path):
    good, _ = staged_text(tmp_path, gzip.compress((HEAD + "1,shop,tv,5\n").encode()), name="deals.csv.gz")
    assert good[0]["title"] == "tv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must name the columns"),
        (b'"a"b,c\n1,2\n', "is no CSV"),
        (b"a,b,a\n1,2,3\n", "columns of the same name: a"),
        (b"\xff\xfea\x00", "UTF-16"),
        (gzip.compress(HEAD.encode() * 999)[:-20], "packed file is broken"),
    ],
)
def test_a_file_that_is_no_table_at_all_is_refused_as_a_whole(tmp_path, content, message):
    path = tmp_path / "deals.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        rows_of(path)


def test_a_column_without_a_name_is_called_by_its_place(tmp_path):
    good, _ = staged_text(tmp_path, ",deal_id,source,title\n0,1,shop,tv\n")
    assert good[0]["attributes"] == '{"column_1": "0"}'


def test_chunks_follow_each_other_without_a_gap(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "CHUNK_ROWS", 3)
    text = HEAD + "".join(f"{i},shop,tv,{i}\n" if i % 4 else f"{i},bad\n" for i in range(20))
    good, refused = staged_text(tmp_path, text)
    assert sorted([int(r["deal_id"]) for r in good] + [r["line"] - 2 for r in refused]) == list(range(20))
    assert [r["line"] for r in good] == [int(r["deal_id"]) + 2 for r in good]


cells = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


@given(table=st.lists(st.tuples(cells, cells, cells).filter(any), max_size=8))
def test_whatever_a_csv_writer_writes_is_read_back(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *table])
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    assert rows_of(path) == (table, [])


@given(
    lines=st.lists(
        st.sampled_from(["1,s,t,2", '"', 'a,"b', 'x"y,,', '"a","b","c","d"', '5,s,"t\n', "ü,ö,ä,ß"]), max_size=12
    )
)
def test_every_line_is_either_a_row_or_refused_or_empty(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    body = "\n".join(lines)
    path.write_text("a,b,c,d\n" + body, encoding="utf-8", newline="")
    reader = CsvRows(path)
    kept = []
    for chunk in reader.chunks(reader.columns):
        kept += [chunk.content(i) for i in range(len(chunk.lines))] + [b.content for b in chunk.broken]
    told = sorted(line for content in kept for line in content.split("\n") if line)
    assert told == sorted(line for line in body.split("\n") if line)
