#!/usr/bin/env python3
"""dnsd as a secondary, two processes, of nsd and Knot: AXFR, IXFR, NOTIFY, TSIG, primaries that are
gone, zones that expire, and that kill -9 of dnsd or stored during a transfer leaves the old zone or
the new one, whole."""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from nameservers import Knot, Nsd  # noqa: E402
from suite import BUILD, FIRST_UID, Suite, Supervised, free_port  # noqa: E402
from tap import Tap  # noqa: E402

LONG = bool(os.environ.get("HAMLET_LONG"))
SECONDS = 30  # a thing that is to happen has so long
RECORDS = 100000
KILLS = 10 if LONG else 4
SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0IG9mIGhhbWxldC4="
SOA = "@ 60 SOA ns1.{zone}. host.{zone}. {serial} 3600 600 1209600 60\n"
REST = """@ 60 NS ns1.{zone}.
ns1.{zone}. 60 A 192.0.2.53
www 60 A 192.0.2.{last}
www 60 TXT "serial {serial}"
*.wild 60 MX 10 Mail.{zone}.
odd 60 TYPE65400 \\# 4 c0000201
sub 60 NS ns.sub
ns.sub 60 A 192.0.2.54
"""
NSD_KEY = f"""key:
    name: xfr
    algorithm: hmac-sha256
    secret: "{SECRET}"
"""
KNOT_KEY = f"""key:
  - id: xfr
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: out
    address: 127.0.0.1
    action: transfer
  - id: signed
    key: xfr
    action: transfer
remote:
  - id: dnsd
    address: 127.0.0.1@{{port}}
"""
CONF = """zone n.test from 127.0.0.1 port {nsd}
zone sec.test from 127.0.0.1 port {nsd} key xfr
zone wrong.test from 127.0.0.1 port {nsd} key other
zone k.test from 127.0.0.1 port {knot}
zone turn.test {{
	primary 127.0.0.1 port 1
	primary 127.0.0.1 port {knot}
}}
zone tls.test from 127.0.0.1 port {tls} tls ns.test
zone name.test from 127.0.0.1 port {tls} tls other.test
zone big.test from 127.0.0.1 port {nsd}
key xfr {{
	algorithm hmac-sha256
	secret-file xfr.key
}}
key other {{
	algorithm hmac-sha256
	secret-file other.key
}}
secondary 127.0.0.1 port {third}
transfer-in {{
	retry-least 1s
	retry-most 2s
	tls-ca ns.pem
}}
"""


def text(zone, serial, more=""):
    return (SOA + REST).format(zone=zone, serial=serial, last=serial % 250) + more


def large(serial):
    return text("big.test", serial, "".join(
        f"h{i} 60 A 192.{serial % 250}.{i // 250 % 250}.{i % 250}\n" for i in range(RECORDS)))


class Secondary(Supervised):
    def __init__(self, port, nsd, knot):
        self.port, self.certificate = port, nsd.folder / "ns.pem"
        self.keys = {"xfr": SECRET, "other": SECRET.replace("c2", "d2")}
        self.third = free_port()
        conf = CONF.format(third=self.third, nsd=nsd.port, knot=knot.port, tls=nsd.tls)
        super().__init__(["dnsd"], conf={"dnsd": conf}, processes={"dnsd": 2})

    def write_conf(self, name):
        self.ports["content"] = self.port
        for key, secret in self.keys.items():
            path = self.dir / f"{key}.key"
            path.write_text(secret + "\n")
            path.chmod(0o600)
            if os.geteuid() == 0:  # dnsd has a user of its own
                os.chown(path, FIRST_UID + self.daemons.index("dnsd"), -1)
        shutil.copy(self.certificate, self.dir / "ns.pem")
        super().write_conf(name)

    def logged(self):
        return (self.dir / "hamletd.log").read_text(errors="replace")


class Third(Suite):
    """A secondary of the secondary."""

    def __init__(self, port, primary):
        self.port = port
        super().__init__(["dnsd"], conf={"dnsd": f"zone k.test from 127.0.0.1 port {primary}\n"})

    def write_conf(self, name):
        self.ports["content"] = self.port
        super().write_conf(name)


