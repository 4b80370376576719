"""Draws stored results: ratios by workload and depth, and latency over time."""

import os
import re

from .results import merge
from .svg import LETTER, Canvas, Linear, Logarithmic

WIDTH = 860
MARGIN = 16
# Pixels from one bar to the next, and of the bar itself.
PITCH, THICK = 17, 14
PANEL = 170
# The tables that are drawn: their titles, the meaning of their ratios, and whether the inverse of the bar is a lower
# bound too.
RATIOS = {
    "operations": ("Server CPU time per operation, {subject} / {peer}",
                   "1.0: as much as {peer}; shorter is better", False),
    "types": ("Server CPU time of other types, messages and scripts, {subject} / {peer}",
              "1.0: as much as {peer}; shorter is better", False),
    "items": ("Server CPU time of items in {subject} / of like data in {peer}",
              "1.0: as much as {peer}; shorter is better", False),
    "linearity": ("Server CPU time, all items in one collection / each in its own",
                  "1.0: as much in either; nearer is better", True),
}
WORK = {
    "checkpoint": "a checkpoint is written",
    "indexing": "an index is filled",
    "expiry": "keys expire",
}
# The columns of a time bucket that are drawn, with their styles.
CURVES = [("p50_ms", "p50", "p50"), ("p99_ms", "p99", "p99"), ("max_ms", "max", "longest")]


