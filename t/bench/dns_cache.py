#!/usr/bin/env python3
"""dns-cache: dnsd's cache server beside unbound, in a private internet of a network namespace of its
own, driven by dnsperf. One thread or process each, validation on, no prefetch; CPU is the resolver's
own, over the queries that were answered. Environment: BENCH_SECONDS (5) of a run, BENCH_ROUNDS (3),
BENCH_MISSES (60000), BENCH_ENTRIES (1000000)."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / "lib"), str(HERE.parent)]
import internet  # noqa: E402
import netns  # noqa: E402
import peers  # noqa: E402
from internet import LEAVES, NSEC, Internet, Zone, servers  # noqa: E402
from nameservers import Nsd  # noqa: E402
from proc import cpu_seconds, pss_bytes  # noqa: E402
from resolvers import Dnsd, Unbound, ask_all  # noqa: E402

SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MISSES = int(os.environ.get("BENCH_MISSES", "60000"))
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "1000000"))
DELEGATIONS, HITS = 2000, 10000
MORE = {Dnsd: "", Unbound: """
    msg-cache-size: 400m
    rrset-cache-size: 800m
    num-queries-per-thread: 4096
    outgoing-range: 8192
    ratelimit: 0
    incoming-num-tcp: 200
    rrset-cache-slabs: 1
    msg-cache-slabs: 1
