#!/usr/bin/env python3
"""Zones of the store, served by two processes of dnsd under hamletd: what hamletctl does is answered
at once; with the store away what was compiled is served; kill -9 leaves the zone old or new, whole."""
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
SECONDS = 30
ZONE = """$TTL 60
@ SOA ns1 hostmaster {serial} 7200 3600 1209600 300
@ NS ns1
ns1 A 192.0.2.1
marker TXT "{marker}"
"""
HOSTS = 60000
KILLS = 8 if LONG else 3


class Dns(Supervised):
    def __init__(self):
        (zones := pathlib.Path(f"/tmp/hamlet-zones-{os.getpid()}")).mkdir()
        zones.chmod(0o755)
        self.zones = zones
        self.text("file.test", 1, "file")
        super().__init__(["dnsd"], processes={"dnsd": 2},
                         conf={"dnsd": f"zone file.test file {zones}/file.test\n"
                                       "zone later.test {\n}\noverlay 200\nrrl {\n\texempt 127.0.0.0/8\n}"})

    @property
    def port(self):
        return self.ports["content"]

    def text(self, name, serial, marker, hosts=0):
        path = self.zones / name
        path.write_text(ZONE.format(serial=serial, marker=marker) + "".join(
            f"host{i} A 192.0.2.{i % 250}\n" for i in range(hosts)))
        return str(path)

    def imported(self, zone, serial, marker, hosts=0):
        self.ctl("zone", "import", zone, self.text(zone, serial, marker, hosts))

    def close(self):
        subprocess.run(["rm", "-rf", self.zones], check=False)
        return super().close()


