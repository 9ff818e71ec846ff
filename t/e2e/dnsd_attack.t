#!/usr/bin/env python3
"""dnsd, two processes, between hostile neighbours: a primary whose changes do not fit, whose zones
are too large, that repeats its records; updates played again; questions and NOTIFY in floods; a
resolver that lies; keyd that dies while it signs. What was served stays, the log stays readable."""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import dnswire  # noqa: E402
from dnswire import wire_name  # noqa: E402
from primary import A, AXFR, IXFR, SOA, Primary, rr, signed, soa, whole  # noqa: E402
from suite import BUILD, FIRST_UID, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
SECRET = b"0123456789abcdef0123456789abcdef"
ZONES = ("fit.test", "twice.test", "huge.test", "grow.test")
RATE = 100
ODD_KEYS = {"huge": "base64", "fifo": "is not a file", "folder": "is not a file",
            "zeros": "base64", "device": "is not a file", "open": "chmod 640",
            "writable": "chmod 640", "empty": "", "gone": "No such file", "long": "too long"}
LIES = ("wrong", "big", "mega", "loop", "never", "ids", "good", "cut")
CONF = """{zones}
resolver 127.0.0.1:{liar}
zone alias.test file zones/alias.test
zone both.test {{
	update {{
		clients 127.0.0.0/24
	}}
}}
zone sig.test {{
	dnssec on
	update {{
		clients 127.0.0.0/24
	}}
}}
key up file up.key
key down file up.key
zone up.test {{
	update {{
		key up
	}}
}}
transfer-in {{
	refresh-least 1s
	retry-least 1s
	retry-most 2s
	max-records 5000
}}
rrl {{
	responses-per-second {rate}
	slip 0
	exempt 127.0.0.0/24
}}
allow-transfer 127.0.0.0/24
"""
START = "@ SOA ns host 1 2h 10m 4w 5m\n@ NS ns\nns A 192.0.2.1\n"


class Liar:
    """A resolver. The first label of a name says what its answer is."""

    def __init__(self):
        self.tcp = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for run in (self.run_udp, self.run_tcp):
            threading.Thread(target=run, daemon=True).start()

    def answer(self, query, stream):
        name, at = dnswire.read_name(query, 12)
        kind, flags, records = struct.unpack_from(">H", query, at)[0], 0x8180, []
        owner, what = name.rstrip("."), name.split(".", maxsplit=1)[0]

        if what == "wrong":
            records = [record("victim.test", A, "203.0.113.66")]
        elif what == "loop":
            records = [record(owner, 5, wire_name("x.lie.test")),
                       record("x.lie.test", 5, wire_name(owner))]
        elif what == "big" and stream:
            records = [record(owner, A, f"10.9.{i // 250}.{i % 250}") for i in range(1500)]
        elif what in ("big", "mega"):
            flags |= 0x200
        elif what == "cut":
            records = [record(owner, A, "203.0.113.67")[:-2]]
        else:
            records = [record(owner, A, "203.0.113.9")]
        if kind != A and what not in ("loop", "wrong"):
            records = []
        return query[:2] + struct.pack(">5H", flags, 1, len(records), 0, 0) + query[12:at + 4] + \
            b"".join(records)

    def run_udp(self):
        while True:
            query, client = self.udp.recvfrom(4096)
            what = query[13:13 + query[12]].decode()
            for i in range(50 if what == "ids" else 0):
                self.udp.sendto(bytes([i, i]) + self.answer(query, False)[2:-1] + b"\x42", client)
            if what != "never":
                self.udp.sendto(self.answer(query, False), client)

    def run_tcp(self):
        while True:
            threading.Thread(target=self.connection, args=(self.tcp.accept()[0],),
                             daemon=True).start()

    def connection(self, sock):
        try:
            with sock:
                sock.settimeout(SECONDS)
                query = dnswire.read_exact(sock, *struct.unpack(">H", dnswire.read_exact(sock, 2)))
                if b"\4mega" in query:
                    sock.sendall(b"\xff" * (1 << 20))
                answer = self.answer(query, True)
                sock.sendall(struct.pack(">H", len(answer)) + answer)
        except (EOFError, OSError):
            pass


