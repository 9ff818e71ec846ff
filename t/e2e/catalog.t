#!/usr/bin/env python3
"""Catalog zones (RFC 9432): a primary and two secondaries, all of them dnsd with three lines of
configuration each and two processes, and Knot as a consumer and as a producer. Zones that come,
change, go and come again; kill -9 of a secondary's dnsd and stored in between."""
import base64
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from nameservers import Knot  # noqa: E402
from suite import FIRST_UID, Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
SECRET = base64.b64encode(os.urandom(32)).decode()
ZONE = """$TTL 60
@ SOA ns1 hostmaster {serial} 3600 600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
marker TXT "{marker}"
"""


class Dns(Supervised):
    """conf: of dnsd."""

    def __init__(self, port, conf):
        self.port = port
        super().__init__(["dnsd"], conf={"dnsd": conf}, processes={"dnsd": 2})

    def write_conf(self, name):
        if name == "dnsd":
            self.ports.setdefault("content", self.port)
            key = self.dir / "xfr.key"
            key.write_text(f"hmac-sha256:xfr:{SECRET}\n")
            key.chmod(0o600)
            if os.geteuid() == 0:  # dnsd has a user of its own
                os.chown(key, FIRST_UID + self.daemons.index("dnsd"), -1)
        super().write_conf(name)

    def put(self, zone, serial, marker):
        path = self.dir / "text"
        path.write_text(ZONE.format(serial=serial, marker=marker))
        self.ctl("zone", "import", zone, str(path))

    def delete(self, zone):
        self.ctl("zone", "delete", zone, "--yes")

    def stored_zones(self):
        return sorted(line.split()[0] for line in self.ctl("zone", "list").splitlines()[1:])

    def kill(self, *names):
        """And until hamletd has seen it: before, it calls them ready still."""
        killed = [pid for name in names for pid in self.pids(name)]
        for pid in killed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it had ended by itself, for want of the other
                pass
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                if not {p["pid"] for p in self.status()} & set(killed):
                    return
            except RuntimeError:  # hamletctl got no answer this time
                pass
            time.sleep(0.02)
        raise RuntimeError(f"{names}: hamletd takes the killed {killed} for running")

    def events(self, *wanted):
        lines = (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
        return [line for line in lines if all(w in line for w in wanted)]


def dig(server, *words, by="127.0.0.1", key=False):
    signed = ("-y", f"hmac-sha256:xfr:{SECRET}") if key else ()
    return subprocess.run(["dig", "@127.0.0.1", "-p", str(server.port), "-b", by, *signed,
                           "+norec", "+tries=2", "+time=5", *words], capture_output=True,
                          text=True, timeout=60, check=False).stdout


def marker(server, zone):
    """What it has for `marker`, or the rcode."""
    out = dig(server, f"marker.{zone}", "TXT")
    for line in out.splitlines():
        if line.startswith("marker."):
            return line.split('"')[1]
    return next((w.strip() for line in out.splitlines() if "status:" in line
                 for w in line.split("status:")[1].split(",")[:1]), "no answer")


def become(what, want, fn, *args, times=1):
    """Until fn gives it, so many times running: all processes have it. What fails, as hamletctl does
    when stored is away, is asked again."""
    end, seen, got = time.monotonic() + SECONDS, 0, None
    while time.monotonic() < end and seen < times:
        try:
            got = fn(*args)
        except RuntimeError as e:
            got = str(e)
        seen = seen + 1 if got == want else 0
        if not seen:
            time.sleep(0.1)
    return [] if seen == times else [f"{what}: {got!r}, not {want!r}"]


def have(servers, zone, want):
    return [line for s in servers
            for line in become(f"{zone} at {s.port}", want, marker, s, zone, times=8)]


# --- tests ----------------------------------------------------------------------------------------
def come(p, both):
    for name in ("a.test", "b.test", "c.test"):
        p.put(name, 1, f"first {name}")
    bad = []
    for name in ("a.test", "b.test", "c.test"):
        bad += have(both, name, f"first {name}")
    p.ctl("zone", "add", "a.test", "www", "A", "192.0.2.80")
    for s in both:
        bad += become("www", "192.0.2.80\n", dig, s, "+short", "www.a.test", "A", times=8)
    return bad


def follow(p, both):
    p.put("b.test", 5, "second")
    bad = have(both, "b.test", "second")
    p.ctl("zone", "set", "b.test", "marker", "TXT", "third")
    return bad + have(both, "b.test", "third")


def go(p, both):
    p.delete("b.test")
    bad = have([p, *both], "b.test", "REFUSED")
    for s in both:
        bad += become("zones", ["a.test", "c.test", "cat.test"], s.stored_zones)
    return bad


def come_again(p, both):
    """With a lower serial: it is another zone."""
    p.put("b.test", 3000, "long ago")
    bad = have(both, "b.test", "long ago")
    p.delete("b.test")
    p.put("b.test", 7, "again")
    return bad + have(both, "b.test", "again")


def hidden(p, both):
    bad = []
    for s in (p, *both):
        for words in (("cat.test", "SOA"), ("version.cat.test", "TXT"), ("nothing.cat.test", "A"),
                      ("cat.test", "AXFR")):
            out = dig(s, *words)
            if "REFUSED" not in out and "Transfer failed" not in out:
                bad.append(out)
    out = dig(p, "cat.test", "AXFR", key=True)
    if "PTR\ta.test." not in out or 'TXT\t"2"' not in out:
        bad.append(out)
    if "status: NOERROR" not in dig(p, "cat.test", "SOA", key=True):
        bad.append("not even with the key")
    return bad


def without_the_primary(p, both):
    """A secondary that starts knows its zones."""
    for pid in p.pids("dnsd"):
        os.kill(pid, signal.SIGSTOP)
    stopped = p.pids("dnsd")
    try:
        both[0].ctl("daemon", "restart", "dnsd")
        both[0].wait_ready()
        bad = have(both[:1], "a.test", "first a.test") + have(both[:1], "b.test", "again")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    return bad


def killed(p, both):
    """Zones come and go while a secondary's dnsd and stored are killed."""
    bad = []
    for i in range(3):
        p.put(f"k{i}.test", 1, f"killed {i}")
        if i:
            p.delete(f"k{i - 1}.test")
        time.sleep(0.15 * i)
        both[0].kill("dnsd")
        both[1].kill("stored")
        time.sleep(0.1)
        both[0].kill("stored")
        both[1].kill("dnsd")
        for s in both:
            s.wait_ready()
    bad += have(both, "k2.test", "killed 2")
    bad += have(both, "k1.test", "REFUSED") + have(both, "k0.test", "REFUSED")
    p.delete("k2.test")
    bad += have(both, "k2.test", "REFUSED")
    for s in both:
        bad += become("zones", ["a.test", "b.test", "c.test", "cat.test"], s.stored_zones)
    return bad


def late(p, both):
    """A process to which a catalog comes when another one has compiled it already."""
    s, bad = both[0], []
    for i, pid in enumerate(s.pids("dnsd")):
        before = len(s.events("zone-loaded", "zone=cat.test"))
        os.kill(pid, signal.SIGSTOP)
        try:
            s.delete("cat.test")
            p.put(f"late{i}.test", 1, "late")
            end = time.monotonic() + 10  # the one that is stopped may be the one that fetches
            while time.monotonic() < end and len(
                    s.events("zone-loaded", "zone=cat.test")) == before:
                time.sleep(0.1)
        finally:
            os.kill(pid, signal.SIGCONT)
        bad += have([s], f"late{i}.test", "late")
        p.delete(f"late{i}.test")
        bad += have([s], f"late{i}.test", "REFUSED")
    return bad


def clashes(p, both):
    """What is edited at a secondary stays what it is; it becomes theirs when it goes there."""
    s = both[0]
    s.put("own.test", 1, "mine")
    bad = have([s], "own.test", "mine")
    p.put("own.test", 100, "theirs")
    bad += have(both[1:], "own.test", "theirs") + have([s], "own.test", "mine")
    bad += become("log", True, lambda: bool(s.events("catalog-clash", "zone=own.test")))
    s.delete("own.test")
    bad += have([s], "own.test", "theirs")
    p.delete("own.test")
    return bad + have(both, "own.test", "REFUSED")


KNOT_KEY = f"""key:
  - id: xfr
    algorithm: hmac-sha256
    secret: {SECRET}
"""


def consumer(port):
    """Knot has what the catalog lists."""
    more = KNOT_KEY + f"""remote:
  - id: hamlet
    address: 127.0.0.1@{port}
    key: xfr
acl:
  - id: hamlet
    key: xfr
    action: notify
template:
  - id: member
    storage: "{{folder}}"
    master: hamlet
    acl: hamlet
"""
    zone = ("    master: hamlet\n    acl: hamlet\n    catalog-role: interpret\n"
            "    catalog-template: member\n")
    return Knot({"cat.test": {"more": zone}}, more)


def knot_consumes(p, knot):
    bad = have([knot], "a.test", "first a.test")
    p.put("new.test", 1, "new")
    bad += have([knot], "new.test", "new")
    p.ctl("zone", "set", "new.test", "marker", "TXT", "newer")
    bad += have([knot], "new.test", "newer")
    p.delete("new.test")
    return bad + have([knot], "new.test", "REFUSED")


class Producer(Knot):
    def __init__(self, port):
        more = KNOT_KEY + f"""remote:
  - id: dnsd
    address: 127.0.0.1@{port}
    key: xfr
acl:
  - id: out
    key: xfr
    action: transfer
"""
        super().__init__({"kcat.test": {"more": "    acl: out\n    notify: dnsd\n"
                                                "    catalog-role: generate\n"},
                          "x.test": self.member("x.test"), "y.test": self.member("y.test")}, more)

    @staticmethod
    def member(name):
        return {"file": ZONE.format(serial=1, marker=f"of Knot {name}"),
                "more": "    acl: out\n    notify: dnsd\n    catalog-role: member\n"
                        "    catalog-zone: kcat.test\n"}

    def zones(self, add, remove):
        conf = self.folder / "conf"
        text = conf.read_text()
        start = text.index(f"  - domain: {remove}\n")
        end = text.find("  - domain:", start + 1)
        text = text[:start] + (text[end:] if end >= 0 else "")
        path = self.write_zone(add, self.member(add)["file"])
        text += f"\n  - domain: {add}\n    file: \"{path}\"\n{self.member(add)['more']}\n"
        conf.write_text(text)
        self.process.send_signal(signal.SIGHUP)


def knot_produces(s, knot):
    bad = have([s], "x.test", "of Knot x.test") + have([s], "y.test", "of Knot y.test")
    knot.zones("z.test", "x.test")
    bad += have([s], "z.test", "of Knot z.test") + have([s], "x.test", "REFUSED")
    bad += have([s], "y.test", "of Knot y.test")
    if s.events("catalog-broken"):
        bad += s.events("catalog-broken")
    return bad


# --- catalogs that are written by hand ---------------------------------------------------------------
CATALOG = """$TTL 0
@ SOA invalid. invalid. {serial} 3600 600 1209600 60
@ NS invalid.
"""


class ByHand(Dns):
    """Its catalogs are files, as any zone's."""

    def __init__(self, port, secondary):
        self.serial = 1
        super().__init__(port, "store on\nsecondary 127.0.0.1 port " + str(secondary) + "\n" +
                         "".join(f"zone {c}.cat.test file zones/{c}\n" for c in ("one", "two")))

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            for c in ("one", "two"):
                self.write(c, 'version TXT "2"\n')
        super().write_conf(name)

    def write(self, catalog, text):
        self.serial += 1
        path = self.dir / "zones" / catalog
        path.write_text(CATALOG.format(serial=self.serial) + text)

    def change(self, catalog, text, version='version TXT "2"\n'):
        """And until the secondary has it."""
        self.write(catalog, version + text)
        self.ctl("zone", "reload", f"{catalog}.cat.test")
        return self.serial


def has_catalog(s, catalog, serial):
    """Both processes have taken it, and what is to be logged is."""
    return become(f"{catalog} {serial}", True, lambda: len(
        s.events("zone-loaded", f"zone={catalog}.cat.test", f"serial={serial} ")) >= 2)


def by_hand(p, s):
    p.put("m.test", 10, "m")
    bad = has_catalog(s, "one", p.change("one", "l1.zones PTR m.test.\n"))
    bad += have([s], "m.test", "m")
    # The other one lists it as well, and does not get it.
    bad += has_catalog(s, "two", p.change("two", "l1.zones PTR m.test.\n"))
    bad += become("clash", True, lambda: bool(
        s.events("catalog-clash catalog=two.cat.test", "zone=m.test", "one.cat.test")))
    bad += have([s], "m.test", "m")
    # What is broken changes nothing.
    for text, version in (("", ""), ("", 'version TXT "1"\n'),
                          ("l1.zones PTR a.test.\nl1.zones PTR b.test.\n", 'version TXT "2"\n')):
        bad += has_catalog(s, "one", p.change("one", text, version))
        bad += become("broken", True, lambda: bool(
            s.events("catalog-broken catalog=one.cat.test", f"serial={p.serial} ")))
    bad += have([s], "m.test", "m")
    return bad


def given_away(p, s):
    """By its coo property, with the same label: it is not fetched again."""
    before = len(s.events("zone-transferred zone=m.test"))
    bad = has_catalog(s, "one", p.change(
        "one", "l1.zones PTR m.test.\ncoo.l1.zones PTR two.cat.test.\n"))
    bad += become("moved", True, lambda: len(
        s.events("member catalog=two.cat.test", "zone=m.test")) >= 2)
    bad += has_catalog(s, "one", p.change("one", ""))
    bad += have([s], "m.test", "m")
    after = len(s.events("zone-transferred zone=m.test"))
    return bad + ([] if after == before else [f"{after - before} transfers"])


def another_label(p, s):
    """Another zone of that name, with a lower serial, is fetched whole."""
    p.delete("m.test")
    p.put("m.test", 2, "reset")
    bad = has_catalog(s, "two", p.change("two", "l2.zones PTR m.test.\n"))
    bad += have([s], "m.test", "reset")
    bad += become("file", True, lambda: any(
        "m.test l2" in f.read_text() for f in (s.dir / "dns").glob("two.cat.test.image.members")))
    bad += has_catalog(s, "two", p.change("two", ""))
    return bad + have([s], "m.test", "REFUSED") + become(
        "zones", ["one.cat.test", "two.cat.test"], s.stored_zones)


def the_same_serial(p, s):
    """A catalog that is fetched again is another one although its serial is the same."""
    p.put("same.test", 1, "same")
    bad = has_catalog(s, "two", p.change("two", ""))
    p.ctl("daemon", "stop", "dnsd")
    for path in p.dir.glob("**/two.cat.test.image"):
        path.unlink()
    p.serial -= 1
    p.write("two", 'version TXT "2"\nl9.zones PTR same.test.\n')
    p.ctl("daemon", "start", "dnsd")
    p.wait_ready()
    s.ctl("zone", "refresh", "two.cat.test", "--force")
    bad += have([s], "same.test", "same")
    bad += has_catalog(s, "two", p.change("two", ""))
    return bad + have([s], "same.test", "REFUSED")


KEY = "key xfr file xfr.key\n"
TESTS = (("zones come", come), ("changes follow", follow), ("zones go", go),
         ("one that comes again is another one", come_again),
         ("the catalog is for secondaries only", hidden),
         ("a restart without the primary", without_the_primary),
         ("a process that is late", late),
         ("zones that are edited at the secondary", clashes),
         ("kill -9 of dnsd and stored", killed))


def ours(tap):
    ports = [free_port() for _ in range(3)]
    servers, knot, why = [], None, ""
    from_us = f"catalog cat.test from 127.0.0.1 port {ports[0]} key xfr\n"
    try:
        try:
            knot = consumer(ports[0])
        except RuntimeError as e:
            why = str(e)
        told = [*ports[1:], *([knot.port] if knot else [])]
        servers.append(Dns(ports[0], KEY + "".join(
            f"secondary 127.0.0.1 port {port} key xfr catalog cat.test\n" for port in told)))
        servers += [Dns(port, KEY + from_us) for port in ports[1:]]
        for name, test in TESTS:
            tap.test(name, test, servers[0], servers[1:])
        if knot:
            tap.test("Knot is a consumer", knot_consumes, servers[0], knot)
        else:
            tap.skip("Knot is a consumer", why)
    finally:
        for s in servers:
            tap.ends(s)
        if knot:
            knot.close()


def theirs(tap):
    port = free_port()
    try:
        knot = Producer(port)
    except RuntimeError as e:
        tap.skip("Knot is a producer", str(e))
        return
    s = None
    try:
        s = Dns(port, KEY + f"catalog kcat.test from 127.0.0.1 port {knot.port} key xfr\n")
        tap.test("Knot is a producer", knot_produces, s, knot)
    finally:
        if s:
            tap.ends(s)
        knot.close()


def hand(tap):
    ports = [free_port() for _ in range(2)]
    servers = []
    try:
        servers.append(ByHand(*ports))
        servers.append(Dns(ports[1], "".join(
            f"catalog {c}.cat.test from 127.0.0.1 port {ports[0]}\n" for c in ("one", "two"))))
        for name, test in (("catalogs that break the rules, or want the same", by_hand),
                           ("a member is given away", given_away),
                           ("another label is another zone", another_label),
                           ("another catalog with the same serial", the_same_serial)):
            tap.test(name, test, *servers)
    finally:
        for s in servers:
            tap.ends(s)


def main():
    tap = Tap()
    ours(tap)
    hand(tap)
    theirs(tap)
    tap.done()


main()
