#!/usr/bin/env python3
"""ALIAS records: addresses of names in our own zones and elsewhere stand in their place, follow when
they change, and are served again at once after a restart."""
import pathlib
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import dnswire  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
HEAD = "@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n"


class Resolver(threading.Thread):
    """Answers for cdn.else.test, by CNAME, with what `addresses` says; None: SERVFAIL."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.addresses = ["203.0.113.1", "203.0.113.2"]
        self.start()

    def run(self):
        while True:
            packet, client = self.sock.recvfrom(4096)
            name, end = dnswire.read_name(packet, 12)
            kind = struct.unpack_from(">H", packet, end)[0]
            records, rcode = [], 0 if self.addresses else 2
            if self.addresses and kind == 1:
                edge = dnswire.wire_name("edge.else.test")
                records.append((b"\xc0\x0c", 5, edge))
                records += [(edge, 1, socket.inet_aton(a)) for a in self.addresses]
            out = packet[:2] + struct.pack(">5H", 0x8580 | rcode, 1, len(records), 0, 0)
            out += packet[12:end + 4]
            for owner, number, data in records:
                out += owner + struct.pack(">HHIH", number, 1, 30, len(data)) + data
            self.sock.sendto(out, client)


class Dns(Supervised):
    def __init__(self, resolver):
        self.resolver = resolver
        super().__init__(["dnsd"], conf={"dnsd": ""}, processes={"dnsd": 2})
        self.port = self.ports["content"]

    def write_conf(self, name):
        folder = self.dir / "zones"
        folder.mkdir(exist_ok=True)
        self.zone("a.test", "@ ALIAS www.b.test.\nfar 60 ALIAS cdn.else.test.\nweb ALIAS alias.b.test.\n"
                            "none ALIAS nothing.b.test.\n")
        self.zone("inside", "in ALIAS www.b.test.\n")
        self.zone("b.test", "www 120 A 192.0.2.80\nwww AAAA 2001:db8::80\nalias CNAME www\n")
        self.extra["dnsd"] = (f"resolver 127.0.0.1:{self.resolver.port}\n"
                              f"zone a.test file {folder}/a.test\nzone b.test file {folder}/b.test\n"
                              f"view inside {{\n\tclients 127.0.0.9\n\tzone a.test file "
                              f"{folder}/inside\n\tzone c.test file {folder}/inside\n}}\n")
        super().write_conf(name)

    def zone(self, name, text):
        (self.dir / "zones" / name).write_text("$TTL 3600\n" + HEAD + text)


def answers(s, name, kind="A", by="127.0.0.1"):
    """What some queries get, which reach both processes: {(rcode, addresses)}."""
    out = set()
    for i in range(12):
        m = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query(name, kind, number=i)],
                                            by=by)[0])
        out.add((m.rcode, *sorted(r[3] for r in m.answer)))
    return out


def becomes(s, name, want, kind="A", by="127.0.0.1"):
    want = {(0, *(socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a).hex()
                  for a in want))}
    end = time.monotonic() + SECONDS
    while (got := answers(s, name, kind, by)) != want and time.monotonic() < end:
        time.sleep(0.1)
    return [] if got == want else [f"{name} {kind}: {got}, expected {want}"]


def own_zones(s):
    bad = becomes(s, "a.test", ["192.0.2.80"]) + becomes(s, "a.test", ["2001:db8::80"], "AAAA")
    bad += becomes(s, "web.a.test", ["192.0.2.80"]) + becomes(s, "none.a.test", [])
    answer = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query("a.test", "A")])[0]).answer
    return bad + ([] if [r[2] for r in answer] == [120] else [f"its TTL: {answer}"])


def own_zone_changes(s):
    s.zone("b.test", "www A 192.0.2.81\n")
    s.ctl("zone", "reload", "b.test")
    return becomes(s, "a.test", ["192.0.2.81"]) + becomes(s, "a.test", [], "AAAA")


def a_circle(s):
    """Two zones that lead to each other have no addresses, at once, and again when one is mended."""
    s.zone("b.test", "www ALIAS a.test.\n")
    began = time.monotonic()
    s.ctl("zone", "reload", "b.test")
    bad = becomes(s, "a.test", []) + becomes(s, "www.b.test", []) + becomes(s, "web.a.test", [])
    took = time.monotonic() - began
    end = time.monotonic() + SECONDS
    while (no := [n for n in ("a.test", "www.b.test") if f"alias-circle name={n} " not in
                  (s.dir / "hamletd.log").read_text(errors="replace")]) and time.monotonic() < end:
        time.sleep(0.1)
    bad += [f"no circle of {n} in the log" for n in no]
    s.zone("b.test", "www A 192.0.2.83\n")
    s.ctl("zone", "reload", "b.test")
    print(f"# no addresses after {took:.1f} s")
    return bad + becomes(s, "a.test", ["192.0.2.83"]) + becomes(s, "www.b.test", ["192.0.2.83"])


def elsewhere(s):
    return becomes(s, "far.a.test", ["203.0.113.1", "203.0.113.2"])


def serial_goes_up(s):
    """Those who have a copy of the zone see that it is another one."""
    def serial():
        m = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query("a.test", "SOA")])[0])
        return m.answer[0][3]
    before = serial()
    s.zone("b.test", "www A 192.0.2.82\n")
    s.ctl("zone", "reload", "b.test")
    bad = becomes(s, "a.test", ["192.0.2.82"])
    return bad + ([] if serial() != before else [f"the serial is as it was: {before}"])


def views(s):
    """Zones of a view have theirs, also where one outside it has the same name."""
    bad = becomes(s, "in.a.test", ["192.0.2.82"], by="127.0.0.9")
    bad += becomes(s, "in.c.test", ["192.0.2.82"], by="127.0.0.9")
    bad += becomes(s, "a.test", ["192.0.2.82"])
    s.zone("b.test", "www A 192.0.2.84\n")
    s.ctl("zone", "reload", "b.test")
    bad += becomes(s, "in.a.test", ["192.0.2.84"], by="127.0.0.9")
    return bad + becomes(s, "a.test", ["192.0.2.84"])


def not_asked_for(s):
    m = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query("a.test", 65401)])[0])
    return [] if m.rcode == 0 and not m.answer else [f"an ALIAS is shown: {m.answer}"]


def restart_without_resolver(s):
    s.resolver.addresses = None
    s.ctl("daemon", "restart", "dnsd")
    s.wait_ready()
    want = {(0, "cb007101", "cb007102")}
    got = answers(s, "far.a.test")
    return [] if got == want else [f"{got}, expected {want}"]


def main():
    tap = Tap()
    s = Dns(Resolver())
    try:
        for name, test in (
                ("addresses of names in our own zones", own_zones),
                ("... follow when these change", own_zone_changes),
                ("a circle of two zones has no addresses", a_circle),
                ("addresses of names elsewhere", elsewhere),
                ("the serial goes up with the addresses", serial_goes_up),
                ("zones of views", views),
                ("an ALIAS itself is never shown", not_asked_for),
                ("a restart serves what was known, whatever the resolver says",
                 restart_without_resolver)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
