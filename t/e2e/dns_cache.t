#!/usr/bin/env python3
"""dnsd's cache server, asked by dig and delv, over a private internet: a signed root, a signed zone,
one without signatures and one whose parent has another key's DS, all served by dnsd on addresses of
127/8, in a network namespace because servers are asked at port 53."""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import netns  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

WAIT = 60  # seconds: another process may have the CPU
ROOT, CHILD, OWN = "127.0.0.2", "127.0.0.3", "127.0.0.4"
STRANGER = "-b127.0.0.9"
SOA = "$TTL 300\n@ SOA ns.example. host.example. {serial} 3600 600 86400 300\n"
ROOT_ZONE = SOA + f"""@ NS ns.root.
ns.root. A {ROOT}
example. NS ns.example.
ns.example. A {CHILD}
plain. NS ns.example.
broken. NS ns.example.
"""
ZONES = {
    "example": f"""@ NS ns
ns A {CHILD}
www A 192.0.2.80
www A 192.0.2.81
alias CNAME www
away CNAME www.plain.
@ MX 10 www
*.wild TXT "wild"
dn DNAME wild
long TXT {" ".join(['"' + "x" * 200 + '"'] * 9)}
""",
    "plain": "@ NS ns.example.\nwww A 192.0.2.90\n",
    "broken": "@ NS ns.example.\nwww A 192.0.2.91\n",
}
OWN_ZONE = SOA + "@ NS ns\nns A 192.0.2.1\nwww CNAME www.example.\nown A 192.0.2.2\n"


def run(*args, stdin=None):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=WAIT,
                       check=False, input=stdin)
    return r.stdout + r.stderr


def dig(server, name, kind, *more, port=53):
    return run("dig", f"@{server}", "-p", port, "+tries=3", "+time=15", name, kind, *more)


class Internet(Supervised):
    """The content servers."""

    def __init__(self):
        super().__init__(["dnsd"], conf={"dnsd": ""})
        anchors = self.keys(ROOT, ".")
        self.anchors = [f". 3600 IN DNSKEY {key}" for key in anchors]
        lines = [self.ds("example", self.keys(CHILD, "example")),
                 self.ds("broken", self.keys(CHILD, "example"))]
        self.write_zone("root", ROOT_ZONE.format(serial=2) + "\n".join(lines) + "\n")
        self.ctl("zone", "reload", ".")

    def write_zone(self, name, text):
        folder = self.dir / "zones"
        folder.mkdir(mode=0o755, exist_ok=True)
        (folder / name).write_text(text)

    def write_conf(self, name):
        super().write_conf(name)
        if name != "dnsd":
            return
        self.write_zone("root", ROOT_ZONE.format(serial=1))
        for zone, text in ZONES.items():
            self.write_zone(zone, SOA.format(serial=1) + text)
        folder = self.dir / "zones"
        with (self.dir / "dnsd.conf").open("a") as f:
            f.write(f"content {ROOT}:53\ncontent {CHILD}:53\ndnssec on\nresolver 127.0.0.1:1\n"
                    f"zone . file {folder}/root\nzone example file {folder}/example\n"
                    f"zone broken file {folder}/broken\n"
                    f"zone plain {{\n\tfile {folder}/plain\n\tdnssec off\n}}\n")

    @staticmethod
    def keys(server, zone):
        return run("dig", f"@{server}", "+tcp", "+short", zone, "DNSKEY").splitlines()

    @staticmethod
    def ds(zone, keys):
        out = run("ldns-key2ds", "-n", "-2", "/dev/stdin",
                  stdin=f"example. 3600 IN DNSKEY {keys[0]}\n")
        return f"{zone}. 3600 IN DS {out.split('DS')[1].strip()}"


