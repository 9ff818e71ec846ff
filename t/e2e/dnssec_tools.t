#!/usr/bin/env python3
"""What independent validators say of zones that dnsd signs, below a signed root of our own: unbound
resolves and validates; delv, ldns-verify-zone, kzonecheck and DNSViz check. (The validns of Debian 12
knows no key of ECDSA, whoever signs.)"""
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / d) for d in ("lib", "bench")]
import peers  # noqa: E402
from port import free_port  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

WAIT = 60
HEAD = """$TTL 300
@ SOA ns1.a.test. hostmaster.a.test. {serial} 7200 3600 1209600 300
@ NS ns1.a.test.
"""
A_ZONE = """ns1 A 127.0.0.1
www A 192.0.2.80
web CNAME www
*.wild TXT "wild"
a.b.c.empty A 192.0.2.7
sub NS ns.sub
ns.sub A 192.0.2.53
dn DNAME other
www.other A 192.0.2.82
@ MX 10 www
"""
# The root, a zone in between, one with NSEC and one with NSEC3, one that is not signed.
ZONES = {".": "test NS ns1.a.test.\nns1.a.test. A 127.0.0.1\n",
         "test.": "a NS ns1.a\nn3 NS ns1.a\nplain NS ns1.a\nns1.a A 127.0.0.1\n",
         "a.test.": A_ZONE,
         "n3.test.": A_ZONE.replace("ns1 A 127.0.0.1\n", ""),
         "plain.test.": "www A 192.0.2.81\n"}
PARENT = {"test.": ".", "a.test.": "test.", "n3.test.": "test."}


def run(*args, check=True, **more):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120,
                       check=False, **more)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {r.returncode}: {r.stdout}{r.stderr}")
    return r.stdout + r.stderr


def until(what, fn):
    end = time.monotonic() + WAIT
    while not (got := fn()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen")
        time.sleep(0.1)
    return got


class Dns(Supervised):
    def __init__(self):
        super().__init__(["dnsd"], conf={"dnsd": ""})
        self.port = self.ports["content"]

    def write_conf(self, name):
        folder = self.dir / "zones"
        folder.mkdir(exist_ok=True)
        lines = "dnssec on\nallow-transfer 127.0.0.1\nresolver 127.0.0.1:1\n"
        for zone in ZONES:
            self.write_zone(zone, 1)
            lines += f"zone {zone} {{\n\tfile {self.path(zone)}\n"
            lines += {"n3.test.": "\tdnssec on {\n\t\tnsec3 on\n\t\tzonemd on\n\t}\n",
                      "plain.test.": "\tdnssec off\n"}.get(zone, "") + "}\n"
        self.extra["dnsd"] = lines
        super().write_conf(name)

    def path(self, zone):
        return self.dir / "zones" / (zone.strip(".") or "root")

    def write_zone(self, zone, serial, more=""):
        new = self.dir / "zones/new"
        new.write_text(HEAD.format(serial=serial) + ZONES[zone] + more)
        new.rename(self.path(zone))

    def dig(self, *words):
        return run("dig", "@127.0.0.1", "-p", self.port, "+norec", "+tries=5", "+time=10", *words)

    def delegate(self):
        """Each parent gets the DS records of its children; self.anchor is the root's key."""
        keys = {zone: until(f"{zone} is signed", lambda z=zone: self.dig(z, "DNSKEY", "+noall",
                                                                         "+answer"))
                for zone in (".", *PARENT)}
        ds = {}
        for zone, parent in PARENT.items():
            (self.dir / "key").write_text(keys[zone])
            ds.setdefault(parent, []).append(run("ldns-key2ds", "-n", "-2", self.dir / "key"))
        for parent, lines in ds.items():
            self.write_zone(parent, 2, "".join(lines))
            self.ctl("zone", "reload", parent)
        for zone in PARENT:
            until(f"the DS of {zone}", lambda z=zone: self.dig(z, "DS", "+short"))
        self.anchor = self.dir / "anchor"
        self.anchor.write_text(keys["."])

    def transferred(self, zone):
        path = self.dir / f"{zone.strip('.') or 'root'}.axfr"
        path.write_text(self.dig("AXFR", zone, "+onesoa", "+noall", "+answer"))
        return path


# --- checkers of whole zones ----------------------------------------------------------------------
def ldns(s):
    bad = []
    for zone in (".", *PARENT):
        out = run("ldns-verify-zone", "-k", s.anchor if zone == "." else write_key(s, zone),
                  s.transferred(zone), check=False)
        if "is verified and complete" not in out:
            bad.append(f"{zone}: {out[-800:]}")
    return bad


def write_key(s, zone):
    path = s.dir / f"{zone}key"
    path.write_text(s.dig(zone, "DNSKEY", "+noall", "+answer"))
    return path


def kzonecheck(s, program):
    bad = []
    for zone in (".", *PARENT):
        r = subprocess.run([program, "-d", "on", "-o", zone, s.transferred(zone)], check=False,
                           capture_output=True, text=True, timeout=60, env=peers.environment())
        if r.returncode or r.stdout + r.stderr:
            bad.append(f"{zone}: {r.returncode} {r.stdout}{r.stderr}")
    return bad


# --- a resolver -----------------------------------------------------------------------------------
class Unbound:
    def __init__(self, s, program):
        self.port = free_port()
        conf = s.dir / "unbound.conf"
        conf.write_text(f"""
server:
    directory: "{s.dir}"
    chroot: ""
    username: ""
    pidfile: "{s.dir}/unbound.pid"
    interface: 127.0.0.1@{self.port}
    do-not-query-localhost: no
    do-ip6: no
    use-syslog: no
    logfile: ""
    num-threads: 1
    local-zone: test. nodefault
    trust-anchor-file: "{s.anchor}"
    val-log-level: 2
    module-config: "validator iterator"
remote-control:
    control-enable: no
""" + "".join(f"stub-zone:\n    name: {zone}\n    stub-addr: 127.0.0.1@{s.port}\n" for zone in ZONES))
        self.log = s.dir / "unbound.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, "-d", "-c", conf], env=peers.environment(),
                                            stdout=log, stderr=log)
        peers.wait_port(self.port)

    def ask(self, *words):
        out = run("dig", "@127.0.0.1", "-p", self.port, "+dnssec", "+tries=3", "+time=10", *words)
        status, flags = re.search(r"status: (\w+)", out), re.search(r"flags: ([a-z ]*);", out)
        return (status.group(1), "ad" in flags.group(1).split())

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def unbound(s, program):
    resolver, bad = Unbound(s, program), []
    try:
        for words, want in (
                ("www.a.test A", ("NOERROR", True)), ("www.n3.test A", ("NOERROR", True)),
                ("web.a.test A", ("NOERROR", True)), ("x.wild.a.test TXT", ("NOERROR", True)),
                ("x.wild.n3.test TXT", ("NOERROR", True)), ("x.wild.n3.test A", ("NOERROR", True)),
                ("www.a.test TXT", ("NOERROR", True)), ("empty.a.test A", ("NOERROR", True)),
                ("nothing.a.test A", ("NXDOMAIN", True)), ("nothing.n3.test A", ("NXDOMAIN", True)),
                ("c.empty.n3.test A", ("NOERROR", True)), ("www.dn.a.test A", ("NOERROR", True)),
                ("www.dn.n3.test A", ("NOERROR", True)), ("a.test MX", ("NOERROR", True)),
                ("nothing.test A", ("NXDOMAIN", True)), ("plain.test DS", ("NOERROR", True)),
                ("www.plain.test A", ("NOERROR", False)), ("test SOA", ("NOERROR", True)),
                (". DNSKEY", ("NOERROR", True)), ("n3.test ZONEMD", ("NOERROR", True))):
            got = resolver.ask(*words.split())
            if got != want:
                bad.append(f"{words}: {got}, expected {want}")
    finally:
        resolver.close()
    return bad + ([resolver.log.read_text()[-2000:]] if bad else [])


