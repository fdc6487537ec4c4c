"""The comparison as people get it: table, JSON, CSV, chart; and bad input refused."""

from __future__ import annotations

import csv
import datetime
import io
import json
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from infra import chart, compare_command, compare_export, compare_guide, compare_report

DAY = datetime.date(2026, 6, 1)


@pytest.fixture(scope="module")
def made() -> compare_report.Comparison:
    return compare_report.make(500_000, 10, False, DAY, 90)


def test_the_csv_adds_up_to_the_json(made: compare_report.Comparison) -> None:
    data = compare_export.as_json(made)
    rows = list(csv.DictReader(io.StringIO(compare_export.as_csv(made))))
    for cloud in data["clouds"]:
        mine = [row for row in rows if row["cloud"] == cloud["cloud"]]
        for row in mine:
            exact = Decimal(row["quantity"]) * Decimal(row["each"])
            assert abs(exact - Decimal(row["total"])) <= Decimal("0.005")
            assert row["as_of"] in {source["as_of"] for source in cloud["sources"]}
            assert row["currency"] == cloud["currency"]
        total = sum(Decimal(row["total"]) for row in mine)
        assert float(total) == cloud["total"] == pytest.approx(sum(cloud["parts"].values()))
        per_eur = data["rate"]["usd_per_eur"] if cloud["currency"] == "USD" else 1
        assert cloud["total_eur"] == pytest.approx(cloud["total"] / per_eur, abs=0.005)


def test_growth_ends_without_a_price(made: compare_report.Comparison) -> None:
    first, *_, last = compare_export.as_json(made)["growth_eur"]
    assert (first["conversations"], last["conversations"]) == (10_000, 10_000_000)
    assert last["hetzner"] is None
    shown = compare_report.text(made)
    line = next(line for line in shown.splitlines() if line.startswith("10,000,000"))
    assert line.count("needs partitioning") == 3
    assert "538.63*" in shown  # a node above the guide's 16-32 GB


def test_the_guide_beside_the_list_prices(made: compare_report.Comparison) -> None:
    found = {row["cloud"]: row for row in compare_export.as_json(made)["guide"]}
    assert {name: row["cost"] for name, row in found.items()} == {
        **{"hetzner": 7, "digitalocean": 48, "linode": 36},
        **{"aws": 76, "gcp": 68},
    }
    assert {name: row["listed"] for name, row in found.items()} == {
        **{"hetzner": 11.07, "digitalocean": 48, "linode": 48},  # 6.49 + 80 x 0.0572
        **{"aws": 68.74, "gcp": 58.91},  # 60.74 + 8, 48.91 + 10
    }
    assert found["linode"]["difference_usd"] == 12
    assert found["hetzner"]["difference_usd"] == pytest.approx(11.07 * 1.1637 - 7, abs=0.005)
    assert found["digitalocean"]["difference_usd"] == 0


@pytest.mark.parametrize(
    ("conversations", "linode"),
    [(50_000, "no better: digitalocean"), (100_000, "not confirmed: digitalocean"), (500_000, "confirmed: ")],
)
def test_the_guides_recommendation_is_checked(conversations: int, linode: str) -> None:
    here = compare_report.make(conversations, 10, False, DAY, 90)
    said = compare_guide.verdict(here.quotes, here.rate)
    assert said["hetzner"].startswith("confirmed: ")
    assert said["hetzner"].endswith("(with its prices from before 2026-06-15)")
    assert said["linode"].startswith(linode)
    unpriced = compare_report.make(50_000, 10, True, DAY, 90)
    assert compare_guide.verdict(unpriced.quotes, unpriced.rate)["hetzner"] == "not confirmed: no price"


def test_the_command_writes_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {
        **{"CONVERSATIONS": "50,000", "JSON": "1"},
        **{"CSV": str(tmp_path / "costs.csv"), "CHART": str(tmp_path / "costs.v1")},
    }
    assert compare_command.main(asked, DAY) == 0
    out = capsys.readouterr().out
    assert out.startswith("50,000 conversations of 10 messages on a single server: cost a month\nwithout VAT;")
    data = json.loads(out.splitlines()[-1])
    assert {row["cloud"]: row["total"] for row in data["clouds"]} == {
        **{"hetzner": 10.05, "digitalocean": 30.0, "linode": 30.0},
        **{"aws": 33.59, "gcp": 32.39},
    }
    assert (tmp_path / "costs.csv").read_text().startswith("cloud,region,")
    drawing = ElementTree.parse(tmp_path / "costs.v1.svg").getroot()  # noqa: S314 - written by the line above
    words = [element.text or "" for element in drawing.iter() if element.tag.endswith("text")]
    assert {"Hetzner", "10.05 EUR", "25.78 EUR", "server", "bucket"} <= set(words)
    assert any("new orders cost more since 2026-06-15" in line for line in words)
    with Image.open(tmp_path / "costs.v1.png") as image:
        assert image.size == (int(drawing.attrib["width"]) * 2, int(drawing.attrib["height"]) * 2)
        colours = {colour for _, colour in image.getcolors(1 << 24) or []}
    assert {(0x00, 0x72, 0xB2), (0x56, 0xB4, 0xE9), (0xFF, 0xFF, 0xFF)} <= colours


def test_without_prices_there_is_still_a_chart(tmp_path: Path) -> None:
    assert compare_command.main({"CONVERSATIONS": "90000000", "CHART": str(tmp_path / "none")}, DAY) == 0
    assert (tmp_path / "none.svg").read_text().count("needs partitioning") == 5


def test_bars_are_as_long_as_their_amounts() -> None:
    bars = [chart.Bar("a", {"x": Decimal(30), "y": Decimal(10)}, ""), chart.Bar("b & <c>", {"x": Decimal(20)}, "")]
    height, drawn = chart.shapes("t", "s", bars, [])
    widths = [shape.width for shape in drawn if shape.height == chart.BAR]
    assert widths[0] == pytest.approx(3 * widths[1])
    assert widths[2] == pytest.approx(2 * widths[1])
    assert "b &amp; &lt;c&gt;" in chart.svg(height, drawn)


@pytest.mark.parametrize(
    ("key", "value"),
    [("CONVERSATIONS", "many"), ("CONVERSATIONS", "0"), ("MESSAGES", "1001"), ("DATABASE", "oracle")],
)
def test_bad_input_is_refused_with_key_and_value(key: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_command.main({key: value}, DAY) == 2
    shown = capsys.readouterr()
    assert f"costs: {key}={value}: give " in shown.err
    assert shown.out == ""


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_command.main({"CSV": str(tmp_path / "missing" / "c.csv")}, DAY) == 2
    assert "missing/c.csv" in capsys.readouterr().err
