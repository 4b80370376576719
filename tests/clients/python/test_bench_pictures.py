"""Tests the results and pictures of scripts/bench-peers, and that docs/benchmarks.md and its pictures agree."""

import os
import re
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from types import SimpleNamespace

import pytest
import redis

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "scripts"))

from bench_peers import pictures, probe, results, timing  # noqa: E402
from bench_peers.report import Report  # noqa: E402
from bench_peers.svg import Linear, Logarithmic  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
KEPT = os.path.join(ROOT, "docs", "benchmarks")
COLUMNS = ["workload", "pipeline", "itemory min", "median", "redis-server min", "median", "ratio of minima",
           "of medians", "bar", "verdict"]


def operations(log="none", rows=()):
    return {"name": "operations", "log": log, "title": "operations", "columns": COLUMNS, "rows": list(rows)}


def row(workload, pipeline, ratio, bar="", verdict=""):
    return [workload, pipeline, "1.000", "1.000", "2.000", "2.000", ratio, "0.50", bar, verdict]


def timeline(server, buckets, kind="checkpoint", ends=0.5):
    return {"kind": kind, "server": server, "what": "SET", "work": "BGSAVE", "bucket_seconds": 0.25, "begins": 0.0,
            "ends": ends, "buckets": [{"at": at, "count": 9, "p50_ms": p50, "p99_ms": p99, "max_ms": longest}
                                      for at, p50, p99, longest in buckets]}


def run(tables=(), timelines=(), measured="Measured once", servers=None):
    return {**results.empty(), "measured": measured, "tables": list(tables), "timelines": list(timelines),
            "servers": servers or {"itemory": "Itemory server v=0.1.0", "redis-server": "Redis server v=7.0.15 sha=0"}}


def drawn(kept, folder):
    """{name: its root element}."""
    return {os.path.basename(path): xml.parse(path).getroot() for path in pictures.draw([kept], str(folder))}


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def looks(root, name, look):
    return [element for element in root.iter(SVG + name) if element.get("class") == look]


def test_a_bar_is_as_long_as_its_ratio(tmp_path):
    rows = [row("get", "1", "0.93", "0.92", "MISSED"), row("get", "16", "0.40", "0.40", "met"), row("set", "1", "1.25")]
    root = drawn(run([operations(rows=rows)]), tmp_path)["operations.svg"]
    one = float(looks(root, "line", "one")[-1].get("x1"))
    # The first of each shade is the legend's.
    boxes = looks(root, "rect", "fill0")[1:] + looks(root, "rect", "fill1")[1:]
    start = float(boxes[0].get("x"))
    widths = {box.find(f"{SVG}title").text: float(box.get("width")) / (one - start) for box in boxes}
    assert widths == {"get at pipeline 1: 0.93": pytest.approx(0.93, abs=0.002),
                      "get at pipeline 16: 0.40": pytest.approx(0.40, abs=0.002),
                      "set at pipeline 1: 1.25": pytest.approx(1.25, abs=0.002)}
    marks = [(float(mark.get("x1")) - start) / (one - start) for mark in looks(root, "line", "bar")[1:]]
    assert marks == [pytest.approx(0.92, abs=0.002), pytest.approx(0.40, abs=0.002)]
    assert [text.text for text in looks(root, "text", "strong")] == ["0.93"]


def test_figures_do_not_lie_on_marks(tmp_path):
    rows = [row("get", "1", f"0.{ratio:02}", "0.92") for ratio in range(70, 100)]
    root = drawn(run([operations(rows=rows)]), tmp_path)["operations.svg"]
    # The first of each is the legend's.
    marks = [float(line.get("x1")) for look in ["bar", "one"] for line in looks(root, "line", look)[1:]]
    figures = [float(text.get("x")) for text in root.iter(f"{SVG}text") if re.fullmatch(r"0\.\d\d", text.text)
               and text.get("class") is None]
    assert len(figures) == len(rows)
    assert not [(x, mark) for x in figures for mark in marks if x - 2 < mark < x + 26]


def test_logs_and_peers_are_told_apart(tmp_path):
    tables = [operations(rows=[row("set", "1", "0.90")]), operations("always", [row("set", "1", "0.70")])]
    words = texts(drawn(run(tables), tmp_path)["operations.svg"])
    assert "set" in words and "set, always" in words
    assert "Server CPU time per operation, itemory / redis-server" in words
    assert "Measured once. itemory 0.1.0, redis-server 7.0.15" in words


