#!/usr/bin/env python3
"""Zones that dnsd signs with keys in keyd: checked by delv and ldns, through the whole life of their
keys. The suite lives in the past and comes nearer, because delv goes by the real time; the parent
zone is one of dnsd's own, and dnsd the resolver that is asked."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

PAST = 4 * 86400  # seconds: new signatures are good for ten days at least
INSIDE = "-b127.0.0.9"
WAIT = 60  # seconds: another process may have the CPU
SOA = "$TTL 60\n@ SOA ns1.a.test. hostmaster.a.test. {serial} 60 60 86400 30\n@ NS ns1.a.test.\n"
ZONE = """ns1 A 192.0.2.1
www A 192.0.2.80
www AAAA 2001:db8::80
web CNAME www
@ MX 10 mail
mail A 192.0.2.25
*.wild TXT "wild"
there.wild A 192.0.2.98
a.b.c.empty A 192.0.2.7
sub NS ns.sub
ns.sub A 192.0.2.53
safe NS ns.else.test.
safe DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
dn DNAME other
www.other A 192.0.2.82
odd TYPE65400 \\# 4 c0000201
svc HTTPS 1 . alpn=h2
"""
CONF = """zone test {
	file zones/test
	dnssec off
}
zone a.test file zones/a.test
view inside {
	clients 127.0.0.9
	zone a.test file zones/a.test.inside
}
zone store.test {
	dnssec on
}
zone n3.test {
	file zones/n3.test
	dnssec on {
		nsec3 on
		zonemd on
	}
}
"""


def run(*args, check=True, stdin=None):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=WAIT,
                       check=False, input=stdin)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {r.returncode}: {r.stdout}{r.stderr}")
    return r.stdout + r.stderr


def until(what, fn):
    end = time.monotonic() + WAIT
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen: {got!r}")
        time.sleep(0.1)


class Dns(Supervised):
    def __init__(self):
        self.default = "dnssec on"
        super().__init__(["dnsd"], conf={"dnsd": CONF}, processes={"dnsd": 2})
        self.port = self.ports["content"]

    def write_conf(self, name):
        if not self.ports:
            self.clock.write_bytes(struct.pack("<q", -PAST * 1000))
        if name == "dnsd":
            zones = self.dir / "zones"
            zones.mkdir(mode=0o755, exist_ok=True)
            for zone in ("a.test", "a.test.inside", "n3.test", "test"):
                if not (zones / zone).exists():
                    self.write_zone(zone, 1)
        super().write_conf(name)
        if name == "dnsd":
            with open(self.dir / "dnsd.conf", "a", encoding="utf8") as f:
                f.write(f"{self.default}\nallow-transfer 127.0.0.1\nresolver 127.0.0.1:{self.ports['content']}\n")

    def write_zone(self, zone, serial, more=""):
        text = SOA.format(serial=serial) + (ZONE if zone != "test" else "") + more
        if zone == "a.test.inside":  # the longest TTL of all views counts
            text += "long 100 A 192.0.2.99\n"
        path = self.dir / "zones" / zone
        new = path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o644)
        new.rename(path)

    def dig(self, name, kind, *more):
        return run("dig", "@127.0.0.1", "-p", self.port, "+norec", "+tries=5", "+time=10", name,
                   kind, *more)

    def short(self, name, kind, *more):
        return sorted(self.dig(name, kind, "+short", "+tcp", *more).splitlines())

    def serial(self, zone):
        return int(self.short(zone, "SOA")[0].split()[2])

    def keys(self, zone, *more):
        out = self.ctl("--json", "zone", "dnssec", zone, *more)
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def states(self, zone):
        return [k["state"] for k in self.keys(zone)]

    def delv(self, zone, name, kind, keys=None):
        """What delv says with these DNSKEY records (those served, unless given) as its anchors."""
        anchor = self.dir / "anchor"
        lines = []
        for key in keys or self.short(zone, "DNSKEY"):
            flags, proto, algorithm, *data = key.split()
            lines.append(f"{zone}. static-key {flags} {proto} {algorithm} \"{''.join(data)}\";")
        anchor.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
        return run("delv", "@127.0.0.1", "-p", self.port, "-a", anchor, f"+root={zone}", name,
                   kind, check=False)

    def now(self):
        """The suite's time, as ldns-verify-zone has it."""
        moved, = struct.unpack("<q", self.clock.read_bytes())
        return time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + moved / 1000))

    def pass_time(self, seconds):
        self.move_clock(seconds)
        self.ctl("zone", "reload")


