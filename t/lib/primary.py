"""A primary name server for tests, which says whatever it is told to, by UDP and TCP."""
import collections
import hashlib
import hmac
import socket
import struct
import threading

import dnswire
from dnswire import wire_name

SOA, NS, A, IXFR, AXFR = 6, 2, 1, 251, 252


def name_of(text, zone):
    return zone if text == "@" else f"{text}.{zone}"


def rr(zone, owner, kind, data, ttl=60):
    """A record as it goes on the wire; data: octets, or the address of an A record."""
    data = socket.inet_aton(data) if isinstance(data, str) else data
    return wire_name(name_of(owner, zone)) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def soa(zone, serial, refresh=3600):
    names = wire_name(f"ns.{zone}") + wire_name(f"host.{zone}")
    return rr(zone, "@", SOA, names + struct.pack(">5I", serial, refresh, 60, 1209600, 60))


def whole(zone, serial, records):
    """The records of an AXFR."""
    return [soa(zone, serial), rr(zone, "@", NS, wire_name(f"ns.{zone}")), *records,
            soa(zone, serial)]


def signed(message, key, secret, now, before=b"", times_only=False):
    """With a TSIG record (hmac-sha256) behind it; before: the MAC of what it answers. (It, its MAC)"""
    algorithm, times = wire_name("hmac-sha256"), struct.pack(">HIH", now >> 32, now & 0xffffffff, 300)
    text = (struct.pack(">H", len(before)) + before if before else b"") + message
    text += times if times_only else \
        wire_name(key) + struct.pack(">HI", 255, 0) + algorithm + times + struct.pack(">HH", 0, 0)
    mac = hmac.new(secret, text, hashlib.sha256).digest()
    data = algorithm + times + struct.pack(">H", len(mac)) + mac + message[:2] + bytes(4)
    count, = struct.unpack_from(">H", message, 10)
    return (message[:10] + struct.pack(">H", count + 1) + message[12:] + wire_name(key) +
            struct.pack(">HHIH", 250, 255, 0, len(data)) + data), mac


class Primary:
    """zones: {name: (serial, function of the type of a transfer to lists of records, one list a
    message, or None: SERVFAIL)}. asked counts (zone, type) of the questions."""

    def __init__(self):
        self.zones, self.asked, self.lock = {}, collections.Counter(), threading.Lock()
        self.tcp = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for run in (self.run_udp, self.run_tcp):
            threading.Thread(target=run, daemon=True).start()

    def answers(self, query):
        name, at = dnswire.read_name(query, 12)
        zone, kind = name.rstrip(".").lower(), struct.unpack_from(">H", query, at)[0]
        with self.lock:
            self.asked[zone, kind] += 1
        serial, transfer = self.zones.get(zone, (None, None))
        messages = None
        if serial is not None:
            messages = [[soa(zone, serial)]] if kind == SOA else transfer(kind)
        rcode = 2 if messages is None else 0
        for records in messages or [[]]:
            yield query[:2] + struct.pack(">5H", 0x8400 | rcode, 1, len(records), 0, 0) + \
                query[12:at + 4] + b"".join(records)

    def run_udp(self):
        while True:
            query, client = self.udp.recvfrom(4096)
            for message in self.answers(query):
                self.udp.sendto(message, client)

    def run_tcp(self):
        while True:
            threading.Thread(target=self.connection, args=(self.tcp.accept()[0],),
                             daemon=True).start()

    def connection(self, sock):
        try:
            with sock:
                while True:
                    query = dnswire.read_exact(sock, *struct.unpack(">H", dnswire.read_exact(sock, 2)))
                    for message in self.answers(query):
                        sock.sendall(struct.pack(">H", len(message)) + message)
        except (EOFError, OSError):
            pass