def draw(runs, folder):
    """Draws the results of some runs, as far as there are pictures for them; returns the pictures' paths."""
    tables, timelines = merge(runs)
    pictures = {}
    for name in RATIOS:
        found = [table for table in tables if table["name"] == name and bars([table])]
        if found:
            pictures[name] = ratios(name, found)
    for kind in WORK:
        if kind in timelines:
            pictures[f"{kind}-over-time"] = over_time(kind, timelines[kind])
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, text in pictures.items():
        paths.append(os.path.join(folder, f"{name}.svg"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(text)
    return paths


class Bar:
    """One bar of a chart of ratios."""

    def __init__(self, table, row):
        # Columns of one name are the subject's first, then those of the first peer.
        cells = dict(reversed(list(zip(table["columns"], row))))
        beside = next((cells[name] for name in cells if name.startswith("beside")), "")
        self.group = row[0] + (f" / {beside}" if beside else "")
        if table["name"] == "operations" and table["log"] != "none":
            self.group += f", {table['log']}"
        self.depth = cells.get("pipeline", "")
        self.ratio = float(cells["ratio of minima"])
        limit = float(cells.get("bar") or 0)
        self.limits = [limit, 1 / limit] if limit and RATIOS[table["name"]][2] else [limit] if limit else []
        self.missed = cells.get("verdict") == "MISSED"

    def __str__(self):
        return f"{self.group}{f' at pipeline {self.depth}' if self.depth else ''}: {self.ratio:.2f}"


def bars(found):
    """{group: bars} of some tables, a bar for each row that has a ratio."""
    groups = {}
    for table in found:
        if "ratio of minima" not in table["columns"]:
            continue
        at = table["columns"].index("ratio of minima")
        for bar in [Bar(table, row) for row in table["rows"] if row[at]]:
            groups.setdefault(bar.group, []).append(bar)
    return groups


def names(table):
    """The names of the servers that a table compares."""
    found = [re.fullmatch("beside, in (.+)|(.+) min", column) for column in table["columns"]]
    found = [match[1] or match[2] for match in found if match]
    return {"subject": found[0], "peer": found[1]}


def ratios(name, found):
    """Horizontal bars in groups, a line at the ratio 1, and a mark at the project's own limit."""
    groups = bars(found)
    drawn = [bar for group in groups.values() for bar in group]
    depths = list(dict.fromkeys(bar.depth for bar in drawn))
    title, how, _ = (part.format(**names(found[0])) if isinstance(part, str) else part for part in RATIOS[name])
    depth_width = 26 if depths != [""] else 0
    left = MARGIN + LETTER * max(map(len, groups)) + 12 + depth_width
    top, gap = 84, 9
    foot = top + sum(len(group) * PITCH + gap for group in groups.values())
    canvas = Canvas(WIDTH, foot + 50, title, "; ".join(map(str, drawn)))
    canvas.text(MARGIN, 26, title, "title")
    canvas.text(MARGIN, 44, source(found), "small")
    legend(canvas, depths)
    scale = Linear(max([1.0, *(bar.ratio for bar in drawn), *(max(bar.limits, default=0) for bar in drawn)]) * 1.04,
                   left, WIDTH - 60)
    for value, text in scale.ticks():
        canvas.line(scale.at(value), top, scale.at(value), foot, "grid")
        canvas.text(scale.at(value), foot + 16, text, "small", "middle")
    placed = []
    y = top + gap / 2
    for group, members in groups.items():
        canvas.text(left - 12 - depth_width, y + len(members) * PITCH / 2 + 4, group, anchor="end")
        for bar in members:
            look = f"fill{min(depths.index(bar.depth), 2) if len(depths) > 1 else 1}"
            canvas.box(left, y + 1, scale.at(bar.ratio) - left, THICK, look, str(bar))
            if bar.depth:
                canvas.text(left - 5, y + 12, bar.depth, "small", "end")
            placed.append((bar, y))
            y += PITCH
        y += gap
    canvas.line(left, top, left, foot, "axis")
    canvas.line(scale.at(1), top - 4, scale.at(1), foot, "one")
    for bar, y in placed:
        figure(canvas, scale, bar, y)
    canvas.text((left + WIDTH - 60) / 2, foot + 36, f"ratio of minima ({how})", anchor="middle")
    return canvas.render()


def figure(canvas, scale, bar, y):
    """The marks of a bar's limits, and its figure after its end, or after the marks if it would cover one."""
    x = scale.at(bar.ratio) + 5
    for limit in bar.limits:
        canvas.line(scale.at(limit), y, scale.at(limit), y + PITCH - 1, "bar")
    for mark in sorted(map(scale.at, [1.0, *bar.limits])):
        if x - 4 < mark < x + 30:
            x = mark + 5
    canvas.text(x, y + 12, f"{bar.ratio:.2f}", "strong" if bar.missed else None)


def legend(canvas, depths):
    """The legend of shades and marks."""
    x = MARGIN
    if len(depths) > 1:
        canvas.text(x, 66, "pipeline")
        x += 56
        for number, depth in enumerate(depths):
            canvas.box(x, 56, 12, 12, f"fill{min(number, 2)}")
            canvas.text(x + 17, 66, depth)
            x += 30 + LETTER * len(depth)
        x += 10
    canvas.line(x + 1, 55, x + 1, 69, "bar")
    canvas.text(x + 8, 66, "the bar that the project holds itself to (bold: missed)")
    x += 350
    canvas.line(x, 62, x + 22, 62, "one")
    canvas.text(x + 28, 66, "both alike")


def over_time(kind, timelines):
    """A panel for each server, with the same axes: latency on a logarithmic scale, the background work shaded."""
    top, between = 92, 40
    height = top + len(timelines) * (PANEL + between) + 14
    title = f"Latency while {WORK[kind]}"
    canvas = Canvas(WIDTH, height, title, "; ".join(summary(timeline) for timeline in timelines))
    canvas.text(MARGIN, 26, title, "title")
    canvas.text(MARGIN, 44, source(timelines), "small")
    x = MARGIN
    for _, look, label in CURVES:
        canvas.line(x, 62, x + 26, 62, look)
        canvas.text(x + 32, 66, label)
        x += 56 + LETTER * len(label)
    length = timelines[0]["bucket_seconds"]
    canvas.text(x, 66, f"of the requests of each {length:g} s; shaded: while {WORK[kind]}", "small")
    left, right = 66, WIDTH - 20
    buckets = [bucket for timeline in timelines for bucket in timeline["buckets"]]
    first = min(bucket["at"] for bucket in buckets)
    last = max(bucket["at"] for bucket in buckets) + length
    time = Linear(last - first, left, right)
    time.high = last - first
    low, high = min(bucket["p50_ms"] for bucket in buckets), max(bucket["max_ms"] for bucket in buckets)
    for number, timeline in enumerate(timelines):
        foot = top + number * (PANEL + between) + PANEL
        panel(canvas, timeline, time, first, Logarithmic(max(low, 0.001), high, foot, foot - PANEL))
    canvas.text((left + right) / 2, height - 10, "seconds from its beginning", anchor="middle")
    return canvas.render()


def panel(canvas, timeline, time, first, latency):
    """One server's latencies."""
    foot, head = latency.start, latency.end
    begin, end = time.at(max(timeline["begins"] - first, 0)), time.at(min(timeline["ends"] - first, time.high))
    canvas.box(begin, head, end - begin, foot - head, "span", summary(timeline))
    for value, text in latency.ticks():
        canvas.line(time.start, latency.at(value), time.end, latency.at(value), "grid")
        canvas.text(time.start - 6, latency.at(value) + 4, text, "small", "end")
    # The ticks are whole steps from the beginning of the work, which is within the axis.
    number = -int(-first // time.step)
    while number * time.step <= first + time.high:
        x = time.at(number * time.step - first)
        canvas.line(x, foot, x, foot + 4, "axis")
        canvas.text(x, foot + 16, f"{number * time.step:.4g}", "small", "middle")
        number += 1
    canvas.line(time.start, foot, time.end, foot, "axis")
    canvas.line(time.start, head, time.start, foot, "axis")
    canvas.text(time.start, head - 6, timeline["server"], "strong")
    canvas.text(time.end, head - 6, timeline["what"], "small", "end")
    canvas.vertical_text(22, (head + foot) / 2, "milliseconds")
    half = timeline["bucket_seconds"] / 2
    for column, look, _ in reversed(CURVES):
        canvas.curve([(time.at(bucket["at"] + half - first), latency.at(bucket[column]))
                      for bucket in timeline["buckets"]], look)


def summary(timeline):
    """A timeline in words, for readers who cannot see the picture."""
    longest = max(bucket["max_ms"] for bucket in timeline["buckets"])
    return (f"{timeline['server']}: {timeline['work']} took {timeline['ends']:.1f} s, "
            f"the longest latency was {longest:.2f} ms")


def source(drawn):
    """The machine, servers and time of the figures of tables or timelines."""
    measured = dict.fromkeys(entry["measured"] for entry in drawn)
    versions = {}
    for entry in drawn:
        for name, version in entry["servers"].items():
            number = re.search(r"\d+(\.\d+)+", version)
            versions[f"{name} {number[0]}" if number else name] = None
    return f"{'; '.join(measured)}. {', '.join(versions)}"