def has(out, *words):
    return [f"no {w!r} in:\n{out}" for w in words if w not in out]


# --- what is signed -------------------------------------------------------------------------------
QUESTIONS = (("", "SOA"), ("", "MX"), ("www", "A"), ("www", "AAAA"), ("web", "A"), ("www", "TXT"),
             ("nothing", "A"), ("x.y.nothing", "A"), ("x.wild", "TXT"), ("x.wild", "A"),
             ("there.wild", "TXT"), ("x.there.wild", "A"), ("b.c.empty", "A"), ("empty", "TXT"),
             ("safe", "DS"), ("sub", "DS"), ("www.dn", "A"), ("odd", "TYPE65400"), ("svc", "HTTPS"),
             ("", "DNSKEY"), ("", "TYPE60"), ("ns1", "A"))


def validated(s, zone, keys=None):
    bad = []
    for left, kind in QUESTIONS:
        name = f"{left}.{zone}" if left else zone
        out = s.delv(zone, name, kind, keys)
        if "fully validated" not in out or "broken" in out or "unsigned" in out:
            bad.append(f"{name} {kind}: {out}")
    return bad


def zone_is_whole(s, zone, *options):
    """A transfer of it, for a validator."""
    out = s.dig(zone, "AXFR", "+nocomments", "+nocmd", "+nostats")
    path = s.dir / f"{zone}.axfr"
    # The SOA stands at the end again.
    lines = [line for line in out.splitlines() if line and not line.startswith(";")]
    path.write_text("\n".join(lines[:-1]) + "\n")
    if len(lines) < 10:
        return [f"no transfer: {out}"]
    return has(run("ldns-verify-zone", *options, path, check=False), "verified and complete")


def a_key_that_is_not_ours(s):
    key = s.short("n3.test", "DNSKEY")
    out = s.delv("a.test", "www.a.test", "A", key)
    return [] if "fully validated" not in out else [out]


# --- the life of keys -----------------------------------------------------------------------------
def first_signing(s):
    keys = s.keys("a.test")
    bad = [] if [k["state"] for k in keys] == ["new"] else [str(keys)]
    bad += has(s.ctl("zone", "dnssec", "a.test"), "the parent must have no DS record",
               f"key {keys[0]['key']}, ECDSAP256SHA256, new since")
    if s.short("a.test", "CDS"):
        bad.append("CDS too early")
    s.pass_time(60)
    if s.states("a.test") != ["new"]:
        bad.append("the wait was too short")
    s.pass_time(61)
    if s.states("a.test") != ["new"]:
        bad.append("the wait does not know the view's TTLs")
    s.pass_time(40)
    out = s.ctl("zone", "dnssec", "a.test")
    bad += has(out, "Hand this DS record to the parent", "--ds-seen", ", parent since")
    until("that both views ask for it", lambda: all(s.short("a.test", "CDS") for _ in range(12)))
    key = run("ldns-key2ds", "-n", "-2", "/dev/stdin", stdin="a.test. 3600 IN DNSKEY "
              + s.short("a.test", "DNSKEY")[0] + "\n")
    ds = key.split("DS")[1].split()
    bad += has(out.lower(), f"a.test. ds {ds[0]} {ds[1]} {ds[2]} {ds[3]}".lower())
    if s.short("a.test", "CDS")[0].lower().replace(" ", "") != "".join(ds[:4]).lower():
        bad.append(f"CDS {s.short('a.test', 'CDS')} is not {ds}")
    return bad


