#!/usr/bin/env python3
"""What the cache server's clients get in place of what the world says: local data, block lists, a
response policy zone that changes, DNS64, no private addresses of strangers; and names that are asked
of a forwarder by TLS, whose certificate is good, or is for another name."""
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from port import free_port  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

WAIT = 60  # seconds: another process may have the CPU
SOA = "$TTL 300\n@ SOA ns.example. host.example. {} 3600 600 86400 300\n@ NS ns.example.\n"
CORP = "www A 192.0.2.80\n"
RPZ = ["bad.fwd.example CNAME .\n", "other.fwd.example CNAME .\n"]
CONF = """cache 127.0.0.1:{cache}
zone corp.example file {dir}/corp.zone
zone rpz.example file {dir}/rpz.zone
negative-trust-anchor .
recursion {{
	tls-ca {dir}/tls.pem
	ipv6 off
}}
forward fwd.example {{
	server 127.0.0.1 port {tls} tls dns.example
}}
forward wrong.example {{
	server 127.0.0.1 port {tls} tls other.example
}}
local {{
	record "router.lan A 10.0.0.1"
	record "out.lan CNAME www.corp.example."
	record "*.apps.lan A 10.0.0.3"
	zone home.lan
}}
rpz rpz.example
block {dir}/block.txt
dns64 64:ff9b::/96
rebinding
"""


class Forwarder:
    """Answers each question for an A record, by TLS, with 192.0.2.53; others with nothing."""

    def __init__(self, folder):
        self.asked = self.connections = 0
        self.port = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                        "/CN=dns.example", "-addext", "subjectAltName=DNS:dns.example",
                        "-keyout", folder / "tls.key", "-out", folder / "tls.pem"],
                       check=True, capture_output=True)
        (folder / "tls.pem").chmod(0o644)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "tls.pem", folder / "tls.key")
        self.context.set_alpn_protocols(["dot"])
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            raw, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            with self.context.wrap_socket(raw, server_side=True) as s, s.makefile("rb") as f:
                self.connections += 1
                while len(head := f.read(2)) == 2:
                    query = f.read(struct.unpack("!H", head)[0])
                    self.asked += 1
                    reply = self.reply(query)
                    s.sendall(struct.pack("!H", len(reply)) + reply)
        except OSError:  # the client does not like the certificate
            pass

    @staticmethod
    def reply(query):
        end = 12
        while query[end]:
            end += 1 + query[end]
        end += 5
        answer = b""
        if query[end - 4:end] == b"\0\1\0\1":
            answer = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 60, 4) + bytes([192, 0, 2, 53])
        head = struct.pack("!HHHHHH", struct.unpack("!H", query[:2])[0], 0x8180, 1,
                           bool(answer), 0, 0)
        return head + query[12:end] + answer


class Dns(Supervised):
    def __init__(self):
        self.forwarder = None
        self.cache = free_port()
        super().__init__(["dnsd"])

    def write_conf(self, name):
        if name == "dnsd":
            self.forwarder = Forwarder(self.dir)
            (self.dir / "corp.zone").write_text(SOA.format(1) + CORP)
            (self.dir / "rpz.zone").write_text(SOA.format(1) + RPZ[0])
            (self.dir / "block.txt").write_text("# advertisers\nads.fwd.example\n"
                                                "0.0.0.0 host.fwd.example\n")
            self.extra["dnsd"] = CONF.format(cache=self.cache, dir=self.dir,
                                             tls=self.forwarder.port)
        super().write_conf(name)

    def dig(self, name, kind="A", *more):
        r = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.cache), "+tries=3", "+time=15",
                            name, kind, *more], capture_output=True, text=True, timeout=WAIT,
                           check=False)
        return r.stdout

    def short(self, name, kind="A"):
        return self.dig(name, kind, "+short").split()


def same(got, want):
    return [] if got == want else [f"got {got}, not {want}"]


def has(out, *words):
    return [f"no {w!r} in:\n{out}" for w in words if w not in out]


def local(s):
    return (same(s.short("router.lan"), ["10.0.0.1"])
            + same(s.short("out.lan"), ["www.corp.example.", "192.0.2.80"])
            + same(s.short("x.apps.lan"), ["10.0.0.3"])
            + same(s.short("1.0.0.10.in-addr.arpa", "PTR"), ["router.lan."])
            + has(s.dig("none.home.lan"), "NXDOMAIN", "home.lan.")
            + same(s.short("localhost"), ["127.0.0.1"])
            + has(s.dig("2.0.0.10.in-addr.arpa", "PTR"), "NXDOMAIN"))


def forwarder(s):
    bad = same(s.short("www.fwd.example"), ["192.0.2.53"])
    bad += same(s.short("two.fwd.example"), ["192.0.2.53"])
    bad += same(s.forwarder.connections, 1)
    asked = s.forwarder.asked
    out = s.dig("www.wrong.example")
    return bad + has(out, "SERVFAIL") + same(s.forwarder.asked, asked)


def lists(s):
    return (has(s.dig("a.ads.fwd.example"), "NXDOMAIN", "blocked by block.txt")
            + has(s.dig("host.fwd.example"), "NXDOMAIN")
            + same(s.short("sub.host.fwd.example"), ["192.0.2.53"]))


def zone(s):
    end = time.monotonic() + WAIT
    while "NXDOMAIN" not in s.dig("bad.fwd.example") and time.monotonic() < end:
        time.sleep(0.1)
    bad = has(s.dig("bad.fwd.example"), "NXDOMAIN", "blocked by rpz.example")
    bad += same(s.short("other.fwd.example"), ["192.0.2.53"])
    (s.dir / "rpz.zone").write_text(SOA.format(2) + RPZ[1])
    s.ctl("zone", "reload", "rpz.example")
    while "NXDOMAIN" not in s.dig("other.fwd.example") and time.monotonic() < end:
        time.sleep(0.1)
    return (bad + has(s.dig("other.fwd.example"), "NXDOMAIN")
            + same(s.short("bad.fwd.example"), ["192.0.2.53"]))


def dns64(s):
    return (same(s.short("six.fwd.example", "AAAA"), ["64:ff9b::c000:235"])
            + same(s.short("router.lan", "AAAA"), ["64:ff9b::a00:1"]))


TESTS = [("local data, and names of which the world has nothing", local),
         ("a forwarder by TLS, and one with another's certificate", forwarder),
         ("block lists", lists),
         ("a response policy zone, and its change", zone),
         ("DNS64", dns64)]


def main():
    tap = Tap(len(TESTS) + 1)
    s = Dns()
    for name, test in TESTS:
        if not tap.test(name, test, s):
            tap.note(s.log("hamlet"))
    tap.ends(s)
    tap.done()


main()