def dig(s, *words):
    return subprocess.run(["dig", "@127.0.0.1", "-p", str(s.port), "+tries=3", "+time=5",
                           *words], capture_output=True, text=True, timeout=60,
                          check=False).stdout


def serial(s, zone):
    """What both processes answer: each question has a port of its own."""
    got = {" ".join(dig(s, "+short", zone, "SOA").split(" ")[2:3]) for _ in range(12)}
    return got.pop() if len(got) == 1 else got


def wait(what, want):
    got, end = None, time.monotonic() + SECONDS
    while time.monotonic() < end:
        got = what()
        if got == want:
            return []
        time.sleep(0.1)
    return [f"{got!r}, not {want!r}"]


def has_serial(s, zone, number):
    return [f"{zone}: {why}" for why in wait(lambda: serial(s, zone), str(number))]


def lines(out):
    return sorted(" ".join(line.split()).lower() for line in out.splitlines()
                  if line and not line.startswith(";"))


def same_records(s, zone, peer):
    """The store's, as hamletctl exports it, and what the primary hands out."""
    ours = lines(s.ctl("zone", "export", zone))
    theirs = subprocess.run(["dig", "@127.0.0.1", "-p", str(peer.port), "+onesoa", "+tries=1",
                             zone, "AXFR"], capture_output=True, text=True, timeout=60,
                            check=False).stdout
    theirs = lines(theirs)
    if ours == theirs and ours:
        return []
    return [f"{zone}: {len(ours)} records, not {len(theirs)}: {set(ours) ^ set(theirs)}"]


def expect(problems, what, got, want):
    if got != want:
        problems.append(f"{what}: {got!r}, not {want!r}")


# --- tests ----------------------------------------------------------------------------------------
def by_axfr(s, nsd, knot):
    problems = has_serial(s, "n.test", 1) + has_serial(s, "k.test", 1)
    problems += same_records(s, "n.test", nsd) + same_records(s, "k.test", knot)
    out = dig(s, "x.wild.k.test", "MX")
    if "status: NOERROR" not in out or "10 mail.k.test." not in out.lower():
        problems.append(out)
    return problems


def primaries_in_turn(s):
    return has_serial(s, "turn.test", 1)


def with_a_key(s):
    problems = has_serial(s, "sec.test", 1)
    problems += wait(lambda: bool(re.search(r"refresh-failed zone=wrong\.test .*reason=",
                                            s.logged())), True)
    out = dig(s, "wrong.test", "SOA")
    if "SERVFAIL" not in out or "EDE: 14" not in out:
        problems.append(out)
    return problems


def by_tls(s):
    """The certificate has to be the one for the name."""
    problems = has_serial(s, "tls.test", 1)
    problems += wait(lambda: bool(re.search(r"refresh-failed zone=name\.test .*reason=",
                                            s.logged())), True)
    if "SERVFAIL" not in dig(s, "name.test", "SOA"):
        problems.append("name.test is served")
    return problems


def by_ixfr(s, knot):
    """Knot tells of what is new; a second change is fetched by command."""
    knot.write_zone("k.test", text("k.test", 2, "new 60 A 192.0.2.77\n"))
    knot.process.send_signal(signal.SIGHUP)
    problems = has_serial(s, "k.test", 2) + same_records(s, "k.test", knot)
    if not re.search(r"zone-transferred zone=k\.test .*by=IXFR serial=2 before=1", s.logged()):
        problems.append("it did not come by IXFR")
    return problems


def refreshed(s, zone, number):
    """By command, as often as it takes: a primary may take its time to load what is new."""
    out, end = "", time.monotonic() + SECONDS
    while f"serial {number}," not in out and time.monotonic() < end:
        try:
            out = s.ctl("zone", "refresh", zone)
        except RuntimeError as e:
            out = str(e)
            time.sleep(0.2)
    return out