def tell_parent(s, zone):
    """The administrator's part: the parent's DS records become what CDS asks for."""
    lines = [f"{zone}. NS ns1.{zone}.", f"ns1.{zone}. A 192.0.2.1"]
    lines += [f"{zone}. DS {cds}" for cds in s.short(zone, "CDS") if cds != "0 0 0 00"]
    s.write_zone("test", 0, "\n".join(lines) + "\n")
    s.ctl("zone", "reload", "test")


def the_parents_ds_is_seen(s):
    tell_parent(s, "a.test")
    until("that the DS is seen", lambda: s.states("a.test") == ["active"])
    return has(s.ctl("zone", "dnssec", "a.test"), "its parent vouches for it")


def ds_seen_by_hand(s):
    s.pass_time(1)
    if s.states("n3.test") != ["parent"]:
        return [str(s.states("n3.test"))]
    out = s.ctl("zone", "dnssec", "n3.test", "--ds-seen")
    return has(out, "vouches") + ([] if s.states("n3.test") == ["active"] else [out])


def replacement(s):
    old = s.short("a.test", "DNSKEY")
    out = s.ctl("zone", "dnssec", "a.test", "--roll")
    bad = has(out, "A new key signs along")
    until("that the view has both", lambda: len(s.short("a.test", "DNSKEY", INSIDE)) == 2)
    both = s.short("a.test", "DNSKEY")
    new = [k for k in both if k not in old]
    if len(both) != 2 or len(new) != 1:
        return bad + [f"DNSKEY {both}"]
    bad += validated(s, "a.test", old) + validated(s, "a.test", new)
    s.pass_time(3661)
    bad += has(s.ctl("zone", "dnssec", "a.test"), "replace its DS record by")
    tell_parent(s, "a.test")
    until("that the new DS is seen", lambda: "caches" in s.states("a.test"))
    bad += has(s.ctl("zone", "dnssec", "a.test"), "The old key signs on until")
    bad += validated(s, "a.test", old)
    s.pass_time(90001)
    if s.short("a.test", "DNSKEY") != new or s.states("a.test") != ["active"]:
        bad.append(f"{s.short('a.test', 'DNSKEY')} {s.states('a.test')}")
    until("that the view has the new one", lambda: s.short("a.test", "DNSKEY", INSIDE) == new)
    return bad + validated(s, "a.test", new)


def signatures_of(s, name, kind):
    out = s.dig(name, kind, "+dnssec", "+short")
    return [line for line in out.splitlines() if line.startswith(kind + " 13 ")]


def a_change(s):
    before, mx = s.serial("a.test"), signatures_of(s, "a.test", "MX")
    s.write_zone("a.test", 1, "new A 192.0.2.9\n")
    s.ctl("zone", "reload", "a.test")
    bad = validated(s, "a.test")
    if s.serial("a.test") != before + 1:
        bad.append(f"serial {before}, then {s.serial('a.test')}")
    if signatures_of(s, "a.test", "MX") != mx or not mx:
        bad.append("a signature that was good is gone")
    if s.short("new.a.test", "A") != ["192.0.2.9"]:
        bad.append("no new name")
    s.ctl("zone", "reload", "a.test")
    if s.serial("a.test") != before + 1:
        bad.append("the serial goes up without a change")
    return bad


def renewal(s):
    before, mx = s.serial("n3.test"), signatures_of(s, "n3.test", "MX")
    s.pass_time(9 * 86400)
    after = signatures_of(s, "n3.test", "MX")
    bad = [] if s.serial("n3.test") > before else ["the serial is as before"]
    if not after or after == mx:
        bad.append(f"{mx} is still there")
    return bad


