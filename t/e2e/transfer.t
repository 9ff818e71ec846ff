#!/usr/bin/env python3
"""Zone transfers out of dnsd, two processes under hamletd: to dig and kdig, and to nsd and Knot as
its secondaries, signed by TSIG, woken by NOTIFY."""
import base64
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib")]
import dnswire  # noqa: E402
from nameservers import Knot, Nsd  # noqa: E402
from suite import FIRST_UID, Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

SECRET = base64.b64encode(os.urandom(32)).decode()
SECONDS = 60
HEAD = """$ORIGIN {zone}.
$TTL 60
@ SOA ns1 hostmaster {serial} 3600 600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
marker TXT "{serial}"
"""
MORE = """www A 192.0.2.80
*.wild TXT "wild"
sub NS ns.sub
ns.sub A 192.0.2.53
@ MX 10 ns1
odd TYPE65400 \\# 4 c0000201
"""
ZONES = ("a.test", "big.test", "store.test")  # those that the secondaries have
BIG = 60000  # hosts of the large zone
MOST = 6  # transfers of a process at a time


def run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=120,
                          check=False).stdout


def has(text, *wanted):
    return [f"no {w!r} in\n{text}" for w in wanted if w not in text]


def eventually(fn, seconds=SECONDS):
    """Until fn returns no problems; those it had last."""
    end = time.monotonic() + seconds
    while (bad := fn()) and time.monotonic() < end:
        time.sleep(0.1)
    return bad


