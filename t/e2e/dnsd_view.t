#!/usr/bin/env python3
"""Views (split horizon): what a client sees depends on where it is. They are 127.0.0.1 (outside),
127.0.1.x (the office) and 127.0.2.x (the guests of the office)."""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from dnswire import query, read_name  # noqa: E402
from suite import BUILD, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

ZONE = """$TTL 3600
@ SOA ns1.a.test. hostmaster.a.test. {serial} 2h 10m 2w 5m
@ NS ns1.a.test.
"""
TEXTS = {
    "a.test": "ns1 A 192.0.2.1\nwww A 192.0.2.80\nonly.out A 192.0.2.81\nsub NS ns1\n",
    "b.test": "www A 192.0.2.90\nalias CNAME www.a.test.\n",
    "sub.a.test": "www A 192.0.2.99\n",
    "a.test.office": "ns1 A 10.0.0.1\nwww A 10.0.0.80\nonly.in A 10.0.0.81\n",
    "c.test.office": "www A 10.0.0.99\n",
    "a.test.guests": "ns1 A 10.9.0.1\nwww A 10.9.0.80\n",
}
CONF = """zone a.test file zones/a.test
allow-transfer 127.0.0.0/8
secondary 127.0.1.50 port {port}
zone b.test file zones/b.test
zone sub.a.test file zones/sub.a.test
view guests {{
	clients 127.0.2.0/24
	zone a.test file zones/a.test.guests
	zone late.test file zones/late.test
}}
view office {{
	clients 127.0.1.0/24 fd00::/8
	clients 127.0.2.0/24
	zone a.test {{
		file zones/a.test.office
	}}
	zone c.test file zones/c.test.office
}}
"""
OUTSIDE, OFFICE, GUEST = "127.0.0.1", "127.0.1.7", "127.0.2.7"


class Dns(Supervised):
    def __init__(self):
        self.secondary = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.secondary.bind(("127.0.1.50", 0))
        self.secondary.settimeout(30)
        text = CONF.format(port=self.secondary.getsockname()[1])
        super().__init__(["dnsd"], conf={"dnsd": text}, processes={"dnsd": 2})
        self.port = self.ports["content"]

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            for text in TEXTS:
                self.zone(text, 1)
        super().write_conf(name)

    def zone(self, name, serial, more=""):
        path = self.dir / "zones" / name
        path.with_suffix(".new").write_text(ZONE.format(serial=serial) + TEXTS[name] + more)
        path.with_suffix(".new").rename(path)


def dig(s, client, *words):
    return subprocess.run(["dig", "-b", client, "@127.0.0.1", "-p", str(s.port), "+tries=3",
                           "+time=10", *words], capture_output=True, text=True, timeout=60,
                          check=False).stdout


def short(s, client, *words):
    return dig(s, client, "+short", *words).split()


def same(got, want, what):
    return [] if got == want else [f"{what}: {got}, not {want}"]


def by_network(s):
    bad = []
    for how in ("+notcp", "+tcp"):
        for client, www in ((OUTSIDE, "192.0.2.80"), (OFFICE, "10.0.0.80"), (GUEST, "10.9.0.80")):
            bad += same(short(s, client, "www.a.test", how), [www], f"{client} {how}")
    return bad


def names_of_one_view(s):
    bad = []
    for name, client, status in (
            ("only.out.a.test", OUTSIDE, "NOERROR"), ("only.out.a.test", OFFICE, "NXDOMAIN"),
            ("only.in.a.test", OUTSIDE, "NXDOMAIN"), ("only.in.a.test", OFFICE, "NOERROR"),
            ("www.c.test", OUTSIDE, "REFUSED"), ("www.c.test", OFFICE, "NOERROR"),
            ("www.c.test", GUEST, "REFUSED"),
            # It could not be loaded: that is told, instead of what others see.
            ("www.late.test", GUEST, "SERVFAIL"), ("www.late.test", OFFICE, "REFUSED")):
        if f"status: {status}" not in dig(s, client, name):
            bad.append(f"{name} from {client} is not {status}")
    return bad


def zones_of_all(s):
    bad = []
    for client in (OUTSIDE, OFFICE, GUEST):
        bad += same(short(s, client, "www.b.test"), ["192.0.2.90"], client)
        # The closest zone counts, wherever it stands.
        bad += same(short(s, client, "www.sub.a.test"), ["192.0.2.99"], client)
    # From a zone of all into the view's.
    bad += same(short(s, OFFICE, "alias.b.test"), ["www.a.test.", "10.0.0.80"], "its alias")
    return bad + same(short(s, OUTSIDE, "alias.b.test"), ["www.a.test.", "192.0.2.80"], "alias")


def in_one_batch(s):
    """Queries of all sides that wait in one socket, each with an answer for its own."""
    clients = [(OUTSIDE, b"\xc0\0\2\x50"), (OFFICE, b"\x0a\0\0\x50"), (GUEST, b"\x0a\x09\0\x50")]
    socks = []
    for client, _ in clients:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((client, 0))
        sock.settimeout(30)
        socks.append(sock)
    pids = s.pids("dnsd")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for n in range(20):
            for sock in socks:
                sock.sendto(query("www.a.test", "A", number=n), ("127.0.0.1", s.port))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    bad = []
    for sock, (client, address) in zip(socks, clients):
        for _ in range(20):
            got = sock.recv(4096)
            if not got.endswith(address):
                bad.append(f"{client}: {got.hex()}")
        sock.close()
    return bad


