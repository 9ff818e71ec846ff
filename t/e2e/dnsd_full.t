#!/usr/bin/env python3
"""Disks that are full: dnsd's, when a zone is compiled, and stored's, when one is transferred or
updated. What was served stays; what could not be done is done when there is room again."""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import dnswire  # noqa: E402
from primary import A, SOA, Primary, rr, whole  # noqa: E402
from suite import FIRST_UID, Supervised  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
ZONE = "full.test"
MANY = 20000
CONF = """zone full.test from 127.0.0.1 port {primary}
zone own.test {{
	update {{
		clients 127.0.0.1
	}}
}}
transfer-in {{
	refresh-least 1h
	retry-least 1h
}}
"""
START = "$TTL 300\n@ SOA ns host 1 2h 10m 4w 5m\n@ NS ns\nns A 192.0.2.1\n"
SIZES = {"dns": "4M", "store": "24M"}


def into_namespace():
    """Runs this test again where file systems may be mounted."""
    if os.geteuid() == 0 and \
            subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                           stderr=subprocess.DEVNULL).returncode == 0:
        sys.exit(subprocess.run(["unshare", "-m", sys.executable, __file__, "inside"],
                                check=False).returncode)
    print("1..0 # SKIP no file system can be mounted here")
    sys.exit(0)


class Full(Supervised):
    def __init__(self, primary):
        self.primary = primary
        super().__init__(["dnsd"])
        self.port = self.ports["content"]
        (self.dir / "text").write_text(START)
        self.ctl("zone", "import", "own.test", str(self.dir / "text"))

    def write_conf(self, name):
        folder = {"dnsd": "dns", "stored": "store"}.get(name)
        if folder and not (self.dir / folder).exists():
            (self.dir / folder).mkdir(mode=0o700)
            uid = FIRST_UID + self.daemons.index(name)
            subprocess.run(["mount", "-t", "tmpfs", "-o",
                            f"size={SIZES[folder]},mode=700,uid={uid},gid={uid}", "none",
                            self.dir / folder], check=True)
        self.extra["dnsd"] = CONF.format(primary=self.primary.port)
        super().write_conf(name)

    def fill(self, folder):
        try:
            with open(self.dir / folder / "ballast", "wb", buffering=0) as f:
                while f.write(bytes(4096)):
                    pass
        except OSError:
            pass

    def empty(self, folder):
        (self.dir / folder / "ballast").unlink()

    def logged(self, *wanted):
        return [line for line in (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
                if all(w in line for w in wanted)]

    def zone(self, serial, hosts):
        records = [rr(ZONE, f"h{i}", A, f"10.{serial}.{i // 250}.{i % 250}") for i in range(hosts)]
        last = whole(ZONE, serial, [])
        messages = [last[:-1], *(records[i:i + 1000] for i in range(0, hosts, 1000)), last[-1:]]
        self.primary.zones[ZONE] = (serial, lambda kind: messages)

    def refresh(self):
        try:
            return self.ctl("zone", "refresh", ZONE)
        except RuntimeError as e:
            return str(e)

    def close(self):
        for folder in SIZES:
            subprocess.run(["umount", "-l", self.dir / folder], check=False)
        return super().close()


def answer(s, name, kind):
    m = dnswire.Message(dnswire.ask_udp(s.port, [dnswire.query(name, kind)])[0])
    return (m.rcode, *sorted(r[3] for r in m.answer))


def serial(s):
    got = answer(s, ZONE, "SOA")
    return struct.unpack(">5I", bytes.fromhex(got[1].split()[-1]))[0] if len(got) == 2 else got


def becomes(fn, want):
    end = time.monotonic() + SECONDS
    while (got := fn()) != want and time.monotonic() < end:
        time.sleep(0.1)
    return [] if got == want else [f"{got}, expected {want}"]


def until(what, fn):
    return [f"never: {what}" for _ in becomes(lambda: bool(fn()), True)]


def an_image(s):
    bad = becomes(lambda: serial(s), 1)
    s.fill("dns")
    s.zone(2, MANY)
    s.refresh()
    bad += until("zone-failed", lambda: s.logged("zone-failed", f"zone={ZONE}", "as it was before"))
    bad += until("why", lambda: s.logged("zone-mistake", f"zone={ZONE}", "No space left"))
    bad += becomes(lambda: serial(s), 1) + becomes(lambda: answer(s, f"h0.{ZONE}", A),
                                                   (0, "0a010000"))
    left = [p.name for p in (s.dir / "dns").glob("*.new")]
    return bad + ([f"left behind: {left}"] if left else [])


def a_restart(s):
    """What was served is served again."""
    s.ctl("daemon", "restart", "dnsd")
    return becomes(lambda: serial(s), 1)


def room_again(s):
    s.empty("dns")
    s.ctl("zone", "reload")
    return becomes(lambda: serial(s), 2) + becomes(lambda: answer(s, f"h{MANY - 1}.{ZONE}", A),
                                                   (0, bytes([10, 2, 79, 249]).hex()))


def update(s, name):
    packet = struct.pack(">6H", 7, 5 << 11, 1, 0, 1, 0) + dnswire.wire_name("own.test") + \
        struct.pack(">HH", SOA, 1) + rr("own.test", name, A, "192.0.2.7")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", s.port))
        sock.settimeout(SECONDS)
        sock.send(packet)
        return sock.recv(4096)[3] & 15


def a_store(s):
    """Neither a transfer nor an update is half there."""
    bad = becomes(lambda: answer(s, "ns.own.test", A), (0, "c0000201"))
    s.fill("store")
    s.zone(3, MANY)
    said = s.refresh()
    bad += [] if "status 0" not in said and "serial 3" not in said else [said]
    bad += until("refresh-failed", lambda: s.logged("refresh-failed", f"zone={ZONE}", "from=store",
                                                    "full"))
    bad += [] if (got := update(s, "u1")) in (2, 0) else [f"update: {got}"]
    bad += becomes(lambda: serial(s), 2)
    s.empty("store")
    bad += until("stored is there", lambda: "serial 3" in s.refresh())
    bad += becomes(lambda: serial(s), 3) + becomes(lambda: update(s, "u2"), 0)
    bad += becomes(lambda: answer(s, "u2.own.test", A), (0, "c0000207"))
    s.ctl("check")
    return bad


def main():
    if sys.argv[1:] != ["inside"]:
        into_namespace()
    tap, primary = Tap(), Primary()
    primary.zones[ZONE] = (1, lambda kind: [whole(ZONE, 1, [rr(ZONE, "h0", A, "10.1.0.0")])])
    s = Full(primary)
    try:
        for name, test in (("an image is made", an_image), ("dnsd starts anew", a_restart),
                           ("there is room again", room_again),
                           ("a zone is stored", a_store)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