def records_that_are_left_out(s):
    s.write_zone("a.test", 1, "new A 192.0.2.9\n@ DNSKEY 257 3 13 " + "A" * 86 + "==\n"
                 "www NSEC a.test. A\n")
    out = s.ctl("zone", "reload", "a.test")
    bad = has(out, "2 records of DNSSEC are left out")
    s.write_zone("a.test", 1, "new A 192.0.2.9\n")
    s.ctl("zone", "reload", "a.test")
    return bad + validated(s, "a.test")


def without_keyd(s):
    before = s.serial("a.test")
    s.ctl("daemon", "stop", "keyd")
    s.write_zone("a.test", 1, "late A 192.0.2.10\n")
    bad = has(s.ctl("zone", "reload", "a.test", ok=False), "stays as before")
    if s.serial("a.test") != before or s.short("late.a.test", "A"):
        bad.append("it is not what it was")
    s.ctl("daemon", "start", "keyd")
    s.wait_ready()
    s.ctl("zone", "reload", "a.test")
    until("that it is signed", lambda: s.short("late.a.test", "A") == ["192.0.2.10"])
    return bad + validated(s, "a.test")


def import_zone(s):
    text = s.dir / "store.test"
    text.write_text(SOA.format(serial=1) + "www A 192.0.2.80\n" +
                    "".join(f"h{i} A 192.0.2.{100 + i}\n" for i in range(40)))
    s.ctl("zone", "import", "store.test", text)
    # Both processes serve it: one of them alone would have to be very lucky.
    until("that it is signed",
          lambda: all(s.short("store.test", "DNSKEY") for _ in range(12)))


def a_zone_of_the_store(s):
    """An edit is signed, and secondaries get what it changed."""
    before = s.serial("store.test")
    s.ctl("zone", "add", "store.test", "new", "A", "192.0.2.81")
    until("that the name is there",
          lambda: all(s.short("new.store.test", "A") for _ in range(12)))
    bad = [] if list(s.dir.glob("**/store.test.overlay")) else ["the change is no overlay"]
    for name, kind in (("new", "A"), ("www", "TXT"), ("none", "A")):
        out = s.delv("store.test", f"{name}.store.test", kind)
        bad += has(out, "fully validated")
    out = s.dig("store.test", f"IXFR={before}", "+nocomments")
    bad += has(out, "192.0.2.81", "RRSIG\tNSEC", "RRSIG\tSOA")
    if out.count("RRSIG\tNSEC") != 3 or "192.0.2.80" in out:
        bad.append(f"not what has changed: {out}")
    return bad + zone_is_whole(s, "store.test", "-t", s.now())


def the_store_is_away(s):
    """For weeks: what is served is signed again."""
    before, was = s.serial("store.test"), signatures_of(s, "www.store.test", "A")
    s.ctl("daemon", "stop", "stored")
    s.move_clock(12 * 86400)
    s.ctl("zone", "reload", ok=False)
    until("that it is signed again",
          lambda: all(s.serial("store.test") > before for _ in range(12)))
    bad = []
    now = signatures_of(s, "www.store.test", "A")
    if not now or now == was:
        bad.append(f"{was} is still there")
    bad += zone_is_whole(s, "store.test", "-t", s.now())
    bad += has(s.ctl("--json", "zone", "list", "store.test"), '"state":"old"', "store: ")
    serial = s.serial("store.test")
    s.ctl("daemon", "start", "stored")
    s.wait_ready()
    s.ctl("zone", "add", "store.test", "back", "A", "192.0.2.82")
    until("that the store's is served",
          lambda: all(s.short("back.store.test", "A") for _ in range(12)))
    if s.serial("store.test") <= serial:
        bad.append(f"serial {serial}, then {s.serial('store.test')}")
    until("that nothing is said of the store",
          lambda: '"state":"served"' in s.ctl("--json", "zone", "list", "store.test"))
    return bad + zone_is_whole(s, "store.test", "-t", s.now())


