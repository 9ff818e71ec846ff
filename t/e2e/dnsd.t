#!/usr/bin/env python3
"""dnsd under hamletd, two processes, asked by dig, drill and kdig."""
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from dnswire import query, read_exact  # noqa: E402
from suite import BUILD, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

HEAD = """$ORIGIN a.test.
$TTL 3600
@ SOA ns1 hostmaster {serial} 7200 3600 1209600 300
@ NS ns1
@ NS ns2.b.test.
marker TXT "{serial}"
"""
ZONE = """ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
@ MX 10 mail
@ MX 20 mail.else.test.
@ TXT "v=spf1 -all"
mail A 192.0.2.25
WWW A 192.0.2.80
www A 192.0.2.81
www AAAA 2001:db8::80
web CNAME www
out CNAME www.else.test.
hops CNAME web
dangling CNAME nothing
*.wild A 192.0.2.99
*.wild TXT "wild"
there.wild A 192.0.2.98
*.alias CNAME www
a.b.c.empty A 192.0.2.7
sub NS ns.sub
sub NS ns.else.test.
ns.sub A 192.0.2.53
dn DNAME other.a.test.
www.other A 192.0.2.82
_sip._tcp SRV 0 5 5060 mail
caa CAA 0 issue "ca.test"
odd TYPE65400 \\# 4 c0000201
svc HTTPS 1 . alpn=h2 ipv4hint=192.0.2.80
many A 192.0.2.101
""" + "".join(f"many A 192.0.2.{i}\n" for i in range(102, 140)) + "".join(
    f'big TXT "{i:03} {"x" * 200}"\n' for i in range(40))
CONF = """zone a.test file zones/a.test
zone broken.test file zones/broken.test
nsid "one of two"
identity "server"
refuse 127.0.0.9
rrl {
	responses-per-second 20
	exempt 127.0.0.1
}
"""


class Dns(Supervised):
    def __init__(self):
        super().__init__(["dnsd"], conf={"dnsd": CONF}, processes={"dnsd": 2})
        self.port, self.tls = self.ports["content"], self.ports["content-tls"]

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            self.zone(1)
            (self.dir / "zones/broken.test").write_text("@ SOA ns1 host 1 2 3 4\n@ A 1.2.3\n")
        super().write_conf(name)

    def zone(self, serial, more=""):
        """Another text of a.test, put in place whole."""
        path = self.dir / "zones/a.test"
        path.with_suffix(".new").write_text(HEAD.format(serial=serial) + ZONE + more)
        path.with_suffix(".new").rename(path)

    def stat(self, name):
        """The sum of a counter over the processes."""
        return sum(float(line.split()[-1]) for line in self.ctl("metrics").splitlines()
                   if line.startswith(f"hamlet_dnsd_{name}{{"))


def run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                          check=False).stdout


def dig(s, *words, at="127.0.0.1", port=None):
    return run("dig", f"@{at}", "-p", port or s.port, "+tries=3", "+time=10", *words)


def has(text, *parts):
    return [f"no {p!r} in:\n{text}" for p in parts if p not in text]


# --- transports -----------------------------------------------------------------------------------
def udp_and_tcp(s):
    out = dig(s, "www.a.test", "A")
    bad = has(out, "status: NOERROR", "192.0.2.80", "192.0.2.81", "flags: qr aa", "(UDP)")
    out = dig(s, "www.a.test", "AAAA", "+tcp")
    bad += has(out, "2001:db8::80", "(TCP)")
    return bad + has(run("drill", "-p", s.port, "mail.a.test", "@127.0.0.1"), "192.0.2.25")


def truncated(s):
    out = dig(s, "big.a.test", "TXT", "+ignore")
    bad = has(out, " tc ", "ANSWER: 0")
    out = dig(s, "big.a.test", "TXT")
    return bad + has(out, "ANSWER: 40", "(TCP)")


def read_answers(sock, n):
    return [read_exact(sock, *struct.unpack(">H", read_exact(sock, 2))) for _ in range(n)]


def pipelined(s):
    with socket.create_connection(("127.0.0.1", s.port), timeout=30) as sock:
        names = ["www.a.test", "nothing.a.test", "x.wild.a.test"]
        sock.sendall(b"".join(struct.pack(">H", len(q)) + q for q in
                              (query(names[i % 3], "A", number=i) for i in range(300))))
        sock.shutdown(socket.SHUT_WR)
        got = read_answers(sock, 300)
        rest = sock.recv(1)
    bad = [f"{i}: {a[:4].hex()}" for i, a in enumerate(got)
           if struct.unpack(">H", a[:2])[0] != i or a[3] & 15 != (3 if i % 3 == 1 else 0)]
    return bad + ([] if rest == b"" else ["more than the answers came"])


