"""dns-content: dnsd beside nsd and Knot DNS over the same zones, driven by dnsperf.

Each server has one process (nsd: one server and its helpers; Knot: one worker for UDP and one for
TCP), the same zone text, and no rate limiting. CPU is the server's own, over the queries that were
answered. Environment: BENCH_SECONDS (5) of a run, BENCH_NAMES ("10000 1000000")."""
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time

import peers
from peers import environment, free_port
from proc import cpu_seconds, pss_bytes
from suite import BUILD

SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ZONE = "bench.test"
HEAD = f"""$ORIGIN {ZONE}.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 3600 1209600 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.1
ns2 A 192.0.2.2
"""
START_SECONDS = 120


def write_zone(path, names):
    """One address a name, and of every tenth name others."""
    with open(path, "w", encoding="ascii") as f:
        f.write(HEAD)
        for i in range(names):
            f.write(f"h{i} A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n")
            if i % 10 == 0:
                f.write(f"h{i} AAAA 2001:db8::{i & 0xffff:x}\n")
            if i % 10 == 1:
                f.write(f"h{i} MX 10 h{i - 1}\n")
            if i % 10 == 2:
                f.write(f"alias{i} CNAME h{i}\n")


def write_queries(path, names):
    """Of what is there, and one in twenty of what is not."""
    rnd = random.Random(1)
    with open(path, "w", encoding="ascii") as f:
        for i in range(200000):
            n = rnd.randrange(names)
            if i % 20 == 0:
                f.write(f"none{n}.{ZONE} A\n")
            elif i % 20 == 1:
                f.write(f"alias{n // 10 * 10 + 2}.{ZONE} A\n")
            else:
                f.write(f"h{n}.{ZONE} {'AAAA' if i % 5 == 0 else 'A'}\n")


def ask(port):
    """Whether the zone is answered for."""
    name = b"".join(bytes([len(p)]) + p.encode() for p in ZONE.split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        s.connect(("127.0.0.1", port))
        try:
            s.send(struct.pack(">6H", 1, 0, 1, 0, 0, 0) + name + struct.pack(">2H", 6, 1))
            return s.recv(512)[3] & 15 == 0
        except OSError:
            return False


class Server:
    """A server with the zone in a folder of its own."""

    def __init__(self, zone):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-bench-"))
        self.port, self.zone, self.process = free_port(), zone, None
        self.configure()

    def start(self):
        """Milliseconds until the first answer."""
        began = time.monotonic()
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        while not ask(self.port):
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise RuntimeError((self.dir / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.0005)
        return (time.monotonic() - began) * 1000

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        return environment()


class Dnsd(Server):
    name = "dnsd"

    def configure(self):
        (self.dir / "dnsd.conf").write_text(f"""version 1
content 127.0.0.1:{self.port}
state-dir {self.dir}/state
zone {ZONE} file {self.zone}
rrl {{
	responses-per-second 0
}}
""")

    def command(self):
        return [BUILD / "dnsd", "-d", "-f", self.dir / "dnsd.conf"]

    def environment(self):
        return dict(os.environ, HAMLET_RUNDIR=str(self.dir / "run"))


class Nsd(Server):
    def configure(self):
        self.binary = peers.nsd()
        self.name = "nsd " + peers.unpack("nsd")
        (self.dir / "nsd.conf").write_text(f"""
server:
    ip-address: 127.0.0.1@{self.port}
    server-count: 1
    username: ""
    database: ""
    zonesdir: "{self.dir}"
    pidfile: "{self.dir}/pid"
    xfrdfile: "{self.dir}/xfrd"
    zonelistfile: "{self.dir}/zonelist"
    logfile: "{self.dir}/nsd.log"
    rrl-ratelimit: 0
    minimal-responses: yes
    tcp-query-count: 0
remote-control:
    control-enable: no
zone:
    name: {ZONE}
    zonefile: {self.zone}
""")

    def command(self):
        return [self.binary, "-d", "-c", self.dir / "nsd.conf"]


class Knot(Server):
    def configure(self):
        self.binary = peers.knot()
        self.name = "knot " + peers.unpack("knot")
        (self.dir / "knot.conf").write_text(f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: "{self.dir}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{self.dir}"
zone:
  - domain: {ZONE}
    file: "{self.zone}"
    zonefile-sync: -1
    journal-content: none
""")

    def command(self):
        return [self.binary, "-c", self.dir / "knot.conf"]


def load(server, queries, transport):
    """Answers a second, microseconds of CPU an answer."""
    connections = ["-c", "20"] if transport == "tcp" else ["-c", "8"]
    cpu = cpu_seconds(server.process.pid)
    out = subprocess.run([peers.dnsperf(), "-s", "127.0.0.1", "-p", str(server.port), "-d", queries,
                          "-l", str(SECONDS), "-m", transport, "-q", "400", *connections],
                         env=environment(), capture_output=True, text=True, check=True,
                         timeout=SECONDS + 60).stdout
    cpu = cpu_seconds(server.process.pid) - cpu
    done = int(re.search(r"Queries completed:\s+(\d+)", out).group(1))
    rate = float(re.search(r"Queries per second:\s+([\d.]+)", out).group(1))
    return rate, cpu / max(done, 1) * 1e6


def measure(server, queries):
    """A dictionary of figures."""
    got = {"load": server.start()}
    server.stop()
    got["start"] = statistics.median([(server.start(), server.stop())[0] for _ in range(ROUNDS)])
    server.start()
    for transport in ("udp", "tcp"):
        load(server, queries, transport)  # warm
        runs = [load(server, queries, transport) for _ in range(ROUNDS)]
        got[f"{transport} rate"], got[f"{transport} cpu"] = (statistics.median(c)
                                                             for c in zip(*runs))
    got["memory"] = pss_bytes(server.process.pid) / (1 << 20)
    return got


UNITS = {"udp cpu": ("us/query", False), "udp rate": ("q/s", True), "tcp cpu": ("us/query", False),
         "tcp rate": ("q/s", True), "memory": ("MiB PSS", False), "load": ("ms", False),
         "start": ("ms", False)}


def bench(figure):
    for names in map(int, os.environ.get("BENCH_NAMES", "10000 1000000").split()):
        with tempfile.TemporaryDirectory(prefix="hamlet-bench-") as folder:
            zone, queries = f"{folder}/zone", f"{folder}/queries"
            write_zone(zone, names)
            write_queries(queries, names)
            results = []
            for kind in (Dnsd, Nsd, Knot):
                server = kind(zone)
                try:
                    results.append((server.name, measure(server, queries)))
                finally:
                    server.close()
            ours = results[0][1]
            for name, theirs in results[1:]:
                print(f"# dns-content: peer {name}, {names} names, {SECONDS} s a run, median of "
                      f"{ROUNDS}; load: from text to the first answer, start: the next time")
                for what, (unit, more) in UNITS.items():
                    figure(f"dns-content {names} {name.split()[0]} {what}", ours[what],
                           theirs[what], unit, more)
