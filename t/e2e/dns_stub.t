#!/usr/bin/env python3
"""The stub client of libcommon/dns asks a real server (nsd, unpacked, never installed)."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / d) for d in ("lib", "bench")]
import peers  # noqa: E402
from suite import ROOT, free_port  # noqa: E402
from tap import Tap  # noqa: E402

ASK = ROOT / os.environ.get("HAMLET_BUILD", "build") / "t/tool/dnsask"
ZONE = """$ORIGIN b.test.
@ 300 SOA ns hostmaster 1 3600 600 86400 60
@ 300 NS ns
ns A 127.0.0.1
@ 300 MX 10 mx1
@ 300 MX 20 mx2.c.test.
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
www CNAME web
web CNAME mx1
null MX 0 .
@ TXT "v=spf1 " "-all"
_25._tcp.mx1 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
1.2.0.192.in-addr.arpa PTR mx1
""" + "".join(f"big TXT \"{i:03} {'x' * 200}\"\n" for i in range(40))
WANT = {
    "b.test/15": "b.test/15: ok, b.test [10 mx1.b.test] [20 mx2.c.test]",
    "B.TEST./15": "B.TEST./15: ok, b.test [10 mx1.b.test] [20 mx2.c.test]",
    "mx1.b.test/1": "mx1.b.test/1: ok, mx1.b.test [192.0.2.1]",
    "www.b.test/28": "www.b.test/28: ok, mx1.b.test [2001:db8::1]",
    "null.b.test/15": "null.b.test/15: ok, null.b.test [0 .]",
    "b.test/16": "b.test/16: ok, b.test [v=spf1 -all]",
    "_25._tcp.mx1.b.test/52": "_25._tcp.mx1.b.test/52: ok, _25._tcp.mx1.b.test [3 1 1 32]",
    "1.2.0.192.in-addr.arpa.b.test/12":
        "1.2.0.192.in-addr.arpa.b.test/12: ok, 1.2.0.192.in-addr.arpa.b.test [mx1.b.test]",
    "web.b.test/15": "web.b.test/15: no such record, mx1.b.test",
    "none.b.test/1": "none.b.test/1: no such name, none.b.test",
    "c.test/15": "c.test/15: the DNS servers failed, c.test",  # refused: not its zone
}


def start(folder, binary):
    port = free_port()
    (folder / "b.test.zone").write_text(ZONE)
    (folder / "nsd.conf").write_text(f"""
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    database: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zonelist"
    logfile: "{folder}/log"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: b.test
    zonefile: b.test.zone
""")
    server = subprocess.Popen([binary, "-d", "-c", folder / "nsd.conf"], env=peers.environment())
    try:
        peers.wait_port(port)
    except RuntimeError:
        server.kill()
        raise
    return server, port


def ask(port, questions):
    got = subprocess.run([ASK, "127.0.0.1", str(port), *questions], check=True, timeout=60,
                         stdout=subprocess.PIPE, text=True)
    return got.stdout.splitlines()


def answers(port):
    return [f"{got}\nnot {want}" for got, want in zip(ask(port, WANT), WANT.values())
            if got != want]


def by_tcp(port):
    line = ask(port, ["big.b.test/16"])[0]
    return [] if line.count(" x") == 40 else [line[:300]]


def many(port):
    lines = ask(port, [f"n{i}.b.test/1" for i in range(2000)])
    return [line for line in lines if ": no such name, n" not in line]


def main():
    tap = Tap(3)
    names = ("each kind of answer", "40 long records come by TCP", "2000 questions at once")
    try:
        binary = peers.nsd()
    except (RuntimeError, OSError) as e:
        for name in names:
            tap.skip(name, f"nsd cannot be had: {e}")
        tap.done()
    with tempfile.TemporaryDirectory(prefix="hamlet-dns-") as folder:
        server, port = start(pathlib.Path(folder), binary)
        try:
            for name, test in zip(names, (answers, by_tcp, many)):
                tap.test(name, test, port)
        finally:
            server.terminate()
            server.wait(20)
    tap.done()


main()
