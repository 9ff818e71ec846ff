"""dns-change: from a change of one record to its answer, in a zone that is large: dnsd (a zone of the
store, hamletctl zone set), Knot DNS (knotc zone-set) and nsd (a line more in the file, SIGHUP).
The client's own start is counted. Environment: BENCH_NAMES ("10000 1000000")."""
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time

from dns_content import ZONE, Knot, Nsd, write_zone
from peers import environment
from suite import Supervised

CHANGES = 7
SECONDS = 120


def answered(port, label):
    name = b"".join(bytes([len(p)]) + p.encode() for p in f"{label}.{ZONE}".split(".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        s.connect(("127.0.0.1", port))
        try:
            s.send(struct.pack(">6H", 1, 0, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1))
            return s.recv(4096)[6:8] != b"\0\0"
        except OSError:
            return False


def wait(port, label):
    end = time.monotonic() + SECONDS
    while not answered(port, label):
        if time.monotonic() > end:
            raise RuntimeError(f"{label} is not answered")
        time.sleep(0.001)


def changes(port, change):
    """Milliseconds, the median."""
    wait(port, "h1")
    took = []
    for i in range(CHANGES):
        time.sleep(0.5)
        began = time.monotonic()
        change(f"changed{i}")
        wait(port, f"changed{i}")
        took.append((time.monotonic() - began) * 1000)
    return statistics.median(took)


def ours(zone):
    suite = Supervised(["dnsd"], conf={"dnsd": "rrl {\n\texempt 127.0.0.0/8\n}"})
    try:
        suite.ctl("zone", "import", ZONE, zone)
        return changes(suite.ports["content"], lambda label: suite.ctl(
            "zone", "set", ZONE, label, "A", "192.0.2.9"))
    finally:
        suite.close()


def knot(zone):
    server = Knot(zone)
    try:
        with open(server.dir / "knot.conf", "a", encoding="ascii") as f:
            f.write(f'control:\n    listen: "{server.dir}/knot.sock"\n')
        server.start()

        def change(label):
            for words in (("zone-begin", ZONE), ("zone-set", ZONE, label, "60", "A", "192.0.2.9"),
                          ("zone-commit", ZONE)):
                subprocess.run([server.binary.parent / "knotc", "-s", server.dir / "knot.sock",
                                *words], env=environment(), check=True, capture_output=True,
                               timeout=SECONDS)

        return server.name, changes(server.port, change)
    finally:
        server.close()


def nsd(zone):
    server = Nsd(zone)
    try:
        server.start()

        def change(label):
            with open(zone, "a", encoding="ascii") as f:
                f.write(f"{label} A 192.0.2.9\n")
            os.kill(server.process.pid, signal.SIGHUP)

        return server.name, changes(server.port, change)
    finally:
        server.close()


def bench(figure):
    for names in map(int, os.environ.get("BENCH_NAMES", "10000 1000000").split()):
        folder = tempfile.mkdtemp(prefix="hamlet-bench-")
        try:
            os.chmod(folder, 0o755)
            zone = f"{folder}/zone"
            write_zone(zone, names)
            mine = ours(zone)
            for peer in (knot, nsd):
                name, theirs = peer(zone)
                print(f"# dns-change: peer {name}, {names} names, median of {CHANGES}")
                figure(f"dns-change {names} {name.split()[0]}", mine, theirs, "ms", False)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
