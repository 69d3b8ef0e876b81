"""The review shows what speaks for and against, as tables, as data, and as one page that needs nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deployment.review import Review, review_data, review_page, review_tables

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def a_review(**changes: Any) -> Review:
    names = ["champion", "tree", "linear"]
    figures: dict[str, Any] = {"row_count": 500, "positives": 120, "threshold": 0.4, "log_loss": 0.3, "roc_auc": 0.9}
    given: dict[str, Any] = {
        "run_id": "deals-2026-11-21",
        "model": "deals",
        "as_of": "2026-11-21T05:00:00+00:00",
        "state": "HELD",
        "decision": {
            "verdict": "HOLD",
            "winner": "tree",
            "threshold": 0.4,
            "reasons": ["tree: average_precision 0.91 against 0.88 of the champion", "<b>held</b> & waiting"],
        },
        "champion": {"version": "7", "bigquery_model": "p.d.deals__r__tree"},
        "names": names,
        "metrics": [
            {"name": name, "split": split, **figures, "f1_score": 0.8 + 0.02 * place, "precision": None}
            for place, name in enumerate(names)
            for split in ("validation", "test")
        ],
        "intervals": [{"name": name, "metric": "f1_score", "lower": 0.75, "upper": 0.87} for name in names],
        "comparison": [
            {"candidate": name, "metric": metric, "difference": 0.02, "lower": -0.01, "upper": 0.05}
            for name in names[1:]
            for metric in ("f1_score", "log_loss")
        ]
        + [{"candidate": "tree", "metric": "precision", "difference": None, "lower": None, "upper": None}],
        "slices": [
            {"name": name, "slice": "source", "value": value, "row_count": 90, "positives": 20, "f1_score": f1}
            for value, figures in (("a <shop>", (0.8, 0.9, 0.7)), (None, (0.8, 0.81, None)))
            for name, f1 in zip(names, figures, strict=True)
        ],
        "bins": [
            {
                "name": name,
                "split": "validation",
                "bin": b,
                "row_count": 25,
                "positives": b,
                "mean_probability": b / 20,
                "positive_rate": b / 21,
            }
            for name in names
            for b in range(20)
        ],
        "curves": [
            {
                "name": name,
                "threshold": 1 - s / 50,
                "precision": 1 - s / 100,
                "recall": s / 50,
                "false_positive_rate": (s / 50) ** 3,
            }
            for name in names
            for s in range(51)
        ],
        "importance": {"tree": [{"feature": "title_cosine", "importance": 0.41}], "champion": []},
        "cost": [{"stage": "train", "jobs": 2, "bytes_billed": 20971520, "slot_ms": 1500, "seconds": 12.5}],
        "sql_changes": "--- champion/deals/features/x.sql\n+++ run/deals/features/x.sql\n@@ -1 +1 @@\n-SELECT 1 < 2\n+SELECT 2",
    }
    return Review(**{**given, **changes})


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids |= {value for key, value in attrs if key == "id" and value}


def printed(review: Review) -> str:
    console = Console(file=StringIO(), width=160)
    for part in review_tables(review):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_page_has_every_part() -> None:
    found = Elements(review_page(a_review()))
    assert {"verdict", "reasons", "metrics", "differences", "plots", "slices", "importance", "cost", "sql"} <= found.ids
    assert found.tags.count("svg") == 2 + 4  # a chart of differences a candidate, four plots


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    page = review_page(a_review())
    found = Elements(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert not [key for key, _ in found.attributes if key in {"src", "href", "style"} or key.startswith("on")]
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_texts_are_escaped() -> None:
    page = review_page(a_review())
    assert "&lt;b&gt;held&lt;/b&gt; &amp; waiting" in page
    assert "a &lt;shop&gt;" in page
    assert "SELECT 1 &lt; 2" in page


def test_a_slice_is_marked_where_a_candidate_is_notably_better_or_worse() -> None:
    page = review_page(a_review())
    row = page[page.index("a &lt;shop&gt;") :]
    assert re.findall(r'<td(?: class="(\w+)")?>0\.\d+', row[: row.index("</tr>")]) == ["", "better", "worse"]


def test_a_first_run_without_champion_tables_or_changes_has_a_page_too() -> None:
    review = a_review(
        champion=None,
        names=["tree"],
        comparison=[],
        slices=[],
        bins=[],
        curves=[],
        intervals=[],
        importance={},
        cost=[],
        sql_changes="",
        decision={},
    )
    page = review_page(review)
    assert "The gate has not decided yet" in page
    assert "There is no champion to compare with" in page
    assert "not decided yet" in printed(review)


def test_the_tables_tell_the_verdict_with_its_reasons_and_turn_losses_round() -> None:
    told = printed(a_review())
    assert "HOLD" in told
    assert "tree: average_precision 0.91 against 0.88 of the champion" in told
    assert "0.820 (0.750 to 0.870) [0.820]" in told
    # A log loss that is 0.02 higher is worse by 0.02, at the most by 0.05.
    row = next(line for line in told.splitlines() if "log_loss" in line and "tree" in line)
    assert [part.strip() for part in row.strip("│").split("│")][2:] == ["-0.0200", "-0.0500", "+0.0100"]
    assert "<b>held</b> & waiting" in told


def test_the_data_are_plain_and_hold_the_same() -> None:
    data = review_data(a_review())
    assert data["decision"]["winner"] == "tree"
    assert data["comparison"][0]["candidate"] == "tree"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_chromium_shows_the_page_without_complaint(tmp_path: Path) -> None:
    assert CHROMIUM is not None
    page = tmp_path / "review.html"
    page.write_text(review_page(a_review()), encoding="utf-8")

    def shown(*flags: str) -> subprocess.CompletedProcess[str]:
        base = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        return subprocess.run(
            [*base, "--enable-logging=stderr", *flags, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )

    loaded = shown("--dump-dom")
    assert "CONSOLE" not in loaded.stderr  # where a violated policy or a broken style would be told
    assert loaded.stdout.count("<polyline") >= 3 * 4
    assert 'id="verdict"' in loaded.stdout
    light, dark, paper = (tmp_path / name for name in ("light.png", "dark.png", "review.pdf"))
    shown(f"--screenshot={light}", "--window-size=1200,2400")
    shown(
        f"--screenshot={dark}",
        "--window-size=1200,2400",
        "--force-dark-mode",
        "--blink-settings=preferredColorScheme=0",
    )
    shown(f"--print-to-pdf={paper}")
    assert light.read_bytes() != dark.read_bytes()
    assert paper.read_bytes().startswith(b"%PDF")
