#!/usr/bin/env python3
"""Zones in the store: files in and out, single records, what is refused and how it is said, and that
kill -9 of stored during an import leaves the old zone or the new one, whole."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Suite  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
RECORDS = 200000
KILLS = 12 if LONG else 4

ZONE = """\
$TTL 1h
@       SOA ns1 hostmaster 2026010100 1h 10m 4w 5m
        NS  ns1
        NS  ns2.elsewhere.example.
        MX  10 mail
ns1     A   192.0.2.1
mail    A   192.0.2.2
        AAAA 2001:db8::2
www     300 CNAME mail
*.w     TXT "one" "two words"
$GENERATE 1-3 host$ A 192.0.2.1$
sub     NS ns.sub
ns.sub  A 192.0.2.53
odd     TYPE65400 \\# 3 010203
"""


def write(suite, name, text):
    path = suite.dir / name
    path.write_text(text)
    return str(path)


def records(text):
    """Of an export, without the SOA."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return sorted(line for line in lines if " SOA " not in line)


def shown(suite, *words):
    return [json.loads(line) for line in suite.ctl("--json", "zone", "show", *words).splitlines()]


def serial(suite):
    return shown(suite, "a.test")[0]["serial"]


def expect(problems, what, got, want):
    if got != want:
        problems.append(f"{what}: {got!r}, not {want!r}")


def test_round_trip(suite):
    problems = []
    out = json.loads(suite.ctl("--json", "zone", "import", "a.test",
                               write(suite, "a.zone", ZONE)))
    expect(problems, "import", (out["serial"], out["records"]), (2026010100, 15))
    text = suite.ctl("zone", "export", "A.TEST.")
    again = suite.ctl("zone", "check", "a.test", write(suite, "again.zone", text))
    expect(problems, "the export, checked", "15" in again, True)
    out = json.loads(suite.ctl("--json", "zone", "import", "a.test", str(suite.dir / "again.zone")))
    expect(problems, "the export, imported", out["serial"], 2026010100)
    expect(problems, "what it exports then", suite.ctl("zone", "export", "a.test"), text)
    expect(problems, "order", [line.split()[0] for line in text.splitlines()][:4], ["a.test."] * 4)
    listed = [json.loads(line) for line in suite.ctl("--json", "zone", "stored").splitlines()]
    expect(problems, "list", [(z["zone"], z["source"]) for z in listed], [("a.test", "store")])
    expect(problems, "the export in JSON", len(
        suite.ctl("--json", "zone", "export", "a.test").splitlines()), 15)
    return problems


def test_stdin(suite):
    run = subprocess.run([BUILD / "hamletctl", "-r", suite.run, "zone", "import", "a.test"],
                         input=ZONE.replace("192.0.2.2\n", "192.0.2.3\n"), text=True,
                         capture_output=True, timeout=60, check=False)
    problems = []
    expect(problems, "status", (run.returncode, run.stderr), (0, ""))
    expect(problems, "mail", [r["data"] for r in shown(suite, "a.test", "mail", "A")],
           ["192.0.2.3"])
    if serial(suite) <= 2026010100:
        problems.append(f"the serial is {serial(suite)}")
    return problems


def test_edits(suite):
    problems, before = [], serial(suite)
    suite.ctl("zone", "add", "a.test", "www2", "A", "192.0.2.7", "--ttl", "5m")
    suite.ctl("zone", "add", "a.test", "www2", "A", "192.0.2.8")
    expect(problems, "added", [(r["name"], r["ttl"], r["data"]) for r in shown(suite, "a.test", "www2")],
           [("www2.a.test", 300, "192.0.2.7"), ("www2.a.test", 300, "192.0.2.8")])
    suite.ctl("zone", "set", "a.test", "www2.a.test", "A", "192.0.2.9", "--ttl", "60")
    expect(problems, "set", [(r["ttl"], r["data"]) for r in shown(suite, "a.test", "www2")],
           [(60, "192.0.2.9")])
    suite.ctl("zone", "add", "a.test", "@", "TXT", "v=spf1 -all")
    suite.ctl("zone", "add", "a.test", "@", "MX", "20 mail2.elsewhere.example.")
    expect(problems, "TXT", [r["data"] for r in shown(suite, "a.test", "a.test", "TXT")],
           ['"v=spf1 -all"'])
    suite.ctl("zone", "delete", "a.test", "@", "MX", "10", "mail")
    expect(problems, "MX", [r["data"] for r in shown(suite, "a.test", "@", "MX")],
           ["20 mail2.elsewhere.example."])
    suite.ctl("zone", "delete", "a.test", "www2", "A")
    suite.ctl("zone", "delete", "a.test", "host1")
    suite.ctl("zone", "show", "a.test", "www2", ok=False)
    suite.ctl("zone", "show", "a.test", "host1", ok=False)
    expect(problems, "changes", serial(suite), before + 8)
    suite.ctl("zone", "delete", "a.test", "host1")
    expect(problems, "and none", serial(suite), before + 8)
    return problems