# --- chains ---------------------------------------------------------------------------------------
def delv(s):
    flags, proto, algorithm, key = s.anchor.read_text().split(maxsplit=7)[4:8]
    anchors, bad = s.dir / "delv.keys", []
    anchors.write_text(f'trust-anchors {{ . static-key {flags} {proto} {algorithm} '
                       f'"{key.strip().replace(" ", "")}"; }};\n')
    for name, kind in (("www.a.test", "A"), ("www.n3.test", "A"), ("x.wild.a.test", "TXT")):
        out = run("delv", "@127.0.0.1", "-p", s.port, "-a", anchors, "+root=.", name, kind)
        if "; fully validated" not in out:
            bad.append(f"{name}: {out}")
    return bad


# What DNSViz looks for in a module of another version.
RELEASE = """import runpy, sys, types, pygraphviz
pygraphviz.release = types.SimpleNamespace(version="1.7")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def troubles(told, where=""):
    """Every list of errors and warnings in what DNSViz says, and statuses that are not good."""
    out = []
    if isinstance(told, dict):
        for key, value in told.items():
            if key in ("errors", "warnings") and value:
                out += [f"{where}: {key}: {json.dumps(value)[:400]}"]
            elif key == "status" and value in ("BOGUS", "INVALID", "EXPIRED", "INDETERMINATE"):
                out += [f"{where}: {value}"]
            else:
                out += troubles(value, f"{where}/{key}")
    elif isinstance(told, list):
        for i, value in enumerate(told):
            out += troubles(value, f"{where}/{i}")
    return out


def dnsviz(s, folder):
    env = dict(peers.environment(), PYTHONPATH=str(folder / "usr/lib/python3/dist-packages"))
    words = ["/usr/bin/python3", "-c", RELEASE, folder / "usr/bin/dnsviz"]
    at = f"ns1.a.test=127.0.0.1:{s.port}"
    explicit = [w for zone in (".", *PARENT) for w in ("-x", f"{zone}+:{at}")]
    probed, grokked = s.dir / "probed", s.dir / "grokked"
    run(*words, "probe", "-4", "-A", "-a", ".", *explicit, "-o", probed, "a.test", "n3.test",
        env=env)
    run(*words, "grok", "-t", s.anchor, "-r", probed, "-o", grokked, env=env)
    told = json.loads(grokked.read_text())
    text = json.dumps(told)
    return troubles(told)[:20] + ([] if text.count('"VALID"') > 20 else [text[:2000]])


def main():
    tap = Tap()
    s = Dns()
    try:
        tap.test("each parent has the DS of its children", s.delegate)
        tap.test("ldns-verify-zone", ldns, s)
        tap.test("delv, from the root", delv, s)
        for name, test, find in (("kzonecheck", kzonecheck, peers.kzonecheck),
                                 ("unbound", unbound, peers.unbound),
                                 ("DNSViz", dnsviz, peers.dnsviz)):
            try:
                program = find()
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                tap.skip(name, f"it cannot be had: {e}")
            else:
                tap.test(name, test, s, program)
    finally:
        tap.ends(s)
    tap.done()


main()