def test_items_are_named_with_what_they_stand_beside(tmp_path):
    columns = ["items", "pipeline", "itemory min", "median", "beside, in redis-server", "min", "median",
               "ratio of minima", "of medians", "bar", "verdict"]
    alone = ["item-query-10", "1", "9.0", "9.1", "", "", "", "", "", "", ""]
    table = {"name": "items", "log": "none", "title": "items", "columns": columns,
             "rows": [["item-get", "1", "6.0", "6.1", "hgetall", "6.5", "6.6", "0.92", "0.92", "1.00", "met"], alone]}
    words = texts(drawn(run([table]), tmp_path)["items.svg"])
    assert "item-get / hgetall" in words
    assert not any("item-query-10" in word for word in words)
    assert drawn(run([{**table, "rows": [alone]}]), tmp_path) == {}, "nothing to compare"


def test_linearity_has_a_bar_on_both_sides(tmp_path):
    columns = ["operation", "one, min", "median", "many, min", "median", "ratio of minima", "bar", "verdict"]
    table = {"name": "linearity", "log": "none", "title": "linearity", "columns": columns,
             "rows": [["get", "4.4", "4.9", "2.4", "3.6", "1.78", "3.0", "met"]]}
    root = drawn(run([table]), tmp_path)["linearity.svg"]
    start, one = (float(looks(root, "line", look)[-1].get("x1")) for look in ["axis", "one"])
    marks = [(float(mark.get("x1")) - start) / (one - start) for mark in looks(root, "line", "bar")[1:]]
    assert marks == [pytest.approx(3, abs=0.01), pytest.approx(1 / 3, abs=0.01)]


def test_latency_over_time_has_a_panel_for_each_server_on_one_scale(tmp_path):
    ours = timeline("itemory", [(-0.25, 0.05, 0.2, 1.0), (0.0, 0.1, 0.4, 10.0)], ends=0.25)
    theirs = timeline("redis-server", [(-0.25, 0.05, 0.2, 1.0), (0.0, 0.1, 400.0, 1000.0), (0.25, 0.1, 0.3, 1.0)])
    root = drawn(run(timelines=[ours, theirs]), tmp_path)["checkpoint-over-time.svg"]
    assert texts(root).count("milliseconds") == 2
    spans = [float(span.get("width")) for span in looks(root, "rect", "span")]
    assert spans[1] == pytest.approx(2 * spans[0], abs=0.2)
    mine, other = looks(root, "polyline", "max")
    heights = [[float(point.split(",")[1]) for point in curve.get("points").split()] for curve in (mine, other)]
    # A millisecond, ten and a thousand: all powers of ten have the same height.
    decade = heights[0][0] - heights[0][1]
    assert decade > 10
    assert heights[1][0] - heights[1][1] == pytest.approx(3 * decade, abs=0.5)
    assert "redis-server: BGSAVE took 0.5 s, the longest latency was 1000.00 ms" in root.find(f"{SVG}desc").text


def test_what_is_drawn_twice_is_the_same_and_small(tmp_path):
    long = [(at / 4, 0.05 + at % 7 / 100, 0.2 + at % 5, 3.0 + at % 11) for at in range(-8, 300)]
    kept = run([operations(rows=[row(f"workload-{number}", "1", "0.50", "0.92", "met") for number in range(30)])],
               [timeline("itemory", long), timeline("redis-server", long)])
    first = [open(path, encoding="utf-8").read() for path in pictures.draw([kept], str(tmp_path / "a"))]
    second = [open(path, encoding="utf-8").read() for path in pictures.draw([kept], str(tmp_path / "b"))]
    assert len(first) == 2 and first == second
    assert max(map(len, first)) < 60_000
    assert all("prefers-color-scheme: dark" in text for text in first)


def test_names_cannot_break_a_picture(tmp_path):
    rows = [row("<get> & \"more\"", "1", "0.50")]
    root = drawn(run([operations(rows=rows)], servers={"a<b": "v"}), tmp_path)["operations.svg"]
    assert '<get> & "more"' in texts(root)