def a_text_with_mistakes(s):
    """Its signatures are renewed all the same."""
    before = s.serial("n3.test")
    s.write_zone("n3.test", 1, "bad A 1.2.3\n")
    bad = has(s.ctl("zone", "reload", "n3.test", ok=False), "stays as before")
    s.move_clock(12 * 86400)
    # One of the two processes does it; the other one finds it done, and the mistake.
    s.ctl("zone", "reload", "n3.test", ok=False)
    until("that it is signed again", lambda: s.serial("n3.test") > before)
    if s.serial("n3.test") <= before:
        bad.append(f"serial {before}, then {s.serial('n3.test')}")
    bad += zone_is_whole(s, "n3.test", "-ZZ", "-t", s.now())
    bad += has(s.ctl("--json", "zone", "list", "n3.test"), "an IPv4 address is wanted")
    s.write_zone("n3.test", 1)
    s.ctl("zone", "reload", "n3.test")
    return bad + has(s.ctl("--json", "zone", "list", "n3.test"), '"state":"served"')


def keyd_without_the_key(s):
    """No other key is made in its place."""
    before, keys = s.serial("a.test"), s.dir / "keys" / "zones"
    away = s.dir / "away"
    s.ctl("daemon", "stop", "keyd")
    shutil.move(keys, away)
    s.ctl("daemon", "start", "keyd")
    s.wait_ready()
    s.write_zone("a.test", 1, "later A 192.0.2.11\n")
    bad = has(s.ctl("zone", "reload", "a.test", ok=False), "stays as before")
    bad += has(s.ctl("--json", "zone", "list"), "keyd has lost the key of this zone")
    if s.serial("a.test") != before:
        bad.append("it is another zone")
    bad += validated(s, "a.test")
    s.ctl("daemon", "stop", "keyd")
    shutil.rmtree(keys, ignore_errors=True)
    shutil.move(away, keys)
    s.ctl("daemon", "start", "keyd")
    s.wait_ready()
    s.ctl("zone", "reload", "a.test")
    return bad + validated(s, "a.test") + has(str(s.short("later.a.test", "A")), "192.0.2.11")


def all_is_lost(s):
    """Key and image: another key is made, which the parent does not know. That is told."""
    tell_parent(s, "n3.test")
    s.ctl("daemon", "stop", "dnsd")
    s.ctl("daemon", "stop", "keyd")
    for path in (*s.dir.glob("**/n3.test.image"), *(s.dir / "keys" / "zones").glob("n3.test*")):
        path.unlink()
    s.ctl("daemon", "start", "keyd")
    s.ctl("daemon", "start", "dnsd")
    s.wait_ready()
    until("that it is told", lambda: "parent's DS records are of other keys"
          in s.ctl("--json", "zone", "list", "n3.test"))
    bad = has(s.ctl("zone", "dnssec", "n3.test"), "WARNING: none of the parent's DS records")
    bad += has(s.log("hamletd", 10000), "error: zone-mismatch zone=n3.test ds=1")
    if s.states("n3.test") != ["new"]:
        bad.append(str(s.states("n3.test")))
    bad += has(s.ctl("zone", "dnssec", "n3.test", "--emergency"), "Hand this DS record to the parent")
    tell_parent(s, "n3.test")
    until("that the new DS is seen", lambda: s.states("n3.test") == ["active"])
    until("that all is well", lambda: "other keys" not in s.ctl("zone", "list")
          and "WARNING" not in s.ctl("zone", "dnssec", "n3.test"))
    tell_parent(s, "a.test")  # it has that one's DS again
    return bad + validated(s, "n3.test")