def by_command(s, nsd):
    nsd.write_zone("n.test", text("n.test", 7))
    nsd.process.send_signal(signal.SIGHUP)
    refreshed(s, "n.test", 7)
    problems = has_serial(s, "n.test", 7) + same_records(s, "n.test", nsd)
    out = s.ctl("zone", "refresh", "n.test", "--force")
    if "by AXFR" not in out:
        problems.append(out)
    # The primary goes back: only by force.
    nsd.stop()
    nsd.write_zone("n.test", text("n.test", 3))
    nsd.start()
    said = s.ctl("zone", "refresh", "n.test", ok=False)
    if "older" not in said:
        problems.append(said)
    s.ctl("zone", "refresh", "n.test", "--force")
    problems += has_serial(s, "n.test", 3) + same_records(s, "n.test", nsd)
    # Another zone with the same serial, likewise.
    nsd.stop()
    nsd.write_zone("n.test", text("n.test", 3, "again 60 A 192.0.2.99\n"))
    nsd.start()
    s.ctl("zone", "refresh", "n.test", "--force")
    problems += wait(lambda: {dig(s, "+short", "again.n.test") for _ in range(8)},
                     {"192.0.2.99\n"})
    # A secondary that is deleted is fetched anew.
    s.ctl("zone", "delete", "turn.test", "--yes")
    problems += wait(lambda: bool(re.search(
        r"zone=turn\.test .*before=0 .*zone=turn\.test .*before=0 ", s.logged(), re.S)), True)
    problems += has_serial(s, "turn.test", 1)
    said = s.ctl("zone", "refresh", "nothing.test", ok=False)
    if "no such zone" not in said:
        problems.append(said)
    return problems


def listed(s, zone):
    return next(json.loads(line) for line in s.ctl("--json", "zone", "list").splitlines()
                if json.loads(line)["zone"] == zone)


def expires(s, knot):
    problems, row = [], listed(s, "k.test")
    expect(problems, "state", row["state"], "served")
    expect(problems, "primary", row["primary"], f"127.0.0.1 port {knot.port}")
    if not row["expires"] > row["refreshed"] > "2000":
        problems.append(str(row))
    knot.stop()
    s.move_clock(1209600 + 3600)
    problems += wait(lambda: listed(s, "k.test")["state"], "expired")
    # Each process sees it for itself, within a second.
    problems += wait(lambda: sum("SERVFAIL" in out and "EDE: 24" in out for out in
                                 (dig(s, "www.k.test", "A") for _ in range(12))), 12)
    problems += wait(lambda: serial(s, "k.test"), "")
    knot.start()
    refreshed(s, "k.test", 2)  # else by itself, when the time of another try has come
    problems += has_serial(s, "k.test", 2)
    return problems + wait(lambda: listed(s, "k.test")["state"], "served")


def in_a_row(s, knot):
    """What Knot changes comes to the third server, by IXFR and told by NOTIFY each."""
    third = Third(s.third, s.port)
    try:
        problems = has_serial(third, "k.test", 2)
        knot.write_zone("k.test", text("k.test", 4, "newer 60 A 192.0.2.78\n"))
        knot.process.send_signal(signal.SIGHUP)
        problems += has_serial(third, "k.test", 4)
        if lines(s.ctl("zone", "export", "k.test")) != lines(third.ctl("zone", "export", "k.test")):
            problems.append("the records differ")
        if not re.search(r"zone-transferred zone=k\.test .*by=IXFR serial=4 before=2",
                         third.log("dnsd")):
            problems.append(third.log("dnsd"))
    finally:
        problems += third.close()
    return problems


def restarts(s):
    """What was transferred is served at once, without the primaries."""
    s.ctl("daemon", "restart", "dnsd")
    s.wait_ready()
    return has_serial(s, "k.test", 4) + has_serial(s, "n.test", 3)


def ours(s):
    return lines(s.ctl("zone", "export", "big.test"))