def ask(s, name, kind=16, seconds=2):
    """Rcode and answer records, of whichever process is asked; None: no answer."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect(("127.0.0.1", s.port))
            sock.send(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + labels + b"\0" +
                      struct.pack(">2H", kind, 1))
            a = sock.recv(4096)
        except OSError:
            return None
    return a[3] & 15, struct.unpack(">H", a[6:8])[0], a


def marker(s, zone):
    """The text that the zone has for `marker`; else the rcode, or None."""
    got = ask(s, f"marker.{zone}")
    if not got or got[0] or not got[1]:
        return got and got[0]
    return got[2][got[2].rindex(b"\xc0\x0c") + 13:].decode()


def serial(s, zone):
    got = ask(s, zone, 6)
    return struct.unpack(">I", got[2][-20:-16])[0] if got and got[1] else None


def become(what, want, fn, *args, times=12):
    """Until fn gives it, so many times running: all processes have it."""
    end, seen, got = time.monotonic() + SECONDS, 0, None
    while time.monotonic() < end and seen < times:
        got = fn(*args)
        seen = seen + 1 if got == want else 0
        if not seen:
            time.sleep(0.02)
    return [] if seen == times else [f"{what}: {got!r}, not {want!r}"]


REFUSED, SERVFAIL, NXDOMAIN = 5, 2, 3


# --- zones come, change and go --------------------------------------------------------------------
def a_new_zone(s):
    bad = become("before", REFUSED, marker, s, "a.test")
    s.imported("a.test", 100, "one")
    bad += become("imported", "one", marker, s, "a.test")
    listed = s.ctl("zone", "list")
    return bad + [f"no {w!r} in {listed}" for w in ("a.test", "store") if w not in listed]


def edits(s):
    s.ctl("zone", "add", "a.test", "www", "A", "192.0.2.80")
    bad = become("add", (0, 1), lambda: ask(s, "www.a.test", 1)[:2])
    bad += become("serial", 101, serial, s, "a.test")
    s.ctl("zone", "set", "a.test", "marker", "TXT", "two")
    bad += become("set", "two", marker, s, "a.test")
    s.ctl("zone", "delete", "a.test", "www")
    bad += become("delete", NXDOMAIN, lambda: ask(s, "www.a.test", 1)[0])
    return bad + become("serial", 103, serial, s, "a.test")


def many_edits(s):
    """Edits that come faster than they are compiled end in the last one."""
    for i in range(40):
        s.ctl("zone", "set", "a.test", "marker", "TXT", f"edit {i}")
    return become("the last", "edit 39", marker, s, "a.test") + \
        become("serial", 143, serial, s, "a.test")


def deleted(s):
    s.imported("gone.test", 1, "here")
    bad = become("imported", "here", marker, s, "gone.test")
    s.ctl("zone", "delete", "gone.test", "--yes")
    bad += become("deleted", REFUSED, marker, s, "gone.test")
    s.imported("gone.test", 1, "again")
    bad += become("again", "again", marker, s, "gone.test")
    s.ctl("zone", "delete", "gone.test", "--yes")
    return bad + become("deleted again", REFUSED, marker, s, "gone.test")


def a_zone_with_a_block(s):
    bad = become("without data", SERVFAIL, marker, s, "later.test")
    listed = s.ctl("zone", "list", "later.test")
    bad += [] if "not in the store" in listed else [listed]
    s.imported("later.test", 1, "now")
    bad += become("imported", "now", marker, s, "later.test")
    s.ctl("zone", "delete", "later.test", "--yes")
    return bad + become("deleted", SERVFAIL, marker, s, "later.test")


def the_file_wins(s):
    bad = become("file", "file", marker, s, "file.test")
    s.imported("file.test", 9, "store")
    end = time.monotonic() + SECONDS
    while "zone-twice" not in s.log("hamletd") and time.monotonic() < end:
        time.sleep(0.05)
    bad += [] if "zone-twice" in s.log("hamletd") else ["nobody says that the zone is there twice"]
    for words in (("add", "file.test", "www", "A", "192.0.2.1"),
                  ("set", "file.test", "www", "A", "192.0.2.1"),
                  ("delete", "file.test", "ns1")):
        said = s.ctl("zone", *words, ok=False)
        if f"{s.zones}/file.test" not in said:
            bad.append(f"{words}: {said}")
    listed = s.ctl("zone", "show", "file.test") + s.ctl("zone", "list", "file.test")
    bad += [] if listed.count(f"{s.zones}/file.test") == 2 else [listed]
    s.ctl("zone", "list", "nothing.test", ok=False)
    s.text("file.test", 9, "file")
    bad += become("still", "file", marker, s, "file.test")
    s.ctl("zone", "delete", "file.test", "--yes")
    return bad + become("still, later", "file", marker, s, "file.test")


# --- changes of a large zone --------------------------------------------------------------------
WIDE = 2000


def overlays(s):
    overlay = s.dir / "dns/wide.test.overlay"
    s.imported("wide.test", 1, "w0", WIDE)
    bad = become("imported", "w0", marker, s, "wide.test")
    s.ctl("zone", "set", "wide.test", "marker", "TXT", "w1")
    s.ctl("zone", "delete", "wide.test", "host7")
    bad += become("changed", "w1", marker, s, "wide.test")
    bad += become("gone", NXDOMAIN, lambda: ask(s, "host7.wide.test", 1)[0])
    bad += [] if overlay.exists() else ["the change is no overlay"]
    s.ctl("daemon", "restart", "dnsd")
    bad += become("after a restart", ("w1", NXDOMAIN),
                  lambda: (marker(s, "wide.test"), ask(s, "host7.wide.test", 1)[0]))
    # Many changes: they become a part of the image, and that is no change.
    s.imported("wide.test", 1, "w2", WIDE + 150)
    bad += become("imported again", ("w2", 0),
                  lambda: (marker(s, "wide.test"), ask(s, "host2149.wide.test", 1)[0]))
    now, end = serial(s, "wide.test"), time.monotonic() + SECONDS
    while overlay.exists() and time.monotonic() < end:
        time.sleep(0.05)
    bad += ["a large overlay stays"] if overlay.exists() else []
    return bad + become("merged", ("w2", now), lambda: (marker(s, "wide.test"),
                                                        serial(s, "wide.test")))


def killed_while_changing(s):
    bad = []
    for i in range(KILLS):
        s.ctl("zone", "set", "wide.test", "marker", "TXT", f"k{i}")
        time.sleep(0.002 * (i % 5))
        for pid in s.pids("dnsd"):
            os.kill(pid, signal.SIGKILL)
        s.wait_ready()
        bad += become("after a kill", f"k{i}", marker, s, "wide.test")
    return bad


def a_damaged_overlay(s):
    overlay = s.dir / "dns/wide.test.overlay"
    s.ctl("zone", "set", "wide.test", "marker", "TXT", "d1")
    bad = become("before", "d1", marker, s, "wide.test")
    s.ctl("daemon", "stop", "dnsd")
    overlay.write_bytes(b"\xff" * 3000)
    s.ctl("daemon", "start", "dnsd")
    s.wait_ready()
    bad += become("damaged", "d1", marker, s, "wide.test")
    s.ctl("zone", "delete", "wide.test", "--yes")
    bad += become("deleted", REFUSED, marker, s, "wide.test")
    return bad + [f"{p} is left" for p in (overlay, s.dir / "dns/wide.test.image") if p.exists()]


# --- without the store ----------------------------------------------------------------------------
def store_killed(s):
    for pid in s.pids("stored"):
        os.kill(pid, signal.SIGKILL)
    bad = become("meanwhile", "edit 39", marker, s, "a.test")
    s.wait_ready()
    s.ctl("zone", "set", "a.test", "marker", "TXT", "after it")
    return bad + become("afterwards", "after it", marker, s, "a.test")


def changed_while_away(s):
    """What came, went and changed while dnsd was down."""
    s.imported("came.test", 1, "old")
    bad = become("before", "old", marker, s, "came.test")
    s.ctl("daemon", "stop", "dnsd")
    s.ctl("zone", "set", "a.test", "marker", "TXT", "down")
    s.ctl("zone", "delete", "came.test", "--yes")
    s.imported("new.test", 1, "new")
    orphan = s.dir / "dns/orphan.test.image"
    orphan.write_bytes(b"x" * 2000)
    os.utime(orphan, (1, 1))
    s.ctl("daemon", "start", "dnsd")
    s.wait_ready()
    for zone, want in (("a.test", "down"), ("came.test", REFUSED), ("new.test", "new")):
        bad += become(zone, want, marker, s, zone)
    return bad + [f"{p} is left" for p in (orphan, s.dir / "dns/came.test.image") if p.exists()]


def start_without_the_store(s):
    s.ctl("daemon", "stop", "stored")
    s.ctl("daemon", "restart", "dnsd")
    bad = become("without it", "down", marker, s, "a.test")
    s.ctl("daemon", "start", "stored")
    s.wait_ready()
    s.ctl("zone", "set", "a.test", "marker", "TXT", "back")
    return bad + become("with it again", "back", marker, s, "a.test")


# --- kill -9 --------------------------------------------------------------------------------------
class Watcher(threading.Thread):
    """Sees only whole zones: the marker and the last host are of one and the same."""

    def __init__(self, s):
        super().__init__()
        self.s, self.over, self.bad, self.seen = s, False, [], set()

    def run(self):
        while not self.over:
            got = marker(self.s, "big.test")
            if got is not None:
                self.seen.add(got)
            time.sleep(0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()


def whole(s):
    """The marker; with all hosts of that version there, and no more."""
    got = marker(s, "big.test")
    if not isinstance(got, str) or not re.fullmatch(r"v\d+", got):
        return got
    hosts = HOSTS + int(got[1:])
    there = ask(s, f"host{hosts - 1}.big.test", 1), ask(s, f"host{hosts}.big.test", 1)
    if marker(s, "big.test") == got and [a and a[0] for a in there] != [0, NXDOMAIN]:
        return f"{got} is not whole: {[a and a[0] for a in there]}"
    return got


def killed_while_importing(s, victim):
    bad = []
    s.imported("big.test", 1, "v0", HOSTS)
    bad += become("the first", "v0", whole, s, times=6)
    version = 0
    for i in range(KILLS):
        path = s.text("big.test", 1, f"v{version + 1}", HOSTS + version + 1)
        with Watcher(s) as watcher:
            caller = subprocess.Popen([BUILD / "hamletctl", "-r", s.run, "zone", "import",
                                       "big.test", path], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            time.sleep(0.05 + 0.1 * i)
            for pid in s.pids(victim):
                os.kill(pid, signal.SIGKILL)
            done = caller.wait(60) == 0
            s.wait_ready()
            now = json_marker(s)
        allowed = {f"v{version}", f"v{version + 1}"}
        if not watcher.seen <= allowed or now not in allowed:
            bad.append(f"{watcher.seen} and then {now}, while {version + 1} came")
        if done and now != f"v{version + 1}":
            bad.append(f"{now}, although {version + 1} was imported")
        version = int(now[1:])
        bad += become("in the end", now, whole, s, times=6)
    s.ctl("zone", "delete", "big.test", "--yes")
    return bad + become("deleted", REFUSED, marker, s, "big.test")


def json_marker(s):
    """What the store has."""
    return re.search(r'v\d+', s.ctl("zone", "show", "big.test", "marker", "TXT")).group(0)


def main():
    tap = Tap()
    s = Dns()
    try:
        for name, test, *args in (
                ("a new zone is served at once", a_new_zone),
                ("so are edits", edits),
                ("and many of them", many_edits),
                ("a deleted zone is not, until it comes again", deleted),
                ("a zone with a block and without data", a_zone_with_a_block),
                ("of a zone in a file and in the store the file is served", the_file_wins),
                ("a change of a large zone is an overlay", overlays),
                ("kill -9 of dnsd while it changes", killed_while_changing),
                ("a damaged overlay", a_damaged_overlay),
                ("kill -9 of the store", store_killed),
                ("what changed while dnsd was down", changed_while_away),
                ("a start without the store", start_without_the_store),
                ("kill -9 of the store during an import", killed_while_importing, "stored"),
                ("kill -9 of dnsd during an import", killed_while_importing, "dnsd")):
            tap.test(name, test, s, *args)
    finally:
        tap.ends(s)
    tap.done()


main()