def over_tls(s):
    out = run("kdig", "@127.0.0.1", "-p", s.tls, "+tls", f"+tls-ca={s.ca}", "+tls-host=a.test",
              "+padding=128", "+keepopen", "www.a.test", "A", "big.a.test", "TXT")
    bad = has(out, "192.0.2.80", "TLS session", "x" * 200)
    ctx = ssl.create_default_context(cafile=str(s.ca))
    ctx.set_alpn_protocols(["dot"])
    with socket.create_connection(("127.0.0.1", s.tls), timeout=30) as raw, \
            ctx.wrap_socket(raw, server_hostname="a.test") as sock:
        q = query("www.a.test", "A", edns=1232)
        sock.sendall((struct.pack(">H", len(q)) + q) * 50)
        read_answers(sock, 50)
        if sock.selected_alpn_protocol() != "dot":
            bad.append(f"ALPN {sock.selected_alpn_protocol()}")
    ctx.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection(("127.0.0.1", s.tls), timeout=30) as raw, \
                ctx.wrap_socket(raw, server_hostname="a.test"):
            bad.append("another protocol's client is taken")
    except ssl.SSLError:
        pass
    return bad


# --- what a response says -------------------------------------------------------------------------
def cookies(s):
    out = dig(s, "www.a.test", "+cookie=0123456789abcdef")
    got = re.search(r"COOKIE: (0123456789abcdef[0-9a-f]{32}) \(good\)", out)
    if not got:
        return [out]
    before = s.stat("queries_with_cookie_total")
    for _ in range(8):  # whichever process is asked
        out = dig(s, "www.a.test", f"+cookie={got.group(1)}")
    after = s.stat("queries_with_cookie_total")
    return has(out, "status: NOERROR") + ([] if after == before + 8 else [f"{before} {after}"])


def names_of_the_server(s):
    bad = has(dig(s, "www.a.test", "+nsid"), '("one of two")')
    bad += has(dig(s, "id.server", "CH", "TXT"), '"server"')
    return bad + has(dig(s, "version.bind", "CH", "TXT"), "status: REFUSED")


def refusals(s):
    bad = has(dig(s, "www.a.test", "-b", "127.0.0.9"), "status: REFUSED")
    bad += has(dig(s, "www.a.test", "-b", "127.0.0.9", "+tcp"), "status: REFUSED")
    bad += has(dig(s, "www.else.test"), "status: REFUSED")
    bad += has(dig(s, "www.broken.test"), "status: SERVFAIL")
    return bad + has(dig(s, "a.test", "AXFR"), "Transfer failed")


def a_flood_is_limited(s):
    """From a network that is not exempt: what goes out is little more than what comes in."""
    q = query("big.a.test", "TXT", edns=1232)
    plain = query("many.a.test", "A", edns=1232)
    out = into = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.5.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect(("127.0.0.1", s.port))
        sock.settimeout(1)
        for i in range(5000):
            into += sock.send(q if i % 2 else plain)
            if i % 50 == 0:
                time.sleep(0.001)
        try:
            while True:
                out += len(sock.recv(65536))
        except TimeoutError:
            pass
    dropped, slipped = s.stat("rrl_dropped_total"), s.stat("rrl_slipped_total")
    bad = [] if out < 1.5 * into else [f"{into} octets came, {out} went"]
    return bad + ([] if dropped and slipped else [f"dropped {dropped}, slipped {slipped}"])


# --- change ---------------------------------------------------------------------------------------
class Asker(threading.Thread):
    """Asks for the marker all the time; each question has one answer, of a whole zone."""

    def __init__(self, s):
        super().__init__()
        self.s, self.over, self.count, self.bad, self.seen = s, False, 0, [], set()

    def run(self):
        while not self.over:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(20)
                try:
                    sock.connect(("127.0.0.1", self.s.port))
                    sock.send(query("marker.a.test", "TXT", self.count & 0xffff))
                    answer = sock.recv(4096)
                    self.seen.add(int(answer[-1:] if answer[-2:-1] == b"\1" else answer[-2:]))
                except (OSError, ValueError) as e:
                    self.bad.append(f"question {self.count}: {e!r}")
            self.count += 1
            time.sleep(0.002)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()

    def problems(self, *serials):
        return self.bad[:3] + ([] if self.seen == set(serials) else
                               [f"saw {self.seen}, not {serials}"])


def short(s, name, kind, word):
    """A word of the answer as a number; None: it failed, as it may while the processes are new."""
    for line in dig(s, name, kind, "+short").splitlines():
        words = line.replace('"', "").split()
        if line[:1] != ";" and len(words) > word and words[word].isdigit():
            return int(words[word])
    return None