def told_apart(s):
    listed = s.ctl("zone", "list")
    bad = [f"no {z} in:\n{listed}" for z in ("a.test ", "a.test@office", "a.test@guests",
                                             "c.test@office") if z not in listed]
    images = {p.name for p in s.dir.glob("**/*.image")}
    bad += same({"a.test.image", "a.test@office.image", "a.test@guests.image"} - images, set(),
                f"images {images}")
    s.zone("a.test.office", 2, "new A 10.0.0.82\n")
    out = s.ctl("zone", "reload", "a.test@office")
    bad += [] if "a.test@office: serial 2" in out else [out]
    bad += same(short(s, OFFICE, "new.a.test"), ["10.0.0.82"], "the office's new name")
    bad += same(short(s, OUTSIDE, "new.a.test"), [], "outside")
    s.zone("a.test", 3)
    bad += [] if "a.test: serial 3" in s.ctl("zone", "reload", "a.test") else ["not reloaded"]
    bad += same(short(s, OFFICE, "a.test", "SOA")[2:3], ["2"], "the office's serial")
    bad += same(short(s, OUTSIDE, "a.test", "SOA")[2:3], ["3"], "the serial outside")
    out = s.ctl("zone", "reload", "a.test@nowhere", ok=False)
    bad += [] if "no such zone" in out else [out]
    metrics = s.ctl("metrics")
    return bad + [f"no {v}" for v in ('zone="a.test@office"', 'zone="a.test"') if v not in metrics]


def transfers(s):
    bad = []
    for client, has, has_not in ((OUTSIDE, "192.0.2.80", "10.0.0.80"),
                                 (OFFICE, "10.0.0.80", "192.0.2.80"),
                                 (GUEST, "10.9.0.80", "10.0.0.80")):
        out = dig(s, client, "a.test", "AXFR")
        if has not in out or has_not in out:
            bad.append(f"{client}: {out}")
    out = dig(s, OUTSIDE, "c.test", "AXFR")
    return bad + ([] if "Transfer failed" in out else [out])


def updates(s):
    """The office's zone is one that is edited in its file; outside there is none of the name."""
    bad = []
    for client, why in ((OFFICE, "REFUSED"), (OUTSIDE, "NOTAUTH")):
        got = subprocess.run(["nsupdate", "-t", "30"], capture_output=True, text=True, timeout=60,
                             check=False, input=f"local {client}\nserver 127.0.0.1 {s.port}\n"
                             "zone c.test\nupdate add x.c.test 60 A 192.0.2.7\nsend\n")
        if why not in got.stdout + got.stderr:
            bad.append(f"{client}: {got.stdout}{got.stderr}")
    return bad


def notice(s):
    """The zone and its serial in the next NOTIFY that the secondary gets."""
    got = s.secondary.recv(4096)
    while not got[2] & 0x78:  # it is asked for its serial, too
        got = s.secondary.recv(4096)
    return read_name(got, 12)[0], struct.unpack(">I", got[-20:-16])[0]


def notices(s):
    """The secondary is of the office: it is told of the office's changes alone (serial 2)."""
    got = set()
    while ("a.test.", 2) not in got:
        got.add(notice(s))
    s.zone("a.test", 4)
    s.ctl("zone", "reload", "a.test")
    s.zone("b.test", 9)
    s.ctl("zone", "reload", "b.test")
    while ("b.test.", 9) not in got:
        got.add(notice(s))
    return same({n for n in got if n[0] == "a.test."} - {("a.test.", 1)}, {("a.test.", 2)}, "told")


def mistakes(s):
    bad = []
    for text, why in (("view x {\n\tzone a.test file zones/a.test\n}\n", "clients is missing"),
                      ("view X {\n\tclients ::1\n}\n", "small letters"),
                      ("view x y {\n\tclients ::1\n}\n", "one name"),
                      ("view x {\n\tclients ::1\n}\nview x {\n\tclients ::1\n}\n", "there twice"),
                      ("view x {\n\tclients ::1 host\n}\n", '"host"'),
                      ("view x {\n\tclients ::1\n\tzone a.test\n}\n", "from a file"),
                      ("view x {\n\tclients ::1\n\tzone a {\n\t\tfile x\n"
                       "\t\tsecondary 192.0.2.1\n\t}\n}\n", "192.0.2.1 is no client of view x"),
                      ("view x {\n\tclients ::1\n\tzone a file x\n\tzone A file y\n}\n", "twice")):
        path = s.dir / "mistake.conf"
        path.write_text("version 1\ncontent 127.0.0.1:5353\n" + text)
        got = subprocess.run([BUILD / "dnsd", "-n", "-f", path], capture_output=True, text=True,
                             timeout=30, check=False)
        if got.returncode == 0 or why not in got.stdout + got.stderr:
            bad.append(f"{text}: {got.returncode} {got.stdout}{got.stderr}")
    return bad


def understood(s):
    """What -nn prints reads back the same."""
    def said(path):
        return subprocess.run([BUILD / "dnsd", "-nn", "-f", path], capture_output=True, text=True,
                              timeout=30, check=True).stdout
    first = said(s.dir / "dnsd.conf")
    (s.dir / "again.conf").write_text(first)
    return same(said(s.dir / "again.conf"), first, "again") + \
        ([] if "fd00::/8" in first and "view office" in first else [first])


def main():
    tap = Tap()
    s = Dns()
    try:
        for name, test in (
                ("a name has an address for each network", by_network),
                ("names that one view has are not the others'", names_of_one_view),
                ("zones outside the views are everybody's", zones_of_all),
                ("queries of all networks in one batch", in_one_batch),
                ("zones are told apart by their views", told_apart),
                ("transfers are of what the client sees", transfers),
                ("updates are of what the client sees", updates),
                ("notices are of what the secondary sees", notices),
                ("mistakes are told", mistakes),
                ("what was understood reads back the same", understood)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
