#!/usr/bin/env python3
"""What dnsd asks and tells other servers of its zones: from the address that it is told to, and
notices when the administrator wants them. A primary, two processes, which lets one address of the
secondary alone ask anything."""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS = 60
OURS, THEIRS = "127.0.0.7", "127.0.0.9"  # of the secondary, of the primary
ZONE = """$TTL 60
@ SOA ns1 hostmaster {serial} 3600 600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
"""


class Dns(Supervised):
    def __init__(self, port, conf, processes):
        self.port, self.serial = port, 0
        super().__init__(["dnsd"], conf={"dnsd": conf}, processes={"dnsd": processes})

    def write_conf(self, name):
        if name == "dnsd":
            self.ports.setdefault("content", self.port)
            (self.dir / "zones").mkdir(exist_ok=True)
            self.write_zone()
        super().write_conf(name)

    def write_zone(self):
        self.serial += 1
        (self.dir / "zones/own.test").write_text(ZONE.format(serial=self.serial))

    def change(self):
        self.write_zone()
        self.ctl("zone", "reload", "own.test")

    def replace(self, conf):
        self.extra["dnsd"] = conf
        self.write_conf("dnsd")
        self.ctl("daemon", "restart", "dnsd")
        self.wait_ready()

    def events(self, *wanted):
        lines = (self.dir / "hamletd.log").read_text(errors="replace").splitlines()
        return [line for line in lines if all(w in line for w in wanted)]


def serial(server):
    out = subprocess.run(["dig", "@127.0.0.1", "-p", str(server.port), "+norec", "+short",
                          "+tries=2", "+time=5", "own.test", "SOA"], capture_output=True,
                         text=True, timeout=60, check=False).stdout.split()
    return int(out[2]) if len(out) > 2 else None


def become(what, want, fn, *args):
    end, got = time.monotonic() + SECONDS, None
    while time.monotonic() < end:
        got = fn(*args)
        if got == want:
            return []
        time.sleep(0.1)
    return [f"{what}: {got!r}, not {want!r}"]


def more(server, before, *wanted):
    """Events than there were."""
    return become(" ".join(wanted), True, lambda: len(server.events(*wanted)) > before)


# --- tests ----------------------------------------------------------------------------------------
def fetched_from_the_source(p, s, conf):
    return become("serial", p.serial, serial, s)


def told_from_the_source(p, s, conf):
    """A notice from elsewhere would be none of a primary's."""
    p.change()
    return become("serial", p.serial, serial, s)


def another_address_is_refused(p, s, conf):
    s.replace(conf.replace(f"source {OURS}\n", ""))
    before, old = len(s.events("refresh-failed", "zone=own.test")), p.serial
    p.change()
    bad = more(s, before, "refresh-failed", "zone=own.test")
    if serial(s) != old:
        bad.append(f"it has {serial(s)}, not {old}")
    s.replace(conf)
    return bad + become("serial", p.serial, serial, s)


def notices_on_demand(p, s, conf):
    bad = []
    for words in (["own.test"], [], ["OWN.TEST."]):
        before = len(p.events("notified", "zone=own.test"))
        out = p.ctl("zone", "notify", *words)
        if out != f"own.test: serial {p.serial}, to 127.0.0.1 port {s.port}\n":
            bad.append(out)
        bad += more(p, before, "notified", "zone=own.test", "to=127.0.0.1")
    return bad


def nobody_to_be_told(p, s, conf):
    out = (s.ctl("zone", "notify", "own.test") + s.ctl("zone", "notify"),
           s.ctl("zone", "notify", "other.test", ok=False),
           s.ctl("zone", "notify", "a", "b", ok=False))
    if (out[0] != "own.test: nobody is to be told\nall zones: nobody is to be told\n" or
            "no such zone" not in out[1] or "zone notify [NAME]" not in out[2]):
        return list(out)
    return []


def main():
    tap = Tap()
    ports = [free_port() for _ in range(2)]
    servers = []
    conf = f"source {OURS}\nzone own.test from {THEIRS} port {ports[0]}\n"
    try:
        servers.append(Dns(ports[0], f"content {THEIRS}:{ports[0]}\nsource {THEIRS}\n"
                           f"allow {OURS}\nallow-transfer {OURS}\n"
                           f"notify 127.0.0.1 port {ports[1]}\n"
                           "zone own.test file zones/own.test\n", 2))
        servers.append(Dns(ports[1], conf, 1))
        for test in (fetched_from_the_source, told_from_the_source, another_address_is_refused,
                     notices_on_demand, nobody_to_be_told):
            tap.test(test.__name__.replace("_", " "), test, *servers, conf)
    finally:
        for s in servers:
            tap.ends(s)
    tap.done()


main()