class Primary(Supervised):
    def __init__(self, port, secondaries, deaf):
        self.told = "".join(f"secondary 127.0.0.1 port {x.port} key xfr\n" for x in secondaries)
        self.told += "" if secondaries else "secondary 127.0.0.1 key xfr\n"
        self.deaf = deaf
        self.port = port
        super().__init__(["dnsd"], processes={"dnsd": 2})
        self.tls = self.ports["content-tls"]

    def write_conf(self, name):
        if name == "dnsd":
            self.ports.setdefault("content", self.port)
            (self.dir / "zones").mkdir(exist_ok=True)
            key = self.dir / "xfr.key"
            key.write_text(f"hmac-sha256:xfr:{SECRET}\n")
            key.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(key, FIRST_UID + self.daemons.index("dnsd"), -1)
            self.zone("a.test", 1)
            self.zone("b.test", 1)
            self.zone("big.test", 1)
            self.extra["dnsd"] = f"""key xfr file xfr.key
transfers {MOST}
tcp {{
	idle-timeout 600s
}}
{self.told}
zone a.test file zones/a.test
zone big.test file zones/big.test
zone b.test {{
	file zones/b.test
	allow-transfer 127.0.0.2
	allow-transfer 127.0.0.3 key xfr
	allow-transfer 127.0.0.4 tls
	notify 127.0.0.1 port {self.deaf}
}}
"""
        super().write_conf(name)

    def zone(self, name, serial, more=MORE):
        path = self.dir / "zones" / name
        path.with_suffix(".new").write_text(HEAD.format(zone=name, serial=serial) + more)
        path.with_suffix(".new").rename(path)

    def change(self, name, serial, more=MORE):
        self.zone(name, serial, more)
        return has(self.ctl("zone", "reload", name), f"{name}: serial {serial}")

    def dig(self, *words, key=False, by="127.0.0.1", extra=()):
        signed = ("-y", f"hmac-sha256:xfr:{SECRET}") if key else ()
        return run("dig", "@127.0.0.1", "-p", self.port, "-b", by, *signed, "+tries=1", "+time=30",
                   "+nocookie", *extra, *words)

    def events(self, *wanted):
        lines = (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
        return [line for line in lines if all(w in line for w in wanted)]

    def stat(self, name):
        return sum(float(line.split()[-1]) for line in self.ctl("metrics").splitlines()
                   if line.startswith(f"hamlet_dnsd_{name}{{"))


def records(text):
    """Of what dig printed."""
    return [" ".join(line.split()) for line in text.splitlines() if line and line[0] != ";"
            and "TSIG" not in line.split()]


# --- dig, kdig ------------------------------------------------------------------------------------
def whole(s):
    got = records(s.dig("a.test", "AXFR", key=True))
    bad = [] if got[:1] == got[-1:] and " SOA " in got[0] else [f"not between SOA: {got}"]
    for want in ("ns1.a.test. 60 IN A 192.0.2.1", "*.wild.a.test. 60 IN TXT \"wild\"",
                 "a.test. 60 IN MX 10 ns1.a.test.", "ns.sub.a.test. 60 IN A 192.0.2.53",
                 "odd.a.test. 60 IN TYPE65400 \\# 4 C0000201"):
        bad += [] if got.count(want) == 1 else [f"{want}: {got.count(want)} times"]
    return bad + ([] if len(got) == 11 else [f"{len(got)} records: {got}"])


def refusals(s):
    """Nobody, unless it is said; and then as it is said."""
    bad = has(s.dig("a.test", "AXFR"), "Transfer failed")
    bad += has(s.dig("a.test", "AXFR", key=True, by="127.0.0.9"), "Transfer failed")
    out = s.dig("a.test", "IXFR=0", extra=["+notcp"])
    bad += has(out, "rcvd:") + [f"by UDP: {r}" for r in records(out)]
    bad += has(s.dig("else.test", "AXFR", key=True), "Transfer failed")
    # The block of b.test has what it has instead of what is at the top, the key there included.
    bad += has(s.dig("b.test", "AXFR", key=True), "Transfer failed")
    bad += has(s.dig("b.test", "AXFR", by="127.0.0.2"), "XFR size: 11 records")
    bad += has(s.dig("b.test", "AXFR", by="127.0.0.3"), "Transfer failed")
    bad += has(s.dig("b.test", "AXFR", by="127.0.0.3", key=True), "XFR size: 11 records")
    bad += has(s.dig("b.test", "AXFR", by="127.0.0.4"), "Transfer failed")
    wrong = run("dig", "@127.0.0.1", "-p", s.port, "-y", "hmac-sha256:xfr:AAAAAAAAAAAAAAAAAAAAAAAA",
                "+tries=1", "+nocookie", "a.test", "AXFR")
    bad += has(wrong, "Transfer failed")
    bad += has(s.dig("a.test", "AXFR", key=True, extra=["+notcp", "+ignore"]), "XFR size")
    if not s.events("transfer-refused", "zone=b.test", "to=127.0.0.4"):
        bad.append("nothing about 127.0.0.4 in the log")
    # Whoever can send packets cannot fill the log.
    before = len(s.events("transfer-refused"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for i in range(1000):
            sock.sendto(dnswire.query("b.test", 251, number=i), ("127.0.0.1", s.port))
    bad += has(s.dig("b.test", "AXFR", by="127.0.0.4"), "Transfer failed")
    lines = len(s.events("transfer-refused")) - before
    return bad + ([f"{lines} lines in the log"] if lines > 200 else [])


def over_tls(s):
    out = run("kdig", "@127.0.0.1", "-p", s.tls, "-b", "127.0.0.4", "+tls", f"+tls-ca={s.ca}",
              "+tls-host=a.test", "b.test", "AXFR")
    return has(out, "192.0.2.80", "ns.sub.b.test.", "11 records")


def steps(s):
    """What is changed in three steps."""
    bad = s.change("a.test", 2, MORE + "new A 192.0.2.2\n")
    bad += s.change("a.test", 3, MORE.replace("192.0.2.80", "192.0.2.81"))
    bad += s.change("a.test", 4)
    got = [r.replace(".a.test.", "").replace(" IN", "") for r in
           records(s.dig("a.test", "IXFR=1", key=True))]

    def soa(n):
        return f"a.test. 60 SOA ns1 hostmaster {n} 3600 600 1209600 60"

    def marker(n):
        return f'marker 60 TXT "{n}"'
    # What they come to, as one.
    want = [soa(4), soa(1), marker(1), soa(4), marker(4), soa(4)]
    bad += [] if got == want else ["got", *got, "wanted", *want]
    got = [r.replace(".a.test.", "").replace(" IN", "") for r in
           records(s.dig("a.test", "IXFR=2", key=True))]
    want = [soa(4), soa(2), marker(2), "new 60 A 192.0.2.2", soa(4), marker(4), soa(4)]
    bad += [] if sorted(got) == sorted(want) else ["got", *got, "wanted", *want]
    got = records(s.dig("a.test", "IXFR=3", key=True, extra=["+notcp"]))
    bad += [] if len(got) == 8 and " SOA " in got[-1] else [f"by UDP: {got}"]
    for newer in (4, 5):
        got = records(s.dig("a.test", f"IXFR={newer}", key=True))
        bad += [] if len(got) == 1 and " 4 3600 " in got[0] else [f"{newer}: {got}"]
    got = records(s.dig("a.test", "IXFR=4000000000", key=True))  # is not in the journal
    bad += [] if len(got) == 11 and " SOA " not in got[1] else [f"unknown: {got}"]
    return bad


def too_long_for_udp(s):
    more = "".join(f"host{i} A 192.0.2.{i}\n" for i in range(100))
    bad = s.change("a.test", 5, MORE + more) + s.change("a.test", 6, MORE + more)
    got = records(s.dig("a.test", "IXFR=4", key=True, extra=["+notcp", "+ignore"]))
    bad += [] if len(got) == 1 and " 6 3600 " in got[0] else [f"by UDP: {got}"]
    got = records(s.dig("a.test", "IXFR=4", key=True))
    return bad + ([] if len(got) == 106 else [f"{len(got)} records by TCP: {got}"])


# --- a large zone ---------------------------------------------------------------------------------
def many(address, text="number"):
    return MORE + "".join(f"host{i} A 192.0.{address}.{i % 256}\nhost{i} TXT \"{text} {i}\"\n"
                          for i in range(BIG))


def ask_for(kind, name, number=7):
    out = struct.pack(">6H", number, 0, 1, 0, 0, 0)
    for label in name.split("."):
        out += bytes([len(label)]) + label.encode()
    out += struct.pack(">BHH", 0, kind, 1)
    return struct.pack(">H", len(out)) + out


class Reader:
    """A transfer that is read as slowly as one likes."""

    def __init__(self, s, name):
        self.sock = socket.socket()
        # Before it connects: what comes and finds no room has to be sent again, much later.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.sock.settimeout(60)
        self.sock.bind(("127.0.0.2", 0))
        self.sock.connect(("127.0.0.1", s.port))
        self.sock.sendall(ask_for(252, name))
        self.answers = 0
        self.all = b""

    def exact(self, n):
        out = b""
        while len(out) < n:
            more = self.sock.recv(n - len(out))
            if not more:
                raise EOFError("the connection ended")
            out += more
        return out

    def message(self):
        """Returns how many answers it has."""
        msg = self.exact(*struct.unpack(">H", self.exact(2)))
        if msg[3] & 15:
            raise ValueError(f"rcode {msg[3] & 15}")
        self.all += msg
        count = struct.unpack(">H", msg[6:8])[0]
        self.answers += count
        return count


def a_reader_that_stops(s):
    """What is served changes meanwhile: the transfer is of the old zone, whole."""
    bad = s.change("b.test", 2, many(1, "x" * 200))  # more than the kernel takes at once
    reader = Reader(s, "b.test")
    reader.message()
    time.sleep(0.3)
    begun = s.stat("transfers_out")
    bad += s.change("b.test", 3, many(2, "y" * 200))
    for i in range(20):
        out = s.dig("+short", f"host{i}.b.test", "A")
        bad += has(out, f"192.0.2.{i}")
    while reader.answers < 2 * BIG + 11:
        reader.message()
    if reader.all.count(b"\xc0\0\1") < BIG or reader.all.count(b"\xc0\0\2\7") > 1:
        bad.append("it is mixed with the new one")
    reader.sock.close()
    bad += [] if begun == 1 else [f"{begun} transfers"]
    return bad + eventually(lambda: [] if s.stat("transfers_out") == 0 else ["it does not end"])


def who_goes_in_the_middle(s):
    readers = [Reader(s, "b.test") for _ in range(5)]
    for r in readers:
        r.message()
        r.sock.close()
    bad = eventually(lambda: [] if s.stat("transfers_out") == 0 else ["they do not end"])
    return bad + ([] if s.events("transfer-out-broken", "b.test") else ["nothing in the log"])


def more_than_go_at_a_time(s):
    """Whoever is too many is told so at once; the others go on."""
    taken, busy, readers = [], 0, []
    try:
        for _ in range(2 * MOST + 3):  # two processes
            readers.append(Reader(s, "b.test"))
            try:
                readers[-1].message()
                taken.append(readers[-1])
            except ValueError as e:
                busy += str(e) == "rcode 2"
        for r in taken[:2]:
            while r.answers < 2 * BIG + 11:
                r.message()
    finally:
        for r in readers:
            r.sock.close()
    return [] if busy >= 3 and len(taken) == len(readers) - busy and len(taken) >= MOST else [
        f"{len(taken)} go on, {busy} are too many"]


def two_on_one_connection(s):
    r = Reader(s, "b.test")
    r.sock.sendall(ask_for(252, "b.test", 8) + ask_for(6, "a.test", 9))
    seen = {7: 0, 8: 0, 9: 0}
    while seen[7] < 2 * BIG + 11 or seen[8] < 2 * BIG + 11 or seen[9] < 1:
        msg = r.exact(*struct.unpack(">H", r.exact(2)))
        seen[struct.unpack(">H", msg[:2])[0]] += struct.unpack(">H", msg[6:8])[0]
    r.sock.close()
    return [] if seen == {7: 2 * BIG + 11, 8: 2 * BIG + 11, 9: 1} else [str(seen)]


# --- secondaries ----------------------------------------------------------------------------------
def ask(server, name, kind):
    return run("dig", "@127.0.0.1", "-p", server.port, "+norec", "+short", "+tries=1", "+time=5",
               name, kind)


def has_serial(server, zone, serial):
    """It answers with that version, in all of the zone's records that tell."""
    soa, marker = ask(server, zone, "SOA").split(), ask(server, f"marker.{zone}", "TXT").strip()
    return [] if soa[2:3] == [str(serial)] and marker == f'"{serial}"' else [
        f"{server.name}: {zone}: SOA {soa}, marker {marker}, not {serial}"]


def all_have(secondaries, zone, serial):
    return eventually(lambda: sum((has_serial(x, zone, serial) for x in secondaries), []))


def first_transfer(s, secondaries):
    bad = all_have(secondaries, "a.test", 1)
    bad += [f"{x.name}: no wildcard" for x in secondaries
            if ask(x, "x.wild.a.test", "TXT").strip() != '"wild"']
    if len(s.events("transfer-out", "zone=a.test", "key=xfr", "kind=AXFR")) < len(secondaries):
        bad.append("not so many transfers in the log")
    return bad


def changes_arrive(s, secondaries):
    before = len(s.events("transfer-out", "zone=a.test", "kind=IXFR"))
    bad = []
    for serial in range(10, 14):
        bad += s.change("a.test", serial) + all_have(secondaries, "a.test", serial)
    after = len(s.events("transfer-out", "zone=a.test", "kind=IXFR"))
    wanted = 4 * len(secondaries)
    bad += [] if after - before >= wanted else [f"{after - before} IXFR, not {wanted}"]
    answered = s.events("notified", "zone=a.test", "serial=13")
    return bad + ([] if len(answered) >= len(secondaries) else [f"notified: {answered}"])


def zones_of_the_store(s, secondaries):
    """One that is made is fetched; a record that is edited comes by IXFR."""
    s.zone("store.test", 7)
    s.ctl("zone", "import", "store.test", str(s.dir / "zones/store.test"))
    bad = all_have(secondaries, "store.test", 7)
    s.ctl("zone", "add", "store.test", "more", "A", "192.0.2.44")

    def missing():
        return [f"{x.name} does not have it" for x in secondaries
                if ask(x, "more.store.test", "A").strip() != "192.0.2.44"]
    bad += eventually(missing)
    ixfr = s.events("transfer-out", "zone=store.test", "kind=IXFR")
    return bad + ([] if len(ixfr) >= len(secondaries) else [f"IXFR: {ixfr}"])


def killed_while_transferring(s, secondaries):
    """The secondaries have the old or the new zone, whole; and in the end the new one."""
    bad = s.change("big.test", 2, many(1)) + all_have(secondaries, "big.test", 2)
    for serial in (3, 4):
        bad += s.change("big.test", serial, many(serial))
        time.sleep(0.15 * (serial - 2))
        for pid in s.pids("dnsd"):
            os.kill(pid, signal.SIGKILL)
        for x in secondaries:
            soa = ask(x, "big.test", "SOA").split()[2:3]
            last = ask(x, f"host{BIG - 1}.big.test", "A").split(".")[2:3]
            if soa and last and not soa[0] in (str(serial), str(serial - 1)):
                bad.append(f"{x.name}: SOA {soa}, host {last} while {serial} is transferred")
        s.wait_ready()
        bad += all_have(secondaries, "big.test", serial)
        bad += [f"{x.name}: host{i} is not of {serial}" for x in secondaries
                for i in (0, BIG // 2, BIG - 1)
                if ask(x, f"host{i}.big.test", "A").strip() != f"192.0.{serial}.{i % 256}"]
    return bad


class Deaf(threading.Thread):
    """Is told of b.test; answers the second time only."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.got = []
        self.start()

    def run(self):
        while True:
            msg, peer = self.sock.recvfrom(4096)
            self.got.append(msg)
            if self.got.count(msg) > 1:  # the same id: it is told again
                self.sock.sendto(msg[:2] + bytes([msg[2] | 0x80, 0]) + msg[4:], peer)


def told_again(s, deaf):
    bad = eventually(lambda: [] if s.events("notified", "zone=b.test", "tries=2") else
                     ["nothing in the log"])
    msg = deaf.got[0]
    flags, questions, answers = struct.unpack(">HHH", msg[2:8])
    if (flags, questions, answers) != (0x2400, 1, 1) or msg[12:20] != b"\1b\4test\0":
        bad.append(f"NOTIFY is {msg.hex()}")
    return bad


KEY = {"nsd": f'key:\n    name: xfr\n    algorithm: hmac-sha256\n    secret: "{SECRET}"\n',
       "knot": f"key:\n  - id: xfr\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"}


def secondaries_of(port, tap):
    """nsd and Knot, as far as they can be had."""
    nsd = f"    allow-notify: 127.0.0.1 xfr\n    request-xfr: 127.0.0.1@{port} xfr\n"
    knot = "    master: hamlet\n    acl: hamlet\n"
    remote = f"remote:\n  - id: hamlet\n    address: 127.0.0.1@{port}\n    key: xfr\n" \
             "acl:\n  - id: hamlet\n    key: xfr\n    action: notify\n"
    found = []
    for kind, zone, more in ((Nsd, nsd, KEY["nsd"]), (Knot, knot, KEY["knot"] + remote)):
        try:
            found.append(kind({z: {"more": zone} for z in ZONES}, more))
        except RuntimeError as e:
            tap.skip(f"{kind.name} is a secondary", str(e))
    return found


def main():
    tap = Tap()
    port = free_port()
    deaf = Deaf(free_port())
    secondaries = secondaries_of(port, tap)
    s = None
    try:
        s = Primary(port, secondaries, deaf.sock.getsockname()[1])
        if secondaries:
            tap.test("nsd and Knot get the zone, signed by a key", first_transfer, s, secondaries)
        tap.test("one that did not answer is told again", told_again, s, deaf)
        for name, test in (
                ("dig gets all of it", whole),
                ("who may not, gets nothing", refusals),
                ("by TLS", over_tls),
                ("IXFR has the steps, condensed", steps),
                ("IXFR that is too long for UDP", too_long_for_udp),
                ("one that stops reading, while the zone changes", a_reader_that_stops),
                ("who goes in the middle", who_goes_in_the_middle),
                ("more than go on at a time", more_than_go_at_a_time),
                ("two on one connection, and a question", two_on_one_connection)):
            tap.test(name, test, s)
        if secondaries:
            tap.test("changes arrive by NOTIFY and IXFR", changes_arrive, s, secondaries)
            tap.test("zones of the store", zones_of_the_store, s, secondaries)
            tap.test("kill -9 while it transfers", killed_while_transferring, s, secondaries)
    finally:
        for x in secondaries:
            if os.environ.get("HAMLET_KEEP"):
                tap.note(x.log()[-6000:])
            x.close()
        if s:
            tap.ends(s)
    tap.done()


main()