"""}


class Net(Internet):
    """Zones of many hosts, a wildcard for names without end, and many delegations of which one
    server in ten is silent."""

    def describe(self):
        rnd = random.Random(3)
        slow = "".join(
            f"d{i} NS ns1.d{i}\nd{i} NS ns2.d{i}\nns1.d{i} A {one}\nns2.d{i} A {other}\n"
            for i in range(DELEGATIONS) for one, other in [rnd.sample(self.addresses, 2)])
        root = f"a.root. A {internet.ROOT}\na.root. AAAA {internet.ROOT6}\n@ NS a.root.\n"
        return [Zone("", root, (internet.ROOT,)),
                Zone("sig", servers(internet.TLDS), (internet.TLDS,)),
                Zone("plain", servers(internet.TLDS), (internet.TLDS,), None),
                Zone("hosts.plain", servers(*LEAVES) + internet.hosts(MISSES), sign=None),
                Zone("hosts.sig", servers(*LEAVES) + internet.hosts(MISSES), sign=NSEC),
                Zone("wild.plain", servers(*LEAVES) + "* A 192.0.2.1\n", sign=None),
                Zone("slow.plain", servers(*LEAVES) + slow, sign=None)]

    addresses = [f"127.1.1.{i}" for i in range(1, 101)]
    quiet = 10  # the last of them say nothing

    def start(self):
        super().start()
        text = internet.head() + servers(*LEAVES) + "www A 192.0.2.1\n"
        self.running.append(Nsd({f"d{i}.slow.plain.": text for i in range(DELEGATIONS)},
                                addresses=self.addresses[:-self.quiet], port=53))
        for address in self.addresses[-self.quiet:]:
            self.be_silent(address)


def write(folder, name, lines):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def dnsperf(resolver, queries, *options, mode="udp", at_once=400, verbose=False):
    """(answers, answers a second, microseconds of CPU an answer, latencies in ms)"""
    cpu = cpu_seconds(resolver.process.pid)
    got = subprocess.run([peers.dnsperf(), "-s", "127.0.0.1", "-p", str(resolver.port), "-d", queries,
                          "-m", mode, "-q", str(at_once), "-c", "20" if mode == "tcp" else "8",
                          *(["-v"] if verbose else []), *options],
                         env=peers.environment(), capture_output=True, text=True, check=False,
                         timeout=600)
    if got.returncode:
        raise RuntimeError(f"dnsperf {mode} {queries}: {got.stdout[:700]}{got.stderr[:300]}")
    out = got.stdout
    cpu = cpu_seconds(resolver.process.pid) - cpu
    done = int(re.search(r"Queries completed:\s+(\d+)", out).group(1))
    rate = float(re.search(r"Queries per second:\s+([\d.]+)", out).group(1))
    times = sorted(float(t) * 1000 for t in re.findall(r"^> \S+ .*?([\d.]+)$", out, re.M))
    return done, rate, cpu / max(done, 1) * 1e6, times


def hits(resolver, queries, mode):
    dnsperf(resolver, queries, "-n", "1", mode=mode)  # fill
    runs = [dnsperf(resolver, queries, "-l", str(SECONDS), mode=mode)[1:3] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*runs)]


def measure(kind, net, files):
    got = {}
    began = time.monotonic()
    resolver = kind(net, MORE[kind])
    try:
        ask_all(resolver.port, [("h1.hosts.sig.", "A")])
        got["start"] = (time.monotonic() - began) * 1000
        for what in ("unsigned", "signed"):
            done, rate, cpu, _ = dnsperf(resolver, files[what], "-n", "1", at_once=100)
            got[f"miss {what} rate"], got[f"miss {what} cpu"] = rate, cpu
            got[f"miss {what} answered"] = done
        for mode in ("udp", "tcp"):
            got[f"hit {mode} rate"], got[f"hit {mode} cpu"] = hits(resolver, files["hits"], mode)
        _, _, _, times = dnsperf(resolver, files["slow"], "-n", "1", at_once=50, verbose=True)
        got["slow mean"] = statistics.mean(times)
        got["slow 99"] = times[len(times) * 99 // 100]
        before = pss_bytes(resolver.process.pid)
        done, *_ = dnsperf(resolver, files["wild"], "-n", "1", at_once=100)
        got["memory"] = (pss_bytes(resolver.process.pid) - before) / (1 << 20) * 1e6 / done
    finally:
        resolver.close()
    return resolver.name, got


def inside():
    """In the namespace: prints the figures as JSON."""
    with tempfile.TemporaryDirectory(prefix="hamlet-bench-") as folder:
        folder = pathlib.Path(folder)
        net = Net(folder)
        net.start()
        rnd = random.Random(1)
        files = {
            "unsigned": write(folder, "q1", (f"h{i}.hosts.plain A" for i in range(MISSES))),
            "signed": write(folder, "q2", (f"h{i}.hosts.sig A" for i in range(MISSES))),
            "hits": write(folder, "q3", (f"h{rnd.randrange(HITS)}.hosts.{rnd.choice(('sig', 'plain'))}"
                                         f" A" for _ in range(100000))),
            "slow": write(folder, "q4", (f"www.d{i}.slow.plain A" for i in range(DELEGATIONS))),
            "wild": write(folder, "q5", (f"n{i}.wild.plain A" for i in range(ENTRIES))),
        }
        try:
            print(json.dumps([measure(kind, net, files) for kind in (Dnsd, Unbound)]))
        finally:
            net.close()


UNITS = {"hit udp cpu": ("us/query", False), "hit udp rate": ("q/s", True),
         "hit tcp cpu": ("us/query", False), "hit tcp rate": ("q/s", True),
         "miss unsigned cpu": ("us/query", False), "miss unsigned rate": ("q/s", True),
         "miss signed cpu": ("us/query", False), "miss signed rate": ("q/s", True),
         "start": ("ms", False), "memory": ("MiB/million", False),
         "slow mean": ("ms", False), "slow 99": ("ms", False)}


def bench(figure):
    peers.nsd(), peers.unbound(), peers.dnsperf()
    out = subprocess.run([sys.executable, HERE], stdout=subprocess.PIPE, text=True, check=True).stdout
    (_, ours), (name, theirs) = json.loads(out.strip().splitlines()[-1])
    print(f"# dns-cache: peer {name}; {MISSES} names asked once are the misses, {HITS} again and again "
          f"the hits; one server in ten of {DELEGATIONS} delegations is silent (slow); memory of "
          f"{ENTRIES} names of one address")
    for what, (unit, more) in UNITS.items():
        figure(f"dns-cache {what}", ours[what], theirs[what], unit, more)


if __name__ == "__main__":
    netns.enter()
    inside()
