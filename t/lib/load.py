"""A mail client for durability tests: sends messages that can be recognised, remembers which
were acknowledged, and compares what the mailboxes hold with that."""
import hashlib
import poplib
import random
import re
import socket
import threading
import time

SIZES = (300, 900, 4000, 17000, 60000, 300000)  # rows, segments, descriptors


def body_of(token: str, size: int) -> bytes:
    """The same bytes for the same token, with dots at line starts and lines of all lengths."""
    rng = random.Random(token)
    out, have = [], 0
    while have < size:
        n = rng.choice((0, 1, 20, 76, 200, 900))
        line = ("." if rng.random() < 0.1 else "") + f"{rng.getrandbits(4 * n or 1):x}"[:n]
        out.append(line)
        have += len(line) + 2
    return ("\r\n".join(out) + "\r\n").encode()


def message(token: str) -> bytes:
    size = random.Random(token + "size").choice(SIZES)
    body = body_of(token, size)
    head = (f"From: <alice@a.test>\r\nTo: someone\r\nSubject: {token}\r\n"
            f"Message-ID: <{token}@a.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
            f"X-Digest: {hashlib.sha256(body).hexdigest()}\r\n\r\n")
    return head.encode() + body


class Refused(Exception):
    pass


class Sender(threading.Thread):
    """Sends one message after another until stop is set. acked: token -> recipients."""

    def __init__(self, port, name, recipients, stop, most=100000):
        super().__init__(daemon=True)
        self.port, self.label, self.recipients, self.stop = port, name, recipients, stop
        self.most = most
        self.acked, self.refused, self.broken = {}, 0, 0

    def run(self):
        rng = random.Random(self.label)
        sock, n = None, 0
        while not self.stop.is_set() and n < self.most:
            n += 1
            token = f"{self.label}x{n}"
            to = rng.sample(self.recipients, rng.randint(1, len(self.recipients)))
            try:
                if sock is None:
                    sock = self.open()
                self.send(sock, token, to)
                self.acked[token] = to
            except Refused:
                self.refused += 1
                sock = self.drop(sock)
                time.sleep(0.05)
            except OSError:
                self.broken += 1
                sock = self.drop(sock)
                time.sleep(0.02)
        self.drop(sock)

    @staticmethod
    def drop(sock):
        if sock:
            sock.close()

    def open(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.reply(sock, b"220")
        sock.sendall(b"EHLO load.test\r\n")
        self.reply(sock, b"250")
        return sock

    def send(self, sock, token, to):
        envelope = "MAIL FROM:<alice@a.test>\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in to)
        sock.sendall(envelope.encode() + b"DATA\r\n")
        for _ in range(1 + len(to)):
            self.reply(sock, b"250")
        self.reply(sock, b"354")
        text = re.sub(rb"(?m)^\.", b"..", message(token))
        sock.sendall(text + b".\r\n")
        self.reply(sock, b"250")

    def reply(self, sock, want):
        line = b""
        while True:
            c = sock.recv(1)  # replies are short; nothing may be read past this one
            if not c:
                raise OSError("closed")
            line += c
            if line.endswith(b"\r\n"):
                if len(line) > 3 and line[3:4] == b"-":
                    line = b""
                    continue
                break
        if not line.startswith(want):
            raise Refused(line.decode(errors="replace"))


def mailbox(port, user, password):
    """What POP3 shows: token -> how often, and the problems found."""
    seen, problems = {}, []
    pop = poplib.POP3("127.0.0.1", port, timeout=60)
    pop.user(user)
    pop.pass_(password)
    count, _ = pop.stat()
    for i in range(1, count + 1):
        text = b"\r\n".join(pop.retr(i)[1]) + b"\r\n"
        head, _, body = text.partition(b"\r\n\r\n")
        m = re.search(rb"(?m)^Subject: (\S+)\r?$", head)
        if not m:
            continue
        token = m.group(1).decode()
        digest = re.search(rb"(?m)^X-Digest: (\S+)\r?$", head)
        if not digest or digest.group(1).decode() != hashlib.sha256(body).hexdigest():
            problems.append(f"{user}: {token} is torn")
        seen[token] = seen.get(token, 0) + 1
    pop.quit()
    return seen, problems


def compare(senders, port, password):
    """Every acknowledged message is there, whole, once. Returns the problems."""
    problems, boxes = [], {}
    for sender in senders:
        for user in sender.recipients:
            if user not in boxes:
                boxes[user], bad = mailbox(port, user, password)
                problems += bad
    for sender in senders:
        for token, to in sender.acked.items():
            problems += [f"{user}: {token} is missing" for user in to if token not in boxes[user]]
    problems += [f"{user}: {token} is there {n} times"
                 for user, seen in boxes.items() for token, n in seen.items() if n > 1]
    return problems