class Cache(Supervised):
    def __init__(self, internet):
        self.internet = internet
        super().__init__(["dnsd"], conf={"dnsd": ""})

    def write_conf(self, name):
        super().write_conf(name)
        if name != "dnsd":
            return
        (self.dir / "hints").write_text(f". 3600 NS ns.root.\nns.root. 3600 A {ROOT}\n")
        (self.dir / "anchors").write_text("\n".join(self.internet.anchors) + "\n")
        (self.dir / "own.zone").write_text(OWN_ZONE.format(serial=1))
        with (self.dir / "dnsd.conf").open("a") as f:
            f.write(f"cache 127.0.0.1:53\ncontent {OWN}:53\ncache {OWN}:53\n"
                    f"recursion-for 127.0.0.1\ntrust-anchor-file anchors\n"
                    f"zone own file {self.dir}/own.zone\n"
                    "recursion {\n\troot-hints hints\n\tipv6 off\n\tquery-log on\n}\n")

    def dig(self, name, kind, *more):
        return dig("127.0.0.1", name, kind, *more)

    def delv(self, name, kind, *more):
        path = self.dir / "delv"
        lines = []
        for anchor in self.internet.anchors:
            flags, proto, algorithm, *data = anchor.split("DNSKEY")[1].split()
            lines.append(f'. static-key {flags} {proto} {algorithm} "{"".join(data)}";')
        path.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
        return run("delv", "@127.0.0.1", "-a", path, name, kind, *more)


def flags(out):
    found = re.search(r"flags: ([a-z ]*);", out)
    return found.group(1).split() if found else []


def has(out, *words):
    return [f"no {w!r} in:\n{out}" for w in words if w not in out]


def has_not(out, *words):
    return [f"{w!r} in:\n{out}" for w in words if w in out]


def a_secure_answer(c, _):
    out = c.dig("www.example", "A", "+dnssec")
    bad = has(out, "NOERROR", "192.0.2.80", "192.0.2.81", "RRSIG")
    if set(flags(out)) != {"qr", "rd", "ra", "ad"}:
        bad.append(f"flags {flags(out)}")
    out = c.dig("WWW.Example", "A", "+noadflag")
    bad += has(out, "WWW.Example.", "192.0.2.80") + has_not(out, "RRSIG")
    return bad + (["AD though nobody asked"] if "ad" in flags(out) else [])


def a_validator_behind_it(c, _):
    bad = []
    for name, kind in (("www.example", "A"), ("alias.example", "A"), ("nothing.example", "A"),
                       ("www.example", "MX"), ("x.wild.example", "TXT"), ("x.wild.example", "A"),
                       ("x.dn.example", "TXT"), ("example", "DS"), ("example", "DNSKEY"),
                       ("nothing", "A")):
        out = c.delv(name, kind)
        if "fully validated" not in out or "broken trust" in out or "unsigned" in out:
            bad.append(f"{name} {kind}: {out}")
    return bad + has(c.delv("www.plain", "A"), "; unsigned answer", "192.0.2.90")


def an_insecure_zone(c, _):
    out = c.dig("www.plain", "A", "+dnssec")
    bad = has(out, "NOERROR", "192.0.2.90") + (["AD"] if "ad" in flags(out) else [])
    out = c.dig("away.example", "A", "+dnssec")
    return bad + has(out, "CNAME", "192.0.2.90") + (["AD"] if "ad" in flags(out) else [])


def a_bogus_zone(c, _):
    out = c.dig("www.broken", "A")
    bad = has(out, "SERVFAIL", "; EDE: ", "broken") + has_not(out, "192.0.2.91")
    return bad + has(c.dig("www.broken", "A", "+cd"), "NOERROR", "192.0.2.91")


def what_is_not_there(c, _):
    out = c.dig("nothing.example", "A")
    bad = has(out, "NXDOMAIN", "SOA") + has_not(out, "NSEC")
    bad += has(c.dig("nothing.example", "A", "+dnssec"), "NXDOMAIN", "SOA", "NSEC")
    bad += has(c.dig("below.nothing.example", "A"), "NXDOMAIN")
    out = c.dig("www.example", "TXT")
    return bad + has(out, "NOERROR", "ANSWER: 0", "SOA")


def strangers(c, _):
    out = c.dig("www.example", "A", STRANGER)
    bad = has(out, "REFUSED", "EDE: 18") + has_not(out, "192.0.2.80")
    return bad + (["RA"] if "ra" in flags(out) else [])


def without_rd(c, _):
    bad = has(c.dig("www.example", "A", "+norec"), "NOERROR", "192.0.2.80")
    return bad + has(c.dig("never.plain", "A", "+norec"), "REFUSED", "EDE: 20")


def what_is_long(c, _):
    out = c.dig("long.example", "TXT", "+ignore", "+bufsize=1232")
    bad = [] if "tc" in flags(out) else [out]
    return bad + has(c.dig("long.example", "TXT"), "(TCP)", "x" * 200)


