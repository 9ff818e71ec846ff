#!/usr/bin/env python3
"""Dynamic updates (RFC 2136) of zones in the store, by nsupdate and knsupdate: what is done, what is
refused and how; what is sent twice is done once; and kill -9 of stored in a stream of updates loses
none that was acknowledged."""
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Suite  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
KILLS = 12 if LONG else 4
SECONDS = 30  # that anything may take

ZONE = """\
$TTL 300
@       SOA ns1 hostmaster 1 1h 10m 4w 5m
        NS  ns1
        NS  ns2
        MX  10 mail
ns1     A   192.0.2.1
ns2     A   192.0.2.2
mail    A   192.0.2.3
www     CNAME mail
set     A   192.0.2.4
        A   192.0.2.5
"""
CONF = """key laptop file {keys}/laptop
key admin file {keys}/admin
zone a.test {{
	update {{
		key laptop
		names host.a.test *.dyn.a.test
		types A AAAA TXT
	}}
	update {{
		key admin
	}}
}}
zone b.test {{
	update {{
		clients 127.0.0.1
	}}
}}
zone file.test file {zones}/file.test
allow-transfer 127.0.0.1
"""
# It knows one of the keys.
SECONDARY = """key admin file {keys}/admin
zone a.test {{
	primary 127.0.0.1 port 1
	primary 127.0.0.1 port {port}
	forward-updates on
}}
zone b.test from 127.0.0.1 port {port}
transfer-in {{
	retry-least 1s
	retry-most 1s
}}
"""
NOERROR, SERVFAIL, REFUSED = 0, 2, 5


class Update(Suite):
    def __init__(self):
        self.keys = {}
        super().__init__(["dnsd"])
        self.port = self.ports["content"]
        text = self.dir / "zone.text"
        text.write_text(ZONE)
        for zone in ("a.test", "b.test"):
            self.ctl("zone", "import", zone, str(text))
        for zone in ("a.test", "b.test", "file.test"):
            until(lambda z=zone: self.dig(f"ns1.{z}", "A") == ["192.0.2.1"])

    def write_conf(self, name):
        if name == "dnsd":
            for folder in ("tsig", "zones"):
                (self.dir / folder).mkdir(exist_ok=True)
            for key in ("laptop", "admin", "stranger"):
                out = subprocess.run([BUILD / "hamletctl", "zone", "key", key], text=True,
                                     capture_output=True, check=True, timeout=60).stdout
                self.keys[key] = out.split()[0]
                (self.dir / "tsig" / key).write_text(out)
                (self.dir / "tsig" / key).chmod(0o600)
            (self.dir / "zones/file.test").write_text(ZONE)
            self.extra["dnsd"] = CONF.format(keys=self.dir / "tsig", zones=self.dir / "zones")
        super().write_conf(name)

    def dig(self, name, kind):
        out = run("dig", "@127.0.0.1", "-p", self.port, "+short", "+tries=3", "+time=5", name, kind)
        return sorted(out.stdout.split("\n")[:-1])

    def nsupdate(self, key, *lines, tcp=False, port=None):
        """None, or how it failed."""
        words = ["nsupdate", "-t", "30", "-r", "5"]
        words += ["-v"] if tcp else []
        words += ["-y", self.keys[key]] if key else []
        text = "\n".join([f"server 127.0.0.1 {port or self.port}", *lines, "send", ""])
        r = run(*words, text=text)
        found = re.search(r"update failed: (.*)", r.stdout + r.stderr)
        if found:
            return found[1]
        return None if r.returncode == 0 else r.stdout + r.stderr

    def knsupdate(self, key, *lines):
        text = "\n".join([f"server 127.0.0.1 {self.port}", *lines, "send", ""])
        r = run("knsupdate", *(["-y", self.keys[key]] if key else []), text=text)
        found = re.search(r"update failed with error '(.*)'", r.stdout + r.stderr)
        if found:
            return found[1]
        return None if r.returncode == 0 else r.stdout + r.stderr

    def exported(self, zone):
        return {tuple(line.split(None, 3)[:1] + line.split(None, 4)[3:])
                for line in self.ctl("zone", "export", zone).splitlines()}


def run(*words, text=None):
    return subprocess.run(list(map(str, words)), input=text, capture_output=True, text=True,
                          timeout=120, check=False)


def until(fn):
    end = time.monotonic() + SECONDS
    while not fn():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def expect(problems, what, got, want):
    if got != want:
        problems.append(f"{what}: {got!r}, not {want!r}")


def sees(problems, suite, name, kind, want):
    if not until(lambda: suite.dig(name, kind) == want):
        problems.append(f"{name} {kind}: {suite.dig(name, kind)}, not {want}")


