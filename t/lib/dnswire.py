"""DNS messages, as far as tests that compare servers need them."""
import socket
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "LOC": 29,
         "SRV": 33, "NAPTR": 35, "DNAME": 39, "DS": 43, "SSHFP": 44, "RRSIG": 46, "NSEC": 47,
         "DNSKEY": 48, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "HTTPS": 65, "ANY": 255, "CAA": 257,
         "TYPE65400": 65400}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
          16: "BADVERS"}
# How the data of the types with names that may be compressed begins: octets before the first name,
# then how many names.
COMPRESSED = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1), 39: (0, 1), 33: (6, 1)}


def labels(name):
    return [label.encode() for label in name.rstrip(".").split(".") if label]


def wire_name(name):
    return b"".join(bytes([len(label)]) + label for label in labels(name)) + b"\0"


def query(name, kind, number=1, edns=0, do=False, flags=0):
    """edns: the size that is told; 0: without."""
    head = struct.pack(">6H", number, flags, 1, 0, 0, 1 if edns else 0)
    opt = struct.pack(">BHHIH", 0, 41, edns, 0x8000 if do else 0, 0) if edns else b""
    return head + wire_name(name) + struct.pack(">HH", TYPES.get(kind, kind), 1) + opt


def read_name(msg, at):
    """(The name as it is written, where it ends.)"""
    out, end = [], None
    for _ in range(300):
        length = msg[at]
        if length >= 0xc0:
            end = end or at + 2
            at = struct.unpack_from(">H", msg, at)[0] & 0x3fff
        elif length:
            out.append(msg[at + 1:at + 1 + length])
            at += 1 + length
        else:
            return b".".join(out).decode("latin-1") + ".", end or at + 1
    raise ValueError("a name without an end")


def read_data(msg, kind, at, length):
    if kind not in COMPRESSED:
        return msg[at:at + length].hex()
    before, count = COMPRESSED[kind]
    out, place = [msg[at:at + before].hex()], at + before
    for _ in range(count):
        name, place = read_name(msg, place)
        out.append(name.lower())
    return " ".join(filter(None, [*out, msg[place:at + length].hex()]))


class Message:
    """Header, question and sections: records as (owner in lower case, type, ttl, data)."""

    def __init__(self, msg):
        self.id, self.flags, questions, *counts = struct.unpack_from(">6H", msg)
        self.octets, at = len(msg), 12
        self.question = []
        for _ in range(questions):
            name, at = read_name(msg, at)
            self.question.append((name, *struct.unpack_from(">HH", msg, at)))
            at += 4
        self.rcode, self.edns, self.sections = self.flags & 15, False, []
        for count in counts:
            records = []
            for _ in range(count):
                owner, at = read_name(msg, at)
                kind, _, ttl, length = struct.unpack_from(">HHIH", msg, at)
                if kind == 41:
                    self.edns, self.rcode = True, self.rcode | ttl >> 24 << 4
                else:
                    records.append((owner.lower(), NAMES.get(kind, f"TYPE{kind}"), ttl,
                                    read_data(msg, kind, at + 10, length)))
                at += 10 + length
            self.sections.append(records)
        self.answer, self.authority, self.additional = self.sections
        self.trailing = len(msg) - at

    def bits(self):
        return " ".join(word for bit, word in ((0x8000, "qr"), (0x400, "aa"), (0x200, "tc"),
                                               (0x100, "rd"), (0x80, "ra"), (0x20, "ad"))
                        if self.flags & bit)


def read_exact(sock, n):
    out = b""
    while len(out) < n:
        got = sock.recv(n - len(out))
        if not got:
            raise EOFError(f"the connection ends after {len(out)} of {n} octets")
        out += got
    return out


def ask_stream(port, queries, host="127.0.0.1"):
    """Asks over one connection, some at a time; the answers in the order of the questions."""
    answers = []
    with socket.create_connection((host, port), timeout=60) as sock:
        for i in range(0, len(queries), 50):
            part = queries[i:i + 50]
            sock.sendall(b"".join(struct.pack(">H", len(q)) + q for q in part))
            for _ in part:
                answers.append(read_exact(sock, struct.unpack(">H", read_exact(sock, 2))[0]))
    by_id = {struct.unpack_from(">H", a)[0]: a for a in answers}
    return [by_id[struct.unpack_from(">H", q)[0]] for q in queries]


def ask_udp(port, queries, host="127.0.0.1", by=""):
    """One after the other; each is asked up to five times."""
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((by, 0))
        sock.connect((host, port))
        for q in queries:
            for _ in range(5):
                sock.send(q)
                sock.settimeout(10)
                try:
                    answer = sock.recv(65535)
                    while answer[:2] != q[:2]:
                        answer = sock.recv(65535)
                    answers.append(answer)
                    break
                except TimeoutError:
                    continue
            else:
                raise TimeoutError("no answer by UDP")
    return answers