def test_results_come_back_as_they_were_kept(tmp_path):
    kept = run([operations(rows=[row("get", "1", "0.93")])], [timeline("itemory", [(0.0, 0.1, 0.2, 0.3)])])
    kept["measurements"] = [{"kind": "operations", "server": "itemory", "during": None, "p50_us": 1.5}]
    path = str(tmp_path / "kept.json")
    results.write(kept, path)
    assert results.read(path) == kept
    results.write(results.read(path), str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_text() == (tmp_path / "kept.json").read_text()


@pytest.mark.parametrize("text", ["[]", "{}", "not JSON", '{"format": 2}', '{"format": 1}'])
def test_what_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "kept.json"
    path.write_text(text)
    with pytest.raises(RuntimeError, match="kept.json"):
        results.read(str(path))


def test_a_later_run_replaces_what_it_measured_again():
    old = run([operations(rows=[row("get", "1", "0.9")]), operations("always", [row("set", "1", "0.8")])],
              [timeline("itemory", []), timeline("redis-server", []), timeline("itemory", [], kind="expiry")], "first")
    new = run([operations(rows=[row("get", "1", "0.5")])], [timeline("itemory", [], ends=9.0)], "second")
    tables, timelines = results.merge([old, new])
    assert [(table["log"], table["rows"][0][6], table["measured"]) for table in tables] == \
        [("none", "0.5", "second"), ("always", "0.8", "first")]
    assert {kind: [(line["server"], line["ends"], line["measured"]) for line in lines] for kind, lines in timelines.items()} == \
        {"checkpoint": [("itemory", 9.0, "second")], "expiry": [("itemory", 0.5, "first")]}


def test_a_run_keeps_its_tables_and_draws_them(tmp_path, capsys):
    args = SimpleNamespace(log="none", json=str(tmp_path / "kept.json"), draw=str(tmp_path / "drawn"), markdown=None)
    programs = [SimpleNamespace(name=name, is_itemory=name == "itemory", version=lambda: "v 1.2")
                for name in ["itemory", "redis-server"]]
    report = Report(args, programs)
    assert report.watches
    cells = ["get", 1, "1.0", "1.0", "2.0", "2.0", "0.50", "0.50", "0.92", "met"]
    report.table("operations", COLUMNS, [cells], name="operations")
    report.keep("operations", "itemory", {"p50_us": 3.0}, round=0)
    report.over_time(timeline("itemory", [(0.0, 0.1, 0.2, 0.3), (0.25, 0.1, 0.2, 0.3)]))
    report.write()
    kept = results.read(args.json)
    assert kept["tables"][0]["rows"] == [[str(cell) for cell in cells]]
    assert kept["measurements"] == [{"kind": "operations", "server": "itemory", "round": 0, "p50_us": 3.0}]
    assert sorted(os.listdir(args.draw)) == ["checkpoint-over-time.svg", "operations.svg"]
    again = tmp_path / "again"
    bench("--draw", str(again), "--from", args.json)
    for name in os.listdir(args.draw):
        assert (again / name).read_text() == (tmp_path / "drawn" / name).read_text()
    assert "| get | 1 | 1.0 |" in capsys.readouterr().out


def test_scales_hold_all_that_is_drawn():
    scale = Linear(1.07, 100, 400)
    assert scale.high >= 1.07 and scale.at(0) == 100 and scale.at(scale.high) == pytest.approx(400)
    assert [text for _, text in Linear(1.0, 0, 1).ticks()] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    latency = Logarithmic(0.05, 800, 300, 100)
    assert [text for _, text in latency.ticks()] == ["0.01", "0.1", "1", "10", "100", "1000"]
    assert latency.at(0.01) == 300 and latency.at(1000) == pytest.approx(100) and latency.at(0.0001) == 300


def test_samples_are_counted_in_the_bucket_in_which_they_were_sent():
    samples = [(10 + number / 1000, 1.0) for number in range(2000)]
    samples[600] = (samples[600][0], 700.0)
    samples[601] = (samples[601][0], 650.0)
    found = {bucket["at"]: bucket for bucket in probe.buckets(samples, 10.5, 0.25)}
    assert list(found) == [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0], "the first and the last bucket are left out"
    assert found[0.0] == {"at": 0.0, "count": 250, "p50_ms": 1.0, "p99_ms": 1.0, "max_ms": 700.0}
    assert found[0.25]["max_ms"] == 1.0


@pytest.mark.parametrize("reply", [b"+OK\r\n", b":7\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\na\r\nb\r\n", b"*0\r\n",
                                   b"*-1\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n"])
def test_a_reply_ends_where_it_ends(reply):
    assert probe.end_of_reply(reply + b"+more\r\n") == len(reply)
    assert [cut for cut in range(len(reply)) if probe.end_of_reply(reply[:cut]) is not None] == []


@pytest.mark.parametrize("workload", probe.REQUESTS)
def test_the_probe_knows_the_replies_of_the_load(server, workload):
    client = redis.Redis(port=server.port)
    client.set("key:000000000000", "v" * 64)
    client.execute_command("TABLE.CREATE", "bench", "PK", "id", "S")
    fields = [word for number in range(5) for word in (f"field{number}", "v" * 10)]
    client.execute_command("ITEM.PUT", "bench", "item:00000000000", "SET", 5, *fields)
    with probing(server.port, workload) as watching:
        wait_until(lambda: workload.replace("-", ".") in {other["cmd"] for other in client.client_list()})
    assert watching.samples
    assert all(latency > 0 for _, latency in watching.samples)


def test_the_probe_goes_on_asking_while_nothing_is_answered():
    length = len(probe.packed(["GET", "key:000000000000"]))
    with socket.create_server(("127.0.0.1", 0)) as listener, probing(listener.getsockname()[1], "get") as watching:
        connection, _ = listener.accept()
        with connection:
            received = 0
            while received < 50 * length:
                received += len(connection.recv(1 << 16))
            connection.sendall((received // length) * reply_of_64())
            answered = received // length
            watching.stop()
            while data := connection.recv(1 << 16):
                received += len(data)
                connection.sendall((received // length - answered) * reply_of_64())
                answered = received // length
    sent = [at for at, _ in watching.samples]
    assert len(sent) == answered >= 50
    assert sent == sorted(sent)
    # The first fifty requests were answered together, so the first of them waited longest.
    assert watching.samples[0][1] > watching.samples[49][1]


def reply_of_64():
    return b"$64\r\n" + b"v" * 64 + b"\r\n"


def test_the_probe_sees_what_is_before_the_work_and_behind_it(server):
    client = redis.Redis(port=server.port)
    client.set("key:000000000000", "v" * 64)
    kept, runs = [], []

    def load(_, workload, **options):
        runs.append(options.get("during", workload))
        asked = client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
        wait_until(lambda: client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"] >= asked + 600)
        return {"seconds": 0.1}

    core = str(min(os.sched_getaffinity(0)))
    beside = SimpleNamespace(port=server.port, name="itemory")
    timing.over_time(SimpleNamespace(client_cores=core, value_size=64), SimpleNamespace(run=load), beside,
                     SimpleNamespace(over_time=kept.append), "checkpoint", "get", {"keys": 1}, "GET", "BGSAVE",
                     lambda: load(beside, "get", during="BGSAVE"))
    assert runs == ["get", "BGSAVE", "get"]
    assert (kept[0]["kind"], kept[0]["server"], kept[0]["work"]) == ("checkpoint", "itemory", "BGSAVE")
    assert (kept[0]["begins"], kept[0]["ends"]) == (0, 0.1)
    assert sum(bucket["count"] for bucket in kept[0]["buckets"]) > 0


def test_a_probe_whose_key_is_missing_fails(server):
    with pytest.raises(RuntimeError, match="the server answered"):
        with probing(server.port, "get") as watching:
            watching.process.wait(timeout=60)


def probing(port, workload):
    core = str(min(os.sched_getaffinity(0)))
    return probe.Probe(SimpleNamespace(port=port, name="the server"), core, workload, 1, 64)


def wait_until(condition):
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def bench(*arguments):
    return subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "bench-peers"), *arguments], check=True,
                          capture_output=True, text=True, timeout=60)


def kept_files():
    return sorted(os.path.join(KEPT, name) for name in os.listdir(KEPT) if name.endswith(".json"))


def page():
    with open(os.path.join(ROOT, "docs", "benchmarks.md"), encoding="utf-8") as file:
        return file.read()


def test_the_page_has_the_figures_that_its_pictures_are_drawn_from():
    text = page()
    assert kept_files()
    for table in results.merge(map(results.read, kept_files()))[0]:
        lines = ["| " + " | ".join(cells) + " |" for cells in table["rows"]]
        for line in ["| " + " | ".join(table["columns"]) + " |", *lines]:
            assert line in text, f"docs/benchmarks.md does not have this line of `{table['name']}`: {line}"


def test_the_pictures_of_the_page_are_drawn_from_what_is_kept(tmp_path):
    paths = pictures.draw(map(results.read, kept_files()), str(tmp_path))
    fresh = {os.path.basename(path) for path in paths}
    kept = {name for name in os.listdir(KEPT) if name.endswith(".svg")}
    assert kept == fresh == set(re.findall(r"!\[[^]]+\]\(benchmarks/([^)]+)\)", page()))
    for name in kept:
        with open(os.path.join(KEPT, name), encoding="utf-8") as file:
            assert file.read() == (tmp_path / name).read_text(), \
                f"{name} is out of date: scripts/bench-peers --draw docs/benchmarks --from docs/benchmarks/*.json"