def soa(s):
    return short(s, "a.test", "SOA", 2)


def all_have(s, serial):
    return [f"serial {got}" for got in (soa(s) for _ in range(12)) if got != serial]


def reload_keeps_answering(s):
    with Asker(s) as asker:
        time.sleep(0.2)
        s.zone(2)
        out = s.ctl("zone", "reload", "a.test")
        bad = has(out, "a.test: serial 2") + all_have(s, 2)
        time.sleep(0.2)
    return bad + asker.problems(1, 2)


def a_broken_text_changes_nothing(s):
    s.zone(3, "www CNAME web\nx A 300.1.2.3\n")
    out = s.ctl("zone", "reload", "a.test", ok=False)
    bad = has(out, "stays as before")
    told = run(BUILD / "hamletctl", "-r", s.run, "zone", "reload", "a.test")
    bad += has(told, "zones/a.test:", "300.1.2.3") + all_have(s, 2)
    bad += has(s.ctl("zone", "list"), "old", "failed")
    s.zone(4)
    return bad + has(s.ctl("zone", "reload", "a.test"), "serial 4") + all_have(s, 4)


def restart_keeps_answering(s):
    s.zone(5)
    with Asker(s) as asker:
        time.sleep(0.2)
        s.ctl("daemon", "restart", "dnsd")
        time.sleep(0.5)
    s.wait_ready()
    return all_have(s, 5) + asker.problems(4, 5)


def killed_while_it_compiles(s):
    """The zone is the old or the new one, whole; and in the end the new one."""
    more = "".join(f"host{i} A 192.0.2.1\nhost{i} TXT \"number {i}\"\n" for i in range(60000))
    bad = []
    for serial in (6, 7, 8):
        s.zone(serial, more)
        caller = subprocess.Popen([BUILD / "hamletctl", "-r", s.run, "zone", "reload"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.1 * (serial - 5))
        for pid in s.pids("dnsd"):
            os.kill(pid, signal.SIGKILL)
        caller.wait(60)
        end = time.monotonic() + 60
        seen = set()
        while time.monotonic() < end and seen != {serial}:
            seen = {soa(s)}
            for got in (*seen, short(s, "marker.a.test", "TXT", 0)):
                if got not in (None, serial - 1, serial):
                    bad.append(f"serial {got} while {serial} is loaded")
        s.wait_ready()
        bad += all_have(s, serial)
    bad += has(dig(s, "host59999.a.test", "TXT"), "number 59999")
    return bad


def builders(s):
    """The processes that compile, one of each that answers."""
    ours, found = s.pids("dnsd"), []
    for p in pathlib.Path("/proc").iterdir():
        try:
            name, rest = (p / "stat").read_text().rpartition(")")[::2]
        except (OSError, ValueError):
            continue
        if name.endswith("(dnsd-build") and int(rest.split()[1]) in ours and rest.split()[0] != "Z":
            found.append(int(p.name))
    return found


def without_a_builder(s):
    """A text that kills its reader kills no answer."""
    at_first = builders(s)
    for pid in at_first:
        os.kill(pid, signal.SIGKILL)
    s.zone(9)
    end = time.monotonic() + 30
    while builders(s) and time.monotonic() < end:
        time.sleep(0.05)
    bad = has(s.ctl("zone", "reload", ok=False), "could not be loaded") + all_have(s, 8)
    bad += has(s.ctl("zone", "list"), "daemon restart dnsd")
    s.ctl("daemon", "restart", "dnsd")
    s.wait_ready()
    end = time.monotonic() + 30
    while soa(s) != 9 and time.monotonic() < end:
        time.sleep(0.05)
    return bad + all_have(s, 9) + ([] if len(at_first) == 2 else [f"builders {at_first}"])


def main():
    tap = Tap()
    s = Dns()
    try:
        for name, test in (
                ("answers by UDP and TCP", udp_and_tcp),
                ("what is too long comes by TCP", truncated),
                ("300 queries at once over one connection", pipelined),
                ("DNS over TLS", over_tls),
                ("cookies, of one secret for all processes", cookies),
                ("NSID, and names in class CH", names_of_the_server),
                ("refusals", refusals),
                ("a spoofed flood is not amplified", a_flood_is_limited)):
            tap.test(name, test, s)
        for name, test in (
                ("zone reload keeps answering", reload_keeps_answering),
                ("a broken text leaves the zone as it was", a_broken_text_changes_nothing),
                ("a restart loses no query", restart_keeps_answering),
                ("kill -9 while zones are compiled", killed_while_it_compiles),
                ("kill -9 of those that compile", without_a_builder)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
