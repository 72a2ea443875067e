"""A scatter chart as SVG: accuracy against parameters on a logarithmic axis. No library."""

import dataclasses
import html
import math

WIDTH, HEIGHT = 860, 540
LEFT, RIGHT, TOP, BOTTOM = 84, 32, 74, 74
FONT = "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\""
INK, MUTED, GRID = "#1f2430", "#6b7280", "#e6e8ee"
COLOURS = ("#4477aa", "#aa3377", "#228833", "#cc5533", "#66609f", "#997700")


@dataclasses.dataclass(frozen=True)
class Point:
    label: str
    x: float  # > 0
    y: float
    error: float = None  # half of the error bar; None for none
    samples: tuple = ()  # what y is the mean of


@dataclasses.dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other):
        """Area in common."""
        return (max(0, min(self.right, other.right) - max(self.left, other.left)) *
                max(0, min(self.bottom, other.bottom) - max(self.top, other.top)))


def ticks(low, high, most=7):
    """Round numbers that cover [low, high]; the first is <= low, the last >= high."""
    span = max(high - low, 1e-9)
    unit = 10 ** math.floor(math.log10(span / most))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10, 20) if span / (unit * m) <= most - 1)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def short(number):
    """1234567 as 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"


def text_width(text, size):
    """A bound on the width of a text in pixels, in a font like Helvetica."""
    wide = sum(c in "mwMW%@" for c in text)
    thin = sum(c in "ilj.,:;'|!()[] tfrI" for c in text)
    return size * (0.60 * (len(text) - wide - thin) + 0.92 * wide + 0.36 * thin)


class Scale:
    """Where data stands on the picture."""

    def __init__(self, points):
        values = [v for p in points for v in (p.y - (p.error or 0), p.y + (p.error or 0), *p.samples)]
        pad = max(0.06 * (max(values) - min(values)), 0.002)
        self.y_ticks = ticks(min(values) - pad, max(values) + pad)
        self._low = math.log10(min(p.x for p in points)) - 0.18
        self._high = math.log10(max(p.x for p in points)) + 0.18
        if self._high - self._low < 1:
            middle = (self._low + self._high) / 2
            self._low, self._high = middle - 0.5, middle + 0.5
        self.x_ticks = [m * 10 ** e for e in range(math.floor(self._low), math.ceil(self._high))
                        for m in range(1, 10) if self._low <= math.log10(m * 10 ** e) <= self._high]

    def x(self, value):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - self._low) / (self._high - self._low)

    def y(self, value):
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def spread_out(points, scale, apart=15):
    """Where each point is drawn along x: those that would cover each other's bars are pushed a few pixels apart."""
    places = [scale.x(point.x) for point in points]
    order = sorted(range(len(points)), key=lambda i: (places[i], i))
    for _ in range(20):
        for left, right in zip(order, order[1:]):
            lack = apart - (places[right] - places[left])
            if lack > 0:
                places[left] -= lack / 2
                places[right] += lack / 2
    return [min(max(x, LEFT + 8), WIDTH - RIGHT - 8) for x in places]


def place_labels(points, places, scale, lines):
    """A Box for each point's label of lines[i] = (bold, small): beside its point, clear of all else if it can be.

    places: of spread_out().
    """
    obstacles = []
    for point, x in zip(points, places):
        y, error = scale.y(point.y), point.error or 0
        obstacles.append(Box(x - 9, min(y - 9, scale.y(point.y + error) - 3), x + 9,
                             max(y + 9, scale.y(point.y - error) + 3)))
        obstacles += [Box(x - 4, scale.y(s) - 4, x + 4, scale.y(s) + 4) for s in point.samples]
    frame = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
    boxes = []
    for point, x, (bold, small) in zip(points, places, lines):
        y = scale.y(point.y)
        width, height = max(text_width(bold, 14), text_width(small, 12)) + 4, 34
        top, bottom = y - height / 2, y + height / 2
        candidates = []
        for shift in (0, -14, 14, -28, 28, -44, 44, -60, 60, -80, 80, -110, 110, -140, 140):
            candidates.append((abs(shift), Box(x + 14, top + shift, x + 14 + width, bottom + shift)))
            candidates.append((abs(shift) + 1, Box(x - 14 - width, top + shift, x - 14, bottom + shift)))
            if abs(shift) > 27:
                candidates.append((abs(shift) + 2, Box(x - width / 2, top + shift, x + width / 2, bottom + shift)))

        def cost(candidate):
            distance, box = candidate
            inside = box.overlap(frame) / (width * height)
            return (1000 * (1 - inside) + sum(box.overlap(other) for other in obstacles + boxes)) * 100 + distance

        boxes.append(min(candidates, key=cost)[1])
    return boxes