def kills(s, nsd):
    whole = {}
    problems = has_serial(s, "big.test", 1)
    whole[1] = ours(s)
    expect(problems, "records", len(whole[1]) > RECORDS, True)
    began = time.monotonic()
    s.ctl("zone", "refresh", "big.test", "--force")
    took = time.monotonic() - began
    for i in range(KILLS):
        number = i + 2
        nsd.stop()
        nsd.write_zone("big.test", large(number))
        nsd.start()
        theirs = lines(subprocess.run(
            ["dig", "@127.0.0.1", "-p", str(nsd.port), "+onesoa", "big.test", "AXFR"],
            capture_output=True, text=True, timeout=120, check=False).stdout)
        whole[number] = theirs
        victim = "dnsd" if i % 2 else "stored"
        with subprocess.Popen(
                [BUILD / "hamletctl", "-r", s.run, "zone", "refresh", "big.test"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            time.sleep(took * random.random())
            for pid in s.pids(victim):
                os.kill(pid, signal.SIGKILL)
            p.wait(120)
        s.wait_ready()
        got = ours(s)
        if got not in whole.values():
            problems.append(f"kill {i} of {victim}: {len(got)} records, of neither zone")
        refreshed(s, "big.test", number)
        problems += has_serial(s, "big.test", number)
        if ours(s) != theirs:
            problems.append(f"kill {i} of {victim}: then it is not the primary's")
    return problems


class TlsNsd(Nsd):
    """Also by TLS, on a port of its own."""

    def conf(self, zones, more):
        self.tls = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
                        "/CN=ns.test",
                        "-addext", "subjectAltName=DNS:ns.test", "-keyout", self.folder / "ns.key",
                        "-out", self.folder / "ns.pem"], check=True, capture_output=True)
        return super().conf(zones, more).replace("server:\n", f"""server:
    ip-address: 127.0.0.1@{self.tls}
    tls-port: {self.tls}
    tls-service-key: {self.folder}/ns.key
    tls-service-pem: {self.folder}/ns.pem
""", 1)


def nsd_zones():
    transfer = "    provide-xfr: 127.0.0.1 {}\n".format
    zones = {name: {"file": text(name, 1), "more": transfer("NOKEY")} for name in ("n.test",)}
    zones["big.test"] = {"file": large(1), "more": transfer("NOKEY")}
    for name in ("tls.test", "name.test"):
        zones[name] = {"file": text(name, 1), "more": transfer("NOKEY")}
    for name in ("sec.test", "wrong.test"):
        zones[name] = {"file": text(name, 1), "more": transfer("xfr")}
    return zones


def knot_zones():
    more = ("    acl: out\n    notify: dnsd\n    zonefile-load: difference\n"
            "    journal-content: changes\n")
    return {name: {"file": text(name, 1), "more": more} for name in ("k.test", "turn.test")}


NAMES = ["zones come by AXFR, from nsd and Knot", "primaries are asked in turn",
         "with a key, and with a wrong one", "by TLS",
         "Knot notifies, a change comes by IXFR",
         "hamletctl zone refresh", "a zone expires, and comes back", "a secondary of the secondary",
         "a restart",
         "kill -9 during a transfer"]


def main():
    tap = Tap(len(NAMES) + 1)
    peers, port = [], free_port()
    try:
        peers.append(TlsNsd(nsd_zones(), NSD_KEY))
        peers.append(Knot(knot_zones(), KNOT_KEY.format(port=port)))
    except RuntimeError as e:
        for peer in peers:
            peer.close()
        for name in [*NAMES, "ends"]:
            tap.skip(name, f"a peer cannot be had: {e}")
        tap.done()
        return
    nsd, knot = peers
    s = Secondary(port, nsd, knot)
    try:
        tests = ((by_axfr, (nsd, knot)), (primaries_in_turn, ()), (with_a_key, ()), (by_tls, ()),
                 (by_ixfr, (knot,)), (by_command, (nsd,)), (expires, (knot,)),
                 (in_a_row, (knot,)), (restarts, ()), (kills, (nsd,)))
        for name, (test, args) in zip(NAMES, tests):
            tap.test(name, test, s, *args)
    finally:
        tap.ends(s)
        for peer in peers:
            peer.close()
    tap.done()


main()