def test_changes(suite):
    problems = []
    for update in (suite.nsupdate, suite.knsupdate,
                   lambda *words: suite.nsupdate(*words, tcp=True)):
        expect(problems, "add", update("laptop", "zone a.test",
                                       "add host.a.test. 60 A 192.0.2.99",
                                       "add x.y.dyn.a.test. 60 TXT \"a b\""), None)
        sees(problems, suite, "host.a.test", "A", ["192.0.2.99"])
        sees(problems, suite, "x.y.dyn.a.test", "TXT", ['"a b"'])
        expect(problems, "replace", update("laptop", "zone a.test",
                                           "del host.a.test. A",
                                           "add host.a.test. 60 A 192.0.2.98"), None)
        sees(problems, suite, "host.a.test", "A", ["192.0.2.98"])
        expect(problems, "delete", update("admin", "zone a.test", "del host.a.test.",
                                          "del x.y.dyn.a.test. TXT \"a b\""), None)
        sees(problems, suite, "host.a.test", "A", [])
        sees(problems, suite, "x.y.dyn.a.test", "TXT", [])
        if problems:
            break
    # nsupdate finds the zone by itself (it asks for the SOA).
    expect(problems, "without zone", suite.nsupdate("laptop", "add host.a.test. 60 A 192.0.2.97"),
           None)
    sees(problems, suite, "host.a.test", "A", ["192.0.2.97"])
    expect(problems, "back", suite.nsupdate("laptop", "zone a.test", "del host.a.test. A"), None)
    return problems


def test_needs(suite):
    problems = []
    for line, want in (
            ("prereq nxdomain www.a.test.", "YXDOMAIN"),
            ("prereq nxdomain new.a.test.", None),
            ("prereq yxdomain new.a.test.", "NXDOMAIN"),
            ("prereq yxdomain www.a.test.", None),
            ("prereq nxrrset www.a.test. CNAME", "YXRRSET"),
            ("prereq nxrrset www.a.test. TXT", None),
            ("prereq yxrrset www.a.test. TXT", "NXRRSET"),
            ("prereq yxrrset www.a.test. CNAME", None),
            ("prereq yxrrset set.a.test. IN A 192.0.2.4", "NXRRSET"),
            ("prereq yxrrset set.a.test. IN A 192.0.2.4\n"
             "prereq yxrrset set.a.test. IN A 192.0.2.5", None)):
        for tool in (suite.nsupdate, suite.knsupdate):
            if tool == suite.knsupdate:
                line = line.replace(" IN A", " A")
            got = tool("admin", "zone a.test", line, "add need.a.test. 60 A 192.0.2.77")
            expect(problems, line, got, want)
            there = any(r[0] == "need.a.test." for r in suite.exported("a.test"))
            expect(problems, f"{line}: changed", there, want is None)
            expect(problems, "back", suite.nsupdate("admin", "zone a.test",
                                                    "del need.a.test. A"), None)
    return problems


def test_refusals(suite):
    problems, before = [], suite.exported("a.test") | suite.exported("b.test")
    suite.keys["wrong"] = suite.keys["laptop"][:-8] + "AAAAAAA="
    add = "add host.a.test. 60 A 192.0.2.99"
    for what, key, lines, want in (
            ("no key", None, ("zone a.test", add), "REFUSED"),
            ("unknown key", "stranger", ("zone a.test", add), "NOTAUTH(BADKEY)"),
            ("wrong secret", "wrong", ("zone a.test", add), "NOTAUTH(BADSIG)"),
            ("another name", "laptop", ("zone a.test", "add www2.a.test. 60 A 192.0.2.9"),
             "REFUSED"),
            ("one name of two", "laptop", ("zone a.test", add, "del set.a.test. A"), "REFUSED"),
            ("another type", "laptop", ("zone a.test", "add host.a.test. 60 MX 1 mail.a.test."),
             "REFUSED"),
            ("all types", "laptop", ("zone a.test", "del host.a.test."), "REFUSED"),
            ("the zone's own records", "admin", ("zone a.test", "del a.test. NS ns1.a.test."),
             "REFUSED"),
            ("another zone's key", "laptop", ("zone b.test", "add x.b.test. 60 A 192.0.2.9"), None),
            ("a zone that is not ours", "admin", ("zone c.test", "add x.c.test. 60 A 192.0.2.9"),
             "NOTAUTH"),
            ("a name outside", "admin", ("zone a.test", "add x.b.test. 60 A 192.0.2.9"), "NOTZONE"),
            ("what is below a delegation", "admin",
             ("zone a.test", "add sub.a.test. 60 NS ns1.a.test.", "add x.sub.a.test. 60 TXT x"),
             "REFUSED"),
            ("a zone of a file", "admin", ("zone file.test", "add x.file.test. 60 A 192.0.2.9"),
             "REFUSED")):
        expect(problems, what, suite.nsupdate(key, *lines), want)
    expect(problems, "back", suite.nsupdate(None, "zone b.test", "del x.b.test."), None)
    log = (suite.dir / "dnsd.log").read_text()
    for want in (f"{suite.dir}/zones/file.test", "www2.a.test"):
        if want not in log:
            problems.append(f"the log has no {want}")
    soa = {r for r in before if r[1].startswith("SOA")}
    expect(problems, "the zones", before - soa,
           {r for r in suite.exported("a.test") | suite.exported("b.test")
            if not r[1].startswith("SOA")})
    return problems


