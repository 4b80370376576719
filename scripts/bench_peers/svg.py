"""A small canvas for charts: the elements of SVG that they need, their colours, and scales."""

import math
import xml.etree.ElementTree as xml

# The colours are Okabe and Ito's, which people with any kind of colour blindness can tell apart. A picture has its own
# background, so that it can be read on a page whose mode differs from that of the reader's system.
STYLE = """
text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.strong { font-weight: 600 }
.ground { fill: #ffffff }
.grid { stroke: #d8dee4 }
.axis { stroke: #59636e }
.one { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 5 3 }
.bar { stroke: #d55e00; stroke-width: 3 }
.fill0 { fill: #8cc8f0 }
.fill1 { fill: #2f8fcb }
.fill2 { fill: #00588c }
.span { fill: #8c959f; fill-opacity: 0.18 }
.p50, .p99, .max { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.p50 { stroke: #0072b2 }
.p99 { stroke: #009e73; stroke-dasharray: 6 2 }
.max { stroke: #d55e00; stroke-dasharray: 2 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.small { fill: #9aa4af }
.ground { fill: #0d1117 }
.grid { stroke: #2b323b }
.axis { stroke: #9aa4af }
.one { stroke: #e6edf3 }
.bar { stroke: #ff8f4d }
.fill0 { fill: #b5dcf5 }
.fill1 { fill: #56b4e9 }
.fill2 { fill: #1f7ab8 }
.p50 { stroke: #56b4e9 }
.p99 { stroke: #35c79b }
.max { stroke: #ff8f4d }
}
"""
# The mean width of a letter of the text above, in pixels.
LETTER = 6.6


class Canvas:
    """A picture that is being drawn; styles are the classes of STYLE."""

    def __init__(self, width, height, title, description):
        self.width = width
        self.root = xml.Element("svg", {
            "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {short(width)} {short(height)}",
            "width": short(width), "height": short(height), "role": "img"})
        xml.SubElement(self.root, "title").text = title
        xml.SubElement(self.root, "desc").text = description
        xml.SubElement(self.root, "style").text = STYLE
        self.box(0, 0, width, height, "ground")

    def box(self, x, y, width, height, look, tip=None):
        """A filled rectangle; a reader who points at it sees `tip`."""
        element = self._add("rect", look, x=x, y=y, width=width, height=height)
        if tip:
            xml.SubElement(element, "title").text = tip

    def line(self, x1, y1, x2, y2, look):
        """A straight line."""
        self._add("line", look, x1=x1, y1=y1, x2=x2, y2=y2)

    def curve(self, points, look):
        """A line through all points."""
        self._add("polyline", look, points=" ".join(f"{short(x)},{short(y)}" for x, y in points))

    def text(self, x, y, text, look=None, anchor="start"):
        """A line of text whose base is at `y`; `anchor` is start, middle or end."""
        self._add("text", look, x=x, y=y, **({} if anchor == "start" else {"text-anchor": anchor})).text = text

    def vertical_text(self, x, y, text, look=None):
        """A line of text that runs upwards, its middle at `y`."""
        element = self._add("text", look, **{"text-anchor": "middle"})
        element.set("transform", f"translate({short(x)} {short(y)}) rotate(-90)")
        element.text = text

    def render(self):
        """The whole file."""
        xml.indent(self.root, space=" ")
        return xml.tostring(self.root, encoding="unicode") + "\n"

    def _add(self, name, look, **attributes):
        values = {key: value if isinstance(value, str) else short(value) for key, value in attributes.items()}
        return xml.SubElement(self.root, name, {**({"class": look} if look else {}), **values})


class Linear:
    """Maps 0 to `high`, rounded up to a tick, to pixels."""

    def __init__(self, high, start, end):
        raw = high / 6
        magnitude = 10 ** math.floor(math.log10(raw))
        self.step = next(step * magnitude for step in [1, 2, 2.5, 5, 10] if step * magnitude >= raw * 0.999)
        self.count = math.ceil(high / self.step - 1e-9)
        self.high, self.start, self.end = self.count * self.step, start, end

    def at(self, value):
        """The pixel of a value."""
        return self.start + value / self.high * (self.end - self.start)

    def ticks(self):
        """(value, its text) of each tick."""
        return [(number * self.step, f"{number * self.step:.4g}") for number in range(self.count + 1)]


class Logarithmic:
    """Maps the powers of ten around `low` to `high` to pixels."""

    def __init__(self, low, high, start, end):
        self.first = math.floor(math.log10(low) + 1e-9)
        self.last = max(math.ceil(math.log10(high) - 1e-9), self.first + 1)
        self.start, self.end = start, end

    def at(self, value):
        """The pixel of a value; a value below the scale is drawn at its lower end."""
        share = (math.log10(max(value, 10 ** self.first)) - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        """(value, its text) of each tick."""
        return [(10.0 ** power, f"{10.0 ** power:g}") for power in range(self.first, self.last + 1)]


def short(number):
    """A coordinate with at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
