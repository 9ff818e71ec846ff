#!/usr/bin/env python3
"""Secondaries that are in the store although dnsd.conf or a catalog names them no longer: they are
not served, since nobody looks after them, until they are named again."""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
ZONE = """$TTL 60
@ SOA ns1 hostmaster {serial} 3600 600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
marker TXT "{marker}"
"""


class Dns(Supervised):
    """conf: of dnsd; zones: files, as {name: what its marker says}."""

    def __init__(self, port, conf, zones=None, processes=1):
        self.port, self.zones = port, zones or {}
        super().__init__(["dnsd"], conf={"dnsd": conf}, processes={"dnsd": processes})

    def write_conf(self, name):
        if name == "dnsd":
            self.ports.setdefault("content", self.port)
            (self.dir / "zones").mkdir(exist_ok=True)
            for zone, marker in self.zones.items():
                (self.dir / "zones" / zone).write_text(ZONE.format(serial=1, marker=marker))
        super().write_conf(name)

    def put(self, zone, serial, marker):
        path = self.dir / "text"
        path.write_text(ZONE.format(serial=serial, marker=marker))
        self.ctl("zone", "import", zone, str(path))

    def replace(self, conf):
        self.extra["dnsd"] = conf
        self.write_conf("dnsd")
        self.ctl("daemon", "restart", "dnsd")
        self.wait_ready()

    def row(self, zone):
        """Of `zone list`."""
        lines = [line.split() for line in self.ctl("zone", "list").splitlines()]
        return next((dict(zip(lines[0], line)) for line in lines[1:] if line[0] == zone), {})

    def events(self, *wanted):
        lines = (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
        return [line for line in lines if all(w in line for w in wanted)]


def marker(server, zone):
    """What it has for `marker`, or the rcode."""
    out = subprocess.run(["dig", "@127.0.0.1", "-p", str(server.port), "+norec", "+tries=2",
                          "+time=5", f"marker.{zone}", "TXT"], capture_output=True, text=True,
                         timeout=60, check=False).stdout
    for line in out.splitlines():
        if line.startswith("marker."):
            return line.split('"')[1]
    return next((w.strip() for line in out.splitlines() if "status:" in line
                 for w in line.split("status:")[1].split(",")[:1]), "no answer")


def become(what, want, fn, *args):
    end, got = time.monotonic() + SECONDS, None
    while time.monotonic() < end:
        try:
            got = fn(*args)
        except RuntimeError as e:
            got = str(e)
        if got == want:
            return []
        time.sleep(0.1)
    return [f"{what}: {got!r}, not {want!r}"]


def have(server, **zones):
    return [line for zone, want in zones.items()
            for line in become(zone, want, marker, server, f"{zone}.test")]


def left(server, zone, times):
    """It is told of, so many times in all; and is in the store still."""
    bad = become(f"state of {zone}", "left", lambda: server.row(zone).get("STATE"))
    n = len(server.events("zone-left", f"zone={zone}"))
    if n != times:
        bad.append(f"{zone}: told {n} times, not {times}")
    if zone not in server.ctl("zone", "stored"):
        bad.append(f"{zone} is not in the store")
    return bad


# --- tests ----------------------------------------------------------------------------------------
def all_there(p, s, lines):
    return have(s, own="own", m="member")


def line_removed(p, s, lines):
    s.replace(lines[1])
    bad = have(s, own="REFUSED", m="member") + left(s, "own.test", 1)
    p.put("m.test", 5, "newer")
    bad += have(s, m="newer", own="REFUSED")
    if len(s.events("zone-left", "zone=own.test")) != 1:
        bad.append("it is told again and again")
    said = s.ctl("zone", "reload", "own.test", ok=False)
    return bad if "no primary is named" in said else bad + [said]


def catalog_removed(p, s, lines):
    s.replace("")
    bad = have(s, own="REFUSED", m="REFUSED")
    return bad + left(s, "own.test", 2) + left(s, "m.test", 1) + left(s, "cat.test", 1)


def named_again(p, s, lines):
    """The primary is away: what there was is served, and looked after."""
    for pid in p.pids("dnsd"):
        os.kill(pid, signal.SIGSTOP)
    stopped = p.pids("dnsd")
    try:
        s.replace("\n".join(lines))
        bad = have(s, own="own", m="newer")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    p.put("m.test", 9, "newest")
    bad += have(s, m="newest")
    if s.row("own.test").get("STATE") != "served":
        bad.append(str(s.row("own.test")))
    return bad


def a_catalog_takes_it(p, s, lines):
    """At work: from a line to none, then to a catalog that lists it."""
    s.replace(lines[1])
    bad = have(s, own="REFUSED")
    p.replace(p.extra["dnsd"].replace("{ catalog off }", ""))
    bad += have(s, own="own", m="newest")
    if not s.events("zone-named", "zone=own.test"):
        bad.append("it is not told")
    return bad


def files(server, zone):
    return sorted(f.name for f in (server.dir / "dns").iterdir() if f.name.startswith(zone))


def files_of_zones_that_go(p, s, lines):
    """At work: at the primary, and what a catalog lists no longer at the secondary."""
    bad = [f"{x.port}: {n}: {files(x, n)}" for x, n, kinds in (
        (p, "m.test", ("image", "image.lock", "journal")),
        (s, "m.test", ("image", "image.lock", "refresh", "xfr")))
        for k in kinds if f"{n}.{k}" not in files(x, n)]
    p.ctl("zone", "delete", "m.test", "--yes")
    for x in (p, s):
        bad += become(f"files at {x.port}", [], files, x, "m.test")
    if "own.test.image" not in files(s, "own.test"):
        bad.append(str(files(s, "own.test")))
    return bad


def files_that_nobody_knows(p, s, lines):
    """At the start: of zones that went while dnsd was away, catalogs with what they listed."""
    s.replace("")
    bad = left(s, "own.test", 4) + left(s, "cat.test", 2)
    if "cat.test.image.members" not in files(s, "cat.test"):
        bad.append(str(files(s, "cat.test")))
    s.ctl("daemon", "stop", "dnsd")
    s.ctl("zone", "delete", "own.test", "--yes")
    s.ctl("zone", "delete", "cat.test", "--yes")
    time.sleep(3)  # files that are new are left
    s.ctl("daemon", "start", "dnsd")
    s.wait_ready()
    for zone in ("own.test", "cat.test"):
        bad += become(zone, [], files, s, zone)
    return bad


def main():
    tap = Tap()
    ports = [free_port() for _ in range(2)]
    servers = []
    lines = (f"zone own.test from 127.0.0.1 port {ports[0]}",
             f"catalog cat.test from 127.0.0.1 port {ports[0]}")
    try:
        servers.append(Dns(ports[0], f"secondary 127.0.0.1 port {ports[1]} catalog cat.test\n"
                           "zone own.test file zones/own.test { catalog off }\n",
                           {"own.test": "own"}))
        servers[0].put("m.test", 1, "member")
        servers.append(Dns(ports[1], "\n".join(lines)))
        for test in (all_there, line_removed, catalog_removed, named_again, a_catalog_takes_it,
                     files_of_zones_that_go, files_that_nobody_knows):
            tap.test(test.__name__.replace("_", " "), test, *servers, lines)
    finally:
        for s in servers:
            tap.ends(s)
    tap.done()


main()