def test_refusals(suite):
    """Nothing changes, and the line names what is wrong."""
    problems, before = [], suite.ctl("zone", "export", "a.test")
    bad = write(suite, "bad.zone", ZONE + "www A 192.0.2.300\nwww TXT x\nx.sub TXT x\n")
    cname = write(suite, "cname.zone", ZONE + "www TXT x\nx.sub TXT x\n")
    for words, want in (
            (("import", "a.test", bad), "bad.zone:15:"),
            (("check", "a.test", bad), "192.0.2.300"),
            (("import", "a.test", cname),
             "cname.zone:15: www.a.test TXT: a CNAME stands alone"),
            (("import", "a.test", cname), "cname.zone:16: x.sub.a.test TXT: only addresses"),
            (("import", "a.test", write(suite, "empty.zone", "")), "no SOA record"),
            (("import", "a.test", "/nonexistent.zone"), "/nonexistent.zone"),
            (("add", "a.test", "www", "A", "192.0.2.1"), "www.a.test CNAME: a CNAME stands alone"),
            (("add", "a.test", "new", "A", "192.0.2.300"), "192.0.2.300"),
            (("add", "a.test", "new", "AAAAA", "::1"), "AAAA?"),
            (("add", "a.test", "new", "ANY", "::1"), "ANY"),
            (("add", "a.test", "new", "A"), "usage:"),
            (("add", "a.test", "www.b.test.", "A", "192.0.2.1"), "not in the zone"),
            (("add", "a.test", "new", "A", "192.0.2.1", "--ttl", "1q"), "--ttl"),
            (("add", "b.test", "new", "A", "192.0.2.1"), "no zone b.test"),
            (("export", "b.test"), "no zone b.test"),
            (("delete", "a.test", "@", "NS"), "no NS records"),
            (("delete", "a.test"), "--yes")):
        said = suite.ctl("zone", *words, ok=False)
        if want not in said:
            problems.append(f"zone {' '.join(words)}: {said!r} has no {want!r}")
    expect(problems, "the zone", suite.ctl("zone", "export", "a.test"), before)
    return problems


def test_delete(suite):
    problems = []
    suite.ctl("zone", "delete", "a.test", "--yes")
    expect(problems, "list", suite.ctl("--json", "zone", "stored"), "")
    expect(problems, "check", suite.ctl("check"), "")
    return problems


def large(octet):
    lines = ["@ 300 SOA ns1 host 1 2 3 4 5", "@ 300 NS ns1"]
    lines += [f"h{i} 300 A 192.0.{octet}.{i % 250}" for i in range(RECORDS)]
    return "\n".join(lines) + "\n"


def importing(suite, path):
    return subprocess.Popen([BUILD / "hamletctl", "-r", suite.run, "zone", "import", "a.test", path],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_kills(suite):
    problems = []
    paths = [write(suite, f"{octet}.zone", large(octet)) for octet in (2, 3)]
    whole = []
    took = 0
    for path in paths:
        start = time.monotonic()
        p = importing(suite, path)
        p.communicate(timeout=120)
        took = time.monotonic() - start
        whole.append(records(suite.ctl("zone", "export", "a.test")))
        expect(problems, "records", len(whole[-1]), RECORDS + 1)
    now = 1
    for i in range(KILLS):
        p = importing(suite, paths[1 - now])
        time.sleep(took * (i + random.random()) / KILLS)
        suite.stop("stored", signal.SIGKILL)
        p.communicate(timeout=120)
        suite.start("stored")
        got = records(suite.ctl("zone", "export", "a.test"))
        if got not in whole:
            problems.append(f"kill {i}: {len(got)} records, neither the old nor the new zone")
            break
        if p.returncode == 0 and got != whole[1 - now]:
            problems.append(f"kill {i}: an import that was answered is lost")
        now = whole.index(got)
        findings = suite.ctl("check")
        if findings:
            problems.append(f"kill {i}: {findings}")
    return problems


def main():
    tap = Tap(7)
    suite = Suite([])
    try:
        tap.test("what is imported is exported", test_round_trip, suite)
        tap.test("an import from standard input raises the serial", test_stdin, suite)
        tap.test("single records", test_edits, suite)
        tap.test("what is refused", test_refusals, suite)
        tap.test("a zone is deleted", test_delete, suite)
        tap.test(f"kill -9 of stored while {RECORDS} records are imported", test_kills, suite)
    finally:
        tap.ends(suite)
    tap.done()


main()