def test_many(suite):
    """As many as a message holds, in one of them."""
    problems = []
    lines = [f"add n{i}.dyn.a.test. 60 A 192.0.2.{i % 250}" for i in range(2000)]
    expect(problems, "adds", suite.nsupdate("admin", "zone a.test", *lines, tcp=True), None)
    sees(problems, suite, "n1999.dyn.a.test", "A", ["192.0.2.249"])
    lines = [f"del n{i}.dyn.a.test." for i in range(2000)]
    expect(problems, "deletes", suite.nsupdate("admin", "zone a.test", *lines, tcp=True), None)
    sees(problems, suite, "n1999.dyn.a.test", "A", [])
    return problems


# --- messages of our own

def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def message(zone, name, text, serial=None):
    serial = random.randrange(65536) if serial is None else serial
    data = bytes([len(text)]) + text.encode()
    return struct.pack(">6H", serial, 5 << 11, 1, 0, 1, 0) + wire(zone) + struct.pack(">HH", 6, 1) \
        + wire(name) + struct.pack(">HHIH", 16, 1, 60, len(data)) + data


def rcode_of(sock, packet):
    """Sends it until there is an answer; None: there was none."""
    for _ in range(30):
        sock.send(packet)
        try:
            while True:
                got = sock.recv(4096)
                if got[:2] == packet[:2] and got[2] & 0x80:
                    return got[3] & 15
        except TimeoutError:
            pass
    return None


def test_replay(suite):
    """A relay keeps what nsupdate sends; played again, with another id, it changes nothing."""
    problems, seen = [], []
    relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(("127.0.0.1", 0))
    relay.settimeout(0.2)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.connect(("127.0.0.1", suite.port))
    server.settimeout(5)
    over = threading.Event()

    def pump():
        while not over.is_set():
            try:
                packet, client = relay.recvfrom(4096)
            except TimeoutError:
                continue
            seen.append(packet)
            server.send(packet)
            relay.sendto(server.recv(4096), client)

    thread = threading.Thread(target=pump)
    thread.start()
    expect(problems, "add", suite.nsupdate("laptop", "zone a.test",
                                           "prereq nxdomain host.a.test.",
                                           "add host.a.test. 60 A 192.0.2.66",
                                           port=relay.getsockname()[1]), None)
    over.set()
    thread.join(30)
    expect(problems, "delete", suite.nsupdate("admin", "zone a.test", "del host.a.test."), None)
    for packet in (seen[-1], b"\x12\x34" + seen[-1][2:]):
        expect(problems, "again", rcode_of(server, packet), NOERROR)
    # Without a signature: the same from the same socket.
    packet = message("b.test", "once.b.test", "x")
    expect(problems, "unsigned", rcode_of(server, packet), NOERROR)
    expect(problems, "delete", suite.nsupdate(None, "zone b.test", "del once.b.test."), None)
    expect(problems, "unsigned, again", rcode_of(server, packet), NOERROR)
    names = {r[0] for r in suite.exported("a.test") | suite.exported("b.test")}
    expect(problems, "names", names & {"host.a.test.", "once.b.test."}, set())
    relay.close()
    server.close()
    return problems


class Secondary(Suite):
    def __init__(self, primary):
        self.primary = primary
        super().__init__(["dnsd"])
        self.port = self.ports["content"]

    def write_conf(self, name):
        if name == "dnsd":
            self.extra["dnsd"] = SECONDARY.format(keys=self.primary.dir / "tsig",
                                                  port=self.primary.port)
        super().write_conf(name)