def draw(points, title, subtitle, x_title, y_title):
    """The chart as SVG text. y is a fraction and shown in percent. Requires at least one point."""
    scale = Scale(points)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
           f'height="{HEIGHT}" role="img" {FONT}>', f"<title>{html.escape(title)}</title>",
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']

    def text(x, y, words, size=12, fill=MUTED, anchor="middle", more=""):
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{more}>'
                   f"{html.escape(words)}</text>")

    def line(x1, y1, x2, y2, stroke, width=1.0, more=""):
        out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
                   f'stroke-width="{width}"{more}/>')

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    text(LEFT, 32, title, 18, INK, "start", ' font-weight="600"')
    text(LEFT, 54, subtitle, 13, MUTED, "start")
    step = scale.y_ticks[1] - scale.y_ticks[0]
    decimals = 0 if abs(step * 100 - round(step * 100)) < 1e-6 else 1 if step >= 0.00099 else 2
    for value in scale.y_ticks:
        line(LEFT, scale.y(value), right, scale.y(value), GRID)
        text(LEFT - 10, scale.y(value) + 4, f"{100 * value:.{decimals}f}", anchor="end")
    for value in scale.x_ticks:
        lead = round(value / 10 ** math.floor(math.log10(value) + 1e-9))
        if lead in (1, 2, 5):
            line(scale.x(value), TOP, scale.x(value), bottom, GRID)
            text(scale.x(value), bottom + 20, short(value))
        line(scale.x(value), bottom, scale.x(value), bottom + (6 if lead == 1 else 4), MUTED)
    line(LEFT, bottom, right, bottom, MUTED)
    text((LEFT + right) / 2, HEIGHT - 22, x_title, 13, INK)
    middle = (TOP + bottom) / 2
    text(26, middle, y_title, 13, INK, more=f' transform="rotate(-90 26 {middle:.1f})"')

    lines = []
    for point in points:
        spread = f" ± {100 * point.error:.1f}" if point.error is not None else ""
        lines.append((point.label, f"{100 * point.y:.1f}{spread} %, {short(point.x)}"))
    places = spread_out(points, scale)
    boxes = place_labels(points, places, scale, lines)
    for i, point in enumerate(points):
        x, y, colour = places[i], scale.y(point.y), COLOURS[i % len(COLOURS)]
        box = boxes[i]
        near_x = min(max(x, box.left), box.right)
        near_y = min(max(y, box.top), box.bottom)
        if math.hypot(near_x - x, near_y - y) > 24:
            line(x, y, near_x, near_y, colour, 0.8, ' stroke-opacity="0.6"')
        if point.error:
            high, low = scale.y(point.y + point.error), scale.y(point.y - point.error)
            for part in ((x, high, x, low), (x - 6, high, x + 6, high), (x - 6, low, x + 6, low)):
                line(*part, colour, 1.6)
        for sample in point.samples:
            out.append(f'<circle cx="{x:.1f}" cy="{scale.y(sample):.1f}" r="2.6" fill="{colour}" fill-opacity="0.45"/>')
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}" stroke="#ffffff" stroke-width="1.5"/>')
    for box, (bold, small), i in zip(boxes, lines, range(len(lines))):
        anchor_x, anchor = box.left + 2, "start"
        if box.right <= places[i]:
            anchor_x, anchor = box.right - 2, "end"
        elif box.left < places[i]:
            anchor_x, anchor = (box.left + box.right) / 2, "middle"
        text(anchor_x, box.top + 14, bold, 14, COLOURS[i % len(COLOURS)], anchor, ' font-weight="600"')
        text(anchor_x, box.top + 30, small, 12, MUTED, anchor)
    out.append("</svg>")
    return "\n".join(out) + "\n"
