#!/usr/bin/env python3
"""The state folder of dnsd is lost, and with it the serial that a zone had: secondaries are asked for
theirs, and ours goes above it. The secondary is one of this test's own."""
import pathlib
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from dnswire import Message, ask_udp, query, wire_name  # noqa: E402
from suite import Supervised  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
ZONE = """$TTL 60
@ SOA ns1 hostmaster {serial} 3600 600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
"""


class Secondary(threading.Thread):
    """Answers for the SOA of all zones, with the serial that it is told; None: not at all."""

    def __init__(self):
        super().__init__(daemon=True)
        self.serial, self.asked = None, 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            msg, client = self.sock.recvfrom(4096)
            flags, = struct.unpack_from(">H", msg, 2)
            m = Message(msg)
            name, kind, _ = m.question[0]
            end = 12 + len(wire_name(name)) + 4
            if flags & 0x7800:  # NOTIFY
                head = struct.pack(">6H", m.id, flags | 0x8000, 1, 0, 0, 0)
                self.sock.sendto(head + msg[12:end], client)
                continue
            self.asked += 1
            if self.serial is None:
                continue
            data = wire_name("ns1." + name) + wire_name("host." + name) + struct.pack(
                ">5I", self.serial, 3600, 600, 1209600, 60)
            answer = struct.pack(">HHHIH", 0xc00c, kind, 1, 60, len(data)) + data
            self.sock.sendto(struct.pack(">6H", m.id, 0x8400, 1, 1, 0, 0) + msg[12:end] + answer,
                             client)


class Dns(Supervised):
    def __init__(self, secondary):
        self.secondary = secondary
        super().__init__(["dnsd"], processes={"dnsd": 2}, conf={
            "dnsd": f"zone a.test file zones/a.test\nsecondary 127.0.0.1 port {secondary.port}\n"})

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            self.text(7)
        super().write_conf(name)

    def text(self, serial, more=""):
        (self.dir / "zones" / "a.test").write_text(ZONE.format(serial=serial) + more)

    def serial(self):
        answer = Message(ask_udp(self.ports["content"], [query("a.test", "SOA")])[0]).answer
        return int(answer[0][3].split()[2][:8], 16) if answer else None

    def begun(self):
        return list(self.dir.glob("**/a.test.image.begun"))

    def lose(self):
        self.ctl("daemon", "stop", "dnsd")
        for path in self.dir.glob("**/a.test.*"):
            if path.parent.name != "zones":
                path.unlink()
        self.ctl("daemon", "start", "dnsd")
        self.wait_ready()


def become(what, want, fn, times=12):
    """Until fn gives it so many times running: both processes have it."""
    end, seen, got = time.monotonic() + SECONDS, 0, None
    while time.monotonic() < end and seen < times:
        got = fn()
        seen = seen + 1 if got == want else 0
        if not seen:
            time.sleep(0.1)
    return [] if seen == times else [f"{what}: {got!r}, not {want!r}"]


def a_new_zone(s):
    """Its secondary has what it got from us: nothing goes up."""
    s.secondary.serial = 7
    return become("the file", [], s.begun) + become("serial", 7, s.serial)


def the_state_is_lost(s):
    s.secondary.serial = 500
    s.lose()
    bad = become("serial", 501, s.serial) + become("the file", [], s.begun)
    s.text(7, "more A 192.0.2.9\n")
    s.ctl("zone", "reload", "a.test")
    return bad + become("serial", 502, s.serial)


def the_secondary_comes_later(s):
    """It is asked again; also when dnsd was started anew meanwhile."""
    s.secondary.serial, s.secondary.asked = None, 0
    s.lose()
    end = time.monotonic() + SECONDS
    while not s.secondary.asked and time.monotonic() < end:
        time.sleep(0.1)
    bad = become("serial", 7, s.serial)
    s.ctl("daemon", "restart", "dnsd")
    s.wait_ready()
    bad += become("serial", 7, s.serial) + ([] if s.begun() else ["it is forgotten"])
    s.secondary.serial = 900
    return bad + become("serial", 901, s.serial) + become("the file", [], s.begun)


def main():
    tap = Tap()
    s = Dns(Secondary())
    try:
        for name, test in (("a new zone keeps its serial", a_new_zone),
                           ("what a secondary has is gone above", the_state_is_lost),
                           ("one that answers later", the_secondary_comes_later)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