class Attacked(Supervised):
    def __init__(self, primary, liar):
        self.primary, self.liar = primary, liar
        super().__init__(["dnsd"], processes={"dnsd": 2})
        self.port = self.ports["content"]
        (self.dir / "text").write_text("$TTL 300\n" + START)
        for zone in ("up.test", "both.test", "sig.test"):
            self.ctl("zone", "import", zone, str(self.dir / "text"))

    def write_conf(self, name):
        if name == "dnsd":
            key = self.dir / "up.key"
            key.write_bytes(b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
            key.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(key, FIRST_UID + self.daemons.index("dnsd"), -1)
            zones = "\n".join(f"zone {z} from 127.0.0.1 port {self.primary.port}" for z in ZONES)
            self.extra["dnsd"] = CONF.format(zones=zones, rate=RATE, liar=self.liar.port)
            (self.dir / "zones").mkdir(exist_ok=True)
            (self.dir / "zones/alias.test").write_text("$TTL 300\n" + START + "".join(
                f"{lie} ALIAS {lie}.lie.test.\n" for lie in LIES))
        super().write_conf(name)

    def logged(self, *wanted):
        return [line for line in (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
                if all(w in line for w in wanted)]


def record(owner, kind, data):
    return rr(owner, "@", kind, data)


def answers(s, name, kind="A"):
    """What both processes say: {(rcode, data ...)}."""
    out = set()
    for i in range(8):
        m = dnswire.Message(dnswire.ask_stream(s.port, [dnswire.query(name, kind, number=i)])[0]
                            if i % 2 else
                            dnswire.ask_udp(s.port, [dnswire.query(name, kind, number=i)])[0])
        out.add((m.rcode, *sorted(r[3] for r in m.answer)))
    return out


def address(text):
    return socket.inet_aton(text).hex()


def becomes(s, name, *want, kind="A"):
    want = {(0, *map(address, want))}
    end = time.monotonic() + SECONDS
    while (got := answers(s, name, kind)) != want and time.monotonic() < end:
        time.sleep(0.1)
    return [] if got == want else [f"{name} {kind}: {got}, expected {want}"]


def until(what, fn):
    end = time.monotonic() + SECONDS
    while not fn():
        if time.monotonic() > end:
            return [f"never: {what}"]
        time.sleep(0.1)
    return []


def transfer(s, zone):
    """`zone refresh`; what it says, good or bad."""
    try:
        return s.ctl("zone", "refresh", zone)
    except RuntimeError as e:
        return str(e)


# --- a primary ------------------------------------------------------------------------------------
def first_zones(p):
    def one(zone):
        p.zones[zone] = (1, lambda kind: [whole(zone, 1, [rr(zone, "www", A, "192.0.2.1")])])
    for zone in ZONES:
        one(zone)


def changes_that_do_not_fit(s):
    """A record is deleted that is not there, one added that is: the zone is fetched whole."""
    bad, zone = becomes(s, "www.fit.test", "192.0.2.1"), "fit.test"
    www = {last: rr(zone, "www", A, f"192.0.2.{last}") for last in (1, 2, 3, 9)}
    for serial, gone, come, now, why in (
            (2, [www[9]], [www[2]], [2], "deletes 192.0.2.9, which is not there"),
            (3, [], [www[2]], [3], "adds 192.0.2.2, which is there"),
            (4, [www[3]], [www[1]], [1], None)):
        def told(kind, serial=serial, gone=gone, come=come, now=now):
            if kind == AXFR:
                return [whole(zone, serial, [www[n] for n in now])]
            return [[soa(zone, serial), soa(zone, serial - 1), *gone, soa(zone, serial), *come,
                     soa(zone, serial)]]
        s.primary.zones[zone] = (serial, told)
        said = transfer(s, zone)
        bad += [] if f"serial {serial}, by {'AXFR' if why else 'IXFR'}" in said else [said]
        bad += becomes(s, "www.fit.test", *(f"192.0.2.{n}" for n in now))
        bad += until(why, lambda why=why: not why or s.logged(
            "transfer-whole", "zone=fit.test", "www.fit.test A", why))
    return bad


def records_twice(s):
    zone = "twice.test"
    twice = [rr(zone, "www", A, "192.0.2.7"), rr(zone, "WWW", A, "192.0.2.7", ttl=30)] * 2
    s.primary.zones[zone] = (2, lambda kind: [whole(zone, 2, twice)])
    said = transfer(s, zone)
    return ([] if "serial 2" in said else [said]) + becomes(s, "www.twice.test", "192.0.2.7")


def too_many_at_a_name(s):
    """20,000 ... and those that do not fit in a message: what there was stays."""
    zone, bad = "huge.test", becomes(s, "www.huge.test", "192.0.2.1")
    many = [rr(zone, "big", A, f"10.0.{i // 250}.{i % 250}") for i in range(4500)]
    s.primary.zones[zone] = (2, lambda kind: [whole(zone, 2, [])[:-1], *(
        many[i:i + 1000] for i in range(0, len(many), 1000)), [soa(zone, 2)]])
    said = transfer(s, zone)
    bad += [] if "big.huge.test A: so many records" in said else [said]
    bad += until("refresh-failed", lambda: s.logged("refresh-failed", "zone=huge.test", "64 KiB"))
    bad += becomes(s, "www.huge.test", "192.0.2.1")
    s.primary.zones[zone] = (3, lambda kind: [whole(zone, 3, [rr(zone, "www", A, "192.0.2.2")])])
    transfer(s, zone)
    return bad + becomes(s, "www.huge.test", "192.0.2.2")


def a_zone_that_grows(s):
    """Each change is small, the zone must not be larger than it may be."""
    zone, bad, serial = "grow.test", becomes(s, "www.grow.test", "192.0.2.1"), 1
    for serial in range(2, 12):
        more = [rr(zone, f"h{serial}-{i}", A, "192.0.2.3") for i in range(700)]

        def told(kind, serial=serial, more=more):
            return [[soa(zone, serial), soa(zone, serial - 1), soa(zone, serial), *more,
                     soa(zone, serial)]] if kind == IXFR else None
        s.primary.zones[zone] = (serial, told)
        said = transfer(s, zone)
        if f"serial {serial}" not in said:
            break
    bad += [] if serial == 9 and "too large: over 5000 records" in said else [f"{serial}: {said}"]
    return bad + becomes(s, "h8-699.grow.test", "192.0.2.3")


# --- clients --------------------------------------------------------------------------------------
def update(name, text, number):
    return updates("up.test", number, rr("up.test", name, A, text))


def updates(zone, number, *records):
    return struct.pack(">6H", number, 5 << 11, 1, 0, len(records), 0) + wire_name(zone) + \
        struct.pack(">HH", SOA, 1) + b"".join(records)


def notify(zone, number):
    return struct.pack(">6H", number, 4 << 11, 1, 0, 0, 0) + wire_name(zone) + \
        struct.pack(">HH", SOA, 1)


def rcode(s, packet, by="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((by, 0))
        sock.connect(("127.0.0.1", s.port))
        sock.settimeout(5)
        for _ in range(10):
            sock.send(packet)
            try:
                return sock.recv(4096)[3] & 15
            except TimeoutError:
                pass
    return None


def played_again(s):
    """Both processes know what a key signed last: older updates and notifies are played again."""
    now, bad = int(time.time()), becomes(s, "ns.up.test", "192.0.2.1")
    old = signed(update("a", "192.0.2.4", 1), "up", SECRET, now - 100)[0]
    new = signed(update("b", "192.0.2.4", 2), "up", SECRET, now)[0]
    for what, packet, want in (("old", old, 0), ("new", new, 0)):
        if (got := rcode(s, packet)) != want:
            bad.append(f"{what}: rcode {got}")
    again = {rcode(s, b"%c%c" % (i, i) + old[2:]) for i in range(16)}
    bad += [] if again == {9} else [f"played again: rcodes {again}"]
    # Not older than the newest: it was overtaken, or is sent again because its answer was lost.
    late = signed(update("c", "192.0.2.4", 3), "up", SECRET, now - 5)[0]
    bad += [] if rcode(s, late) == rcode(s, new) == 0 else ["what was overtaken is refused"]
    # Another key, and another kind of message.
    bad += [] if rcode(s, signed(update("d", "192.0.2.4", 4), "down", SECRET, now - 100)[0]) == 5 \
        else ["another key"]
    got = [rcode(s, signed(notify("fit.test", 5), "up", SECRET, now - ago)[0]) for ago in (50, 0, 50)]
    return bad + ([] if got == [0, 0, 9] else [f"NOTIFY: {got}"])


def one_limit(s):
    """However many processes there are, a network gets its rate."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
    began, got = time.monotonic(), 0
    for i, sock in enumerate(socks):
        sock.bind((f"127.7.7.{i + 1}", 0))
        sock.connect(("127.0.0.1", s.port))
        sock.setblocking(False)

    def take():
        n = 0
        for sock in socks:
            try:
                while sock.recv(4096):
                    n += 1
            except BlockingIOError:
                pass
        return n
    for i in range(40 * RATE):
        socks[i % 40].send(dnswire.query("ns.up.test", "A", number=i))
        if i % 400 == 0:
            got += take()
    time.sleep(0.5)
    got += take()
    most = RATE * (1 + time.monotonic() - began) + 1
    for sock in socks:
        sock.close()
    return [] if RATE <= got <= most else [f"{got} answers, {RATE} to {most:.0f} expected"]


def transfers_in_a_flood(s):
    """A secondary that transfers the zone all day: a hundred lines of it, and a number."""
    becomes(s, "ns.up.test", "192.0.2.1")
    queries = [dnswire.query("up.test", AXFR, number=i) for i in range(1000)]
    threads = [threading.Thread(target=dnswire.ask_stream, args=(s.port, queries)) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    bad = until("lines", lambda: len(s.logged("transfer-out ", "zone=up.test")) >= 100)
    lines = len(s.logged("transfer-out ", "zone=up.test"))
    # Two processes; the while may end in the middle.
    return bad + ([] if lines <= 800 else [f"{lines} lines"])


def notify_flood(s):
    """Of zones that are not here, from anybody, and as if the primary had sent them."""
    before, lines, began = s.primary.asked["fit.test", SOA], len(s.logged()), time.monotonic()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(30)]
    for i, sock in enumerate(socks):
        sock.bind((f"127.0.0.{i + 1}" if i else "127.0.0.1", 0))
        sock.connect(("127.0.0.1", s.port))
        sock.setblocking(False)
    for i in range(10000):
        zone = ("fit.test", f"z{i}.test", "twice.test")[i % 3]
        socks[0 if i % 3 == 0 else i % 30].send(notify(zone, i & 0xffff))
    bad = becomes(s, "www.fit.test", "192.0.2.1")
    bad += until("a question", lambda: s.primary.asked["fit.test", SOA] > before)
    took = time.monotonic() - began
    for sock in socks:
        sock.close()
    # Once a second a process, and what the zone's own time asks for.
    polls = s.primary.asked["fit.test", SOA] - before
    bad += [] if polls <= 4 * (took + 3) else [f"{polls} questions in {took:.1f} s"]
    more = len(s.logged()) - lines
    return bad + ([] if more < 200 else [f"{more} lines"])


def lies(s):
    bad = becomes(s, "good.alias.test", "203.0.113.9") + becomes(s, "ids.alias.test", "203.0.113.9")
    big = {(0, *sorted(address(f"10.9.0.{i}") for i in range(16)))}
    bad += until("big", lambda: {len(x) for x in answers(s, "big.alias.test")} == {17})
    got = answers(s, "big.alias.test")
    bad += [] if got == big else [f"big: {got}"]
    for lie in ("wrong", "mega", "loop", "never", "cut"):
        bad += becomes(s, f"{lie}.alias.test")
    return bad


class Reader(threading.Thread):
    """Transfers the zone again and again: each time it is one version, whole."""

    def __init__(self, s):
        super().__init__()
        self.s, self.over, self.bad, self.count = s, threading.Event(), [], 0

    def one(self, sock):
        query, soas, names = dnswire.query("both.test", AXFR), [], set()
        sock.sendall(struct.pack(">H", len(query)) + query)
        while len(soas) < 2:
            m = dnswire.Message(dnswire.read_exact(
                sock, *struct.unpack(">H", dnswire.read_exact(sock, 2))))
            soas += [r for r in m.answer if r[1] == "SOA"]
            names |= {r[0] for r in m.answer if r[1] == "A"}
            if not m.answer:
                raise ValueError(f"rcode {m.rcode}")
        x, y = ({n[1:] for n in names if n[0] == c} for c in "xy")
        self.bad += [] if x == y and soas[0] == soas[1] else [f"half an update: {x ^ y}"]
        self.count += 1

    def run(self):
        try:
            while not self.over.is_set():
                with socket.create_connection(("127.0.0.1", self.s.port), timeout=SECONDS) as sock:
                    for _ in range(5):
                        self.one(sock)
        except (OSError, EOFError, ValueError) as e:
            self.bad.append(repr(e))


def updates_and_transfers(s):
    """Updates by both processes at once, each of two records, and transfers meanwhile."""
    bad = becomes(s, "ns.both.test", "192.0.2.1")
    readers, rcodes = [Reader(s) for _ in range(2)], []

    def writer(k):
        for i in range(40):
            n = k * 100 + i
            rcodes.append(rcode(s, updates("both.test", n, rr("both.test", f"x{n}", A, "192.0.2.1"),
                                           rr("both.test", f"y{n}", A, "192.0.2.1"))))
    writers = [threading.Thread(target=writer, args=(k,)) for k in range(4)]
    for t in [*readers, *writers]:
        t.start()
    for t in writers:
        t.join()
    for t in readers:
        t.over.set()
        t.join()
        bad += t.bad[:3] + ([] if t.count else ["no transfer"])
    bad += [] if rcodes == [0] * 160 else [f"rcodes {rcodes}"]
    return bad + becomes(s, "y339.both.test", "192.0.2.1")


def keyd_dies(s):
    """It dies again and again while a zone is signed: the zone is served, and signed in the end."""
    def is_signed(name):
        m = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query(name, A, edns=1232, do=True)])[0])
        return m.rcode == 0 and {r[1] for r in m.answer} == {"A", "RRSIG"}
    bad = until("ns is signed", lambda: is_signed("ns.sig.test"))
    for i in range(4):
        for pid in s.pids("keyd"):
            os.kill(pid, signal.SIGKILL)
        got = rcode(s, updates("sig.test", i, *(rr("sig.test", f"k{i}-{n}", A, "192.0.2.5")
                                               for n in range(100))))
        bad += [] if got == 0 else [f"update: rcode {got}"]
        bad += [] if is_signed("ns.sig.test") else ["what was signed is not"]
    return bad + until("signed", lambda: is_signed("k3-99.sig.test"))


def odd_key_files(s):
    """dnsd -n says what is wrong with them, and does not wait for anything."""
    folder = s.dir / "odd"
    folder.mkdir()
    good = "c29tZXRoaW5nIGVsc2Ugd2FzIGhlcmU="
    for name in ODD_KEYS:
        path = folder / name
        if name == "fifo":
            os.mkfifo(path)
        elif name == "folder":
            path.mkdir()
        elif name == "device":
            path.symlink_to("/dev/zero")
        elif name != "gone":
            path.write_text({"zeros": good[:8] + "\0" * 8, "long": "QUFB" * 2000, "empty": "",
                             "huge": ""}.get(name, good))
            path.chmod({"open": 0o644, "writable": 0o660}.get(name, 0o600))
    with open(folder / "huge", "r+b") as f:
        f.truncate(1 << 32)
    lines = "".join(f"key {name} file odd/{name}\n" for name in ODD_KEYS)
    (s.dir / "odd.conf").write_text(f"version 1\ncontent 127.0.0.1:1\nstate-dir x\n{lines}")
    got = subprocess.run([BUILD / "dnsd", "-n", "-f", s.dir / "odd.conf"], text=True, check=False,
                         capture_output=True, timeout=SECONDS)
    bad = [] if got.returncode == 78 else [f"status {got.returncode}"]
    for name, why in ODD_KEYS.items():
        said = [x for x in got.stderr.splitlines() if f"key {name}: " in x and why in x]
        bad += [] if len(said) == 1 and good[:8] not in said[0] else [f"{name}: {got.stderr}"]
    return bad


def what_was_not_told(s):
    return until("transfers-untold", lambda: s.logged("transfers-untold", "kind=AXFR", "times="))


def main():
    tap, primary = Tap(), Primary()
    first_zones(primary)
    s = Attacked(primary, Liar())
    try:
        for name, test in (
                ("transfers in a flood", transfers_in_a_flood),
                ("changes that do not fit are not made", changes_that_do_not_fit),
                ("records that come twice are there once", records_twice),
                ("more records at a name than a message holds", too_many_at_a_name),
                ("a zone that grows by changes", a_zone_that_grows),
                ("updates and notifies played again", played_again),
                ("NOTIFY in a flood", notify_flood),
                ("a resolver that lies", lies),
                ("updates and transfers at once", updates_and_transfers),
                ("keyd dies while it signs", keyd_dies),
                ("odd files of keys", odd_key_files),
                ("the limit of responses is one of all processes", one_limit),
                ("... of which the log tells the number", what_was_not_told)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