def test_forward(suite, secondary):
    """The primary decides, also about a key that the secondary does not know."""
    problems = []
    if not until(lambda: run("dig", "@127.0.0.1", "-p", secondary.port, "+short", "+tries=2",
                             "set.a.test", "A").stdout.split()):
        return ["the secondary has no zone"]
    for key in ("admin", "laptop"):
        for tcp in (False, True):
            for line, want in (("add host.a.test. 60 A 192.0.2.55", ["192.0.2.55"]),
                               ("del host.a.test. A", [])):
                expect(problems, f"{key}: {line}", suite.nsupdate(
                    key, "zone a.test", line, tcp=tcp, port=secondary.port), None)
                sees(problems, suite, "host.a.test", "A", want)
    for what, key, lines, want in (
            ("not its name", "laptop", ("zone a.test", "del set.a.test. A"), "REFUSED"),
            ("a key that nobody knows", "stranger", ("zone a.test", "del set.a.test."),
             "NOTAUTH(BADKEY)"),
            ("wrong secret", "wrong", ("zone a.test", "del set.a.test."), "NOTAUTH(BADSIG)"),
            ("prerequisite", "admin", ("zone a.test", "prereq nxdomain www.a.test.",
                                       "del www.a.test."), "YXDOMAIN"),
            ("not signed", None, ("zone a.test", "del set.a.test."), "REFUSED"),
            ("not forwarded", "admin", ("zone b.test", "del set.b.test."), "NOTAUTH")):
        expect(problems, what, suite.nsupdate(key, *lines, port=secondary.port), want)
    suite.stop("dnsd")
    expect(problems, "without the primary", suite.nsupdate(
        "admin", "zone a.test", "del set.a.test.", port=secondary.port), "SERVFAIL")
    suite.start("dnsd")
    sees(problems, suite, "set.a.test", "A", ["192.0.2.4", "192.0.2.5"])
    return problems


class Stream(threading.Thread):
    """Updates one after the other; those that were acknowledged, and those that may be there."""

    def __init__(self, suite, number):
        super().__init__()
        self.suite, self.number = suite, number
        self.good, self.unknown, self.other = [], [], []
        self.over = threading.Event()

    def run(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(("127.0.0.1", self.suite.port))
        sock.settimeout(2)
        n = 0
        while not self.over.is_set():
            n += 1
            name = f"u{n}.s{self.number}.b.test"
            rcode = rcode_of(sock, message("b.test", name, f"text {n}"))
            if rcode == NOERROR:
                self.good.append(name)
            elif rcode in (SERVFAIL, None):
                self.unknown.append(name)
            else:
                self.other.append((name, rcode))
        sock.close()


def test_kills(suite):
    problems = []
    streams = [Stream(suite, i) for i in range(4)]
    for s in streams:
        s.start()
    for i in range(KILLS):
        counts = [len(s.good) for s in streams]
        if not until(lambda c=counts: all(len(s.good) > n + 5 for s, n in zip(streams, c))):
            problems.append(f"kill {i}: the streams stand still")
            break
        time.sleep(random.random() / 5)
        suite.stop("stored", signal.SIGKILL)
        suite.start("stored")
    for s in streams:
        s.over.set()
    for s in streams:
        s.join(90)
    there = {r[0] for r in suite.exported("b.test")}
    for s in streams:
        lost = [name for name in s.good if name + "." not in there]
        if lost:
            problems.append(f"{len(lost)} of {len(s.good)} acknowledged updates are lost: {lost[:3]}")
        expect(problems, "other rcodes", s.other, [])
    sent = {name + "." for s in streams for name in s.good + s.unknown}
    expect(problems, "names that nobody sent",
           {n for n in there if re.match(r"u\d", n)} - sent, set())
    expect(problems, "check", suite.ctl("check"), "")
    last = streams[0].good[-1]
    sees(problems, suite, last, "TXT", [f'"text {re.match(r"u([0-9]+)", last)[1]}"'])
    print(f"# {sum(len(s.good) for s in streams)} acknowledged,"
          f" {sum(len(s.unknown) for s in streams)} not")
    return problems


def main():
    tap = Tap(9)
    suite = Update()
    secondary = None
    try:
        tap.test("records come and go", test_changes, suite)
        tap.test("prerequisites", test_needs, suite)
        tap.test("what is refused", test_refusals, suite)
        tap.test("thousands at once", test_many, suite)
        tap.test("what is sent twice is done once", test_replay, suite)
        secondary = Secondary(suite)
        tap.test("a secondary passes them on", test_forward, suite, secondary)
        tap.test(f"{KILLS} times kill -9 of stored in streams of updates", test_kills, suite)
    finally:
        if secondary:
            tap.ends(secondary)
        tap.ends(suite)
    tap.done()


main()
