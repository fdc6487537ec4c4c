"""Stacked bars for people to paste: one list of shapes, written as SVG (by hand) and as PNG (by Pillow)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

WIDTH, LEFT, RIGHT, TOP = 1000, 150, 130, 90
BAR, GAP, LEGEND, FOOT_LINE = 34, 20, 60, 20
SCALE = 2  # pixels of the PNG for one unit, for sharp text on today's screens
INK, FAINT, PAPER = "#1d2733", "#5b6773", "#ffffff"
# Okabe and Ito's colours, which colour-blind readers can tell apart; grey as the eighth.
COLOURS = ("#0072b2", "#56b4e9", "#999999", "#cc79a7", "#d55e00", "#009e73", "#f0e442", "#e69f00")


@dataclass(frozen=True)
class Bar:
    """One bar: its label, part -> amount, and the text at its end. Without parts the text alone."""

    label: str
    parts: Mapping[str, Decimal]
    end: str


@dataclass(frozen=True)
class Shape:
    """A rectangle (`text` is "") or a text whose baseline starts or ends (`anchor`) at x, y. Units of the SVG."""

    x: float
    y: float
    width: float = 0
    height: float = 0
    colour: str = INK
    text: str = ""
    size: int = 15
    anchor: str = "start"


def shapes(title: str, subtitle: str, bars: Sequence[Bar], foot: Sequence[str]) -> tuple[int, list[Shape]]:
    """Height of the drawing and what is on it; bars share one scale that starts at nothing."""
    names = dict.fromkeys(name for bar in bars for name in bar.parts)
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    parts = [name for name in names if any(bar.parts.get(name, 0) for bar in bars)]
    longest = max((sum(bar.parts.values(), Decimal(0)) for bar in bars), default=Decimal(0)) or Decimal(1)
    per_unit = (WIDTH - LEFT - RIGHT) / float(longest)
    drawn = [
        Shape(30, 38, text=title, size=22),
        Shape(30, 64, text=subtitle, size=14, colour=FAINT),
    ]
    y = float(TOP)
    for bar in bars:
        drawn.append(Shape(LEFT - 12, y + 23, text=bar.label, anchor="end"))
        x = float(LEFT)
        for name, amount in bar.parts.items():
            if amount:
                width = float(amount) * per_unit
                drawn.append(Shape(x, y, width, BAR, colours[name]))
                x += width
        drawn.append(Shape(x + 8, y + 23, text=bar.end))
        y += BAR + GAP
    x, y = float(LEFT), y + 10
    for name in parts:
        drawn += [Shape(x, y, 14, 14, colours[name]), Shape(x + 20, y + 12, text=name, size=13)]
        x += 36 + 8 * len(name)
    y += LEGEND - 15
    for line in foot:
        drawn.append(Shape(30, y, text=line, size=12, colour=FAINT))
        y += FOOT_LINE
    return int(y + 5), drawn


def svg(height: int, drawn: Sequence[Shape]) -> str:
    """The drawing as an SVG document that needs nothing else."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
    ]
    for shape in drawn:
        if shape.text:
            lines.append(
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" fill="{shape.colour}"'
                f' text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
            )
        else:
            lines.append(
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
                f' fill="{shape.colour}"/>'
            )
    return "\n".join([*lines, "</svg>", ""])


def png(height: int, drawn: Sequence[Shape], path: Path) -> None:
    """Write the same drawing as a PNG of twice the size, with the font that Pillow brings along."""
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(image)
    for shape in drawn:
        x, y = shape.x * SCALE, shape.y * SCALE
        if shape.text:
            font = ImageFont.load_default(size=shape.size * SCALE)
            pen.text((x, y), shape.text, fill=shape.colour, font=font, anchor="rs" if shape.anchor == "end" else "ls")
        else:
            pen.rectangle((x, y, x + shape.width * SCALE, y + shape.height * SCALE), fill=shape.colour)
    image.save(path, optimize=True)


def write(stem: Path, title: str, subtitle: str, bars: Sequence[Bar], foot: Sequence[str]) -> tuple[Path, Path]:
    """Write STEM.svg and STEM.png; the folder must exist (OSError). Returns both paths."""
    height, drawn = shapes(title, subtitle, bars, foot)
    vector, pixels = stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")
    vector.write_text(svg(height, drawn))
    png(height, drawn, pixels)
    return vector, pixels