def killed_while_signing(s):
    """The zone is the old one or the new one, whole."""
    bad = []
    names = "".join(f"n{i} A 192.0.2.1\n" for i in range(3000))
    for turn in range(3):
        before = s.serial("a.test")
        s.write_zone("a.test", 1, names + f"turn{turn} A 192.0.2.1\n")
        reload = subprocess.Popen([BUILD / "hamletctl", "-r", s.run, "-c", s.dir, "zone", "reload",
                                   "a.test"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.1 + 0.4 * turn)
        old = s.pids("dnsd")
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        reload.wait(WAIT)
        until("that both are new",
              lambda: len(s.pids("dnsd")) == 2 and not set(s.pids("dnsd")) & set(old))
        s.wait_ready()
        until("that it is compiled", lambda: s.short(f"turn{turn}.a.test", "A"))
        bad += validated(s, "a.test")
        if s.serial("a.test") <= before:
            bad.append(f"serial {before}, then {s.serial('a.test')}")
    return bad


def images_are_lost(s):
    """keyd knows that the zone was signed; secondaries have a serial that nobody here knows."""
    before = s.serial("a.test")
    s.ctl("daemon", "stop", "dnsd")
    for image in s.dir.glob("**/*.image"):
        image.unlink()
    s.ctl("daemon", "start", "dnsd")
    s.wait_ready()
    until("that it is compiled", lambda: s.short("a.test", "SOA"))
    bad = validated(s, "a.test")
    if s.states("a.test") != ["leaving"]:
        bad.append(f"without images: {s.states('a.test')}")
    if s.serial("a.test") <= before:
        bad.append(f"without images: serial {before}, then {s.serial('a.test')}")
    return bad


def the_end(s):
    """dnssec off: signed until nobody knows a DS any more."""
    s.default = "dnssec off"
    s.write_conf("dnsd")
    s.ctl("daemon", "restart", "dnsd")
    until("that it leaves", lambda: s.states("a.test") == ["leaving"])
    bad = has(s.ctl("zone", "dnssec", "a.test"), "Signing is turned off", "--ds-seen")
    if s.short("a.test", "CDS") != ["0 0 0 00"]:
        bad.append(f"CDS {s.short('a.test', 'CDS')}")
    bad += validated(s, "a.test")
    bad += images_are_lost(s)
    tell_parent(s, "a.test")
    until("that there is no DS", lambda: s.states("a.test") == ["left"])
    bad += validated(s, "a.test")
    s.pass_time(90001)
    bad += has(s.ctl("zone", "dnssec", "a.test"), "The zone is not signed.")
    if s.short("a.test", "DNSKEY") or "RRSIG" in s.dig("www.a.test", "A", "+dnssec"):
        bad.append("it is still signed")
    return bad


def main():
    tap = Tap()
    if not shutil.which("delv"):
        tap.skip("signed zones", "there is no delv")
        tap.done()
    s = Dns()
    try:
        until("that both are signed", lambda: s.short("a.test", "DNSKEY")
              and s.short("n3.test", "DNSKEY"))
        import_zone(s)
        for zone in ("a.test", "n3.test"):
            tap.test(f"delv validates what is in {zone}, and what is not", validated, s, zone)
        tap.test("ldns-verify-zone takes it, by NSEC", zone_is_whole, s, "a.test")
        tap.test("and by NSEC3, with its digest", zone_is_whole, s, "n3.test", "-ZZ")
        for name, test in (
                ("another key validates nothing", a_key_that_is_not_ours),
                ("the first key waits, then a DS is asked for", first_signing),
                ("the parent's DS is seen", the_parents_ds_is_seen),
                ("or told by hand", ds_seen_by_hand),
                ("a change costs few signatures and moves the serial", a_change),
                ("a key is replaced", replacement),
                ("others' records of DNSSEC are left out", records_that_are_left_out),
                ("without keyd the zone stays", without_keyd),
                ("a zone of the store", a_zone_of_the_store),
                ("a keyd that has lost the key", keyd_without_the_key),
                ("key and image are lost, the parent has a DS", all_is_lost),
                ("kill -9 while a zone is signed", killed_while_signing),
                ("signing ends in order", the_end),
                ("signatures are renewed", renewal),
                ("without the store, too", the_store_is_away),
                ("or a text that can be read", a_text_with_mistakes)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
