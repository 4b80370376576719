"""The results of a run as data, which is written to a file, read again, and merged with other runs."""

import json

# The version of the file's layout.
FORMAT = 1
PARTS = ["measured", "servers", "tables", "timelines", "measurements"]


def empty():
    """Empty results: time and machine of the measurement, {server: its version}, tables, latencies over time, and
    single measurements."""
    return {"format": FORMAT, "measured": "", "servers": {}, "tables": [], "timelines": [], "measurements": []}


def write(results, path):
    """Writes results to a file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text(results, 4) + "\n")


def read(path):
    """The results in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"{path}: {error}") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT or any(part not in results for part in PARTS):
        raise RuntimeError(f"{path} does not keep results of format {FORMAT}")
    return results


def merge(runs):
    """The tables and the timelines of several runs, each with its run's `measured` and `servers`.

    A table, or a kind of timeline, of a later run replaces that of an earlier one.
    """
    tables, timelines = {}, {}
    for run in runs:
        origin = {"measured": run["measured"], "servers": run["servers"]}
        tables.update({(table["name"], table["log"]): {**table, **origin} for table in run["tables"]})
        kinds = {}
        for timeline in run["timelines"]:
            kinds.setdefault(timeline["kind"], []).append({**timeline, **origin})
        timelines.update(kinds)
    return list(tables.values()), timelines


def text(value, levels, indent=""):
    """JSON with one line for each entry of the outer levels; deeper levels are in one line."""
    if levels == 0 or not value or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + " "
    if isinstance(value, dict):
        entries = [f"{json.dumps(key)}: {text(entry, levels - 1, deeper)}" for key, entry in value.items()]
    else:
        entries = [text(entry, levels - 1, deeper) for entry in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(entries) + f"\n{indent}{closing}"