def one_address_for_both(c, _):
    out = dig(OWN, "own.own", "A")
    bad = has(out, "192.0.2.2") + ([] if {"aa", "ra"} <= set(flags(out)) else [out])
    out = dig(OWN, "own.own", "A", STRANGER)
    bad += has(out, "192.0.2.2") + (["RA for a stranger"] if "ra" in flags(out) else [])
    bad += has(dig(OWN, "www.own", "A"), "CNAME", "192.0.2.80")
    bad += has_not(dig(OWN, "www.own", "A", STRANGER), "192.0.2.80")
    bad += has(dig(OWN, "www.example", "A"), "192.0.2.80")
    bad += has(dig(OWN, "www.example", "A", STRANGER), "REFUSED")
    # The resolver knows them without a delegation.
    return bad + has(c.dig("www.own", "A"), "CNAME", "192.0.2.80")


def from_the_desk(c, _):
    bad = has(c.ctl("dns", "lookup", "www.example"), "NOERROR, secure", "192.0.2.80", "RRSIG")
    c.ctl("dns", "flush", "www.broken")
    bad += has(c.ctl("dns", "lookup", "www.broken", "A"), "SERVFAIL, bogus", "broken")
    rows = [json.loads(line) for line in
            c.ctl("--json", "dns", "lookup", "www.plain", "A").splitlines()]
    if rows[0].get("security") != "insecure" or rows[1].get("data") != "192.0.2.90":
        bad.append(str(rows))
    out = c.ctl("dns", "explain", "www.example")
    bad += has(out, ROOT, "www.example", "signature by example", "secure")
    bad += has(c.ctl("dns", "dump", "example"), "www.example.", "192.0.2.80")
    stats = json.loads(c.ctl("--json", "dns", "stats"))
    if int(stats["entries"]) < 5 or int(stats["hits"]) < 1:
        bad.append(str(stats))
    bad += has(c.ctl("dns", "flush", "example", "--below"), "forgotten")
    bad += has_not(c.ctl("dns", "dump", "example"), "192.0.2.80")
    bad += has(c.ctl("dns", "lookup", "no..name", ok=False), "no domain name")
    return bad + has(c.ctl("metrics"), "dnsd_recursion_answers_total", "dnsd_upstream_sent_total")


def a_restart(c, _):
    bad = has(c.dig("www.example", "A"), "192.0.2.80")
    c.ctl("daemon", "stop", "dnsd")
    c.ctl("daemon", "start", "dnsd")
    c.wait_ready()
    out = c.dig("www.example", "A", "+norec", "+dnssec")
    return bad + has(out, "NOERROR", "192.0.2.80") + ([] if "ad" in flags(out) else ["no AD"])


def when_servers_are_away(c, internet):
    bad = has(c.dig("www.example", "A"), "192.0.2.80")
    c.move_clock(1000)
    problems = internet.close()
    out = c.dig("www.example", "A")
    bad += has(out, "NOERROR", "192.0.2.80", "EDE: 3", "\t30\t")
    out = c.dig("fresh.example", "A")
    return bad + problems + has(out, "SERVFAIL", "EDE: ")


CASES = (("an answer that is secure", a_secure_answer),
         ("a validator behind the cache has what it needs", a_validator_behind_it),
         ("a zone without signatures", an_insecure_zone),
         ("a zone whose signatures are wrong", a_bogus_zone),
         ("names and types that do not exist", what_is_not_there),
         ("strangers are refused", strangers),
         ("without RD from the cache alone", without_rd),
         ("long answers come by TCP", what_is_long),
         ("one address for our zones and for all names", one_address_for_both),
         ("hamletctl dns", from_the_desk),
         ("what was found is still there after a restart", a_restart),
         ("servers that are away: the expired answer, or why not", when_servers_are_away))


def main():
    names = [name for name, _ in CASES] + ["the daemons end cleanly"]
    try:
        netns.enter()
    except (netns.Refused, RuntimeError, OSError) as e:
        tap = Tap(len(names))
        for name in names:
            tap.skip(name, str(e).splitlines()[0])
        tap.done()
    tap = Tap(len(names))
    internet = Internet()
    try:
        cache = Cache(internet)
    except BaseException:
        internet.close()
        raise
    try:
        for name, case in CASES:
            if not tap.test(name, case, cache, internet):
                tap.note(cache.log("hamlet"))
    finally:
        internet.close()
        tap.ends(cache)
    tap.done()


main()
