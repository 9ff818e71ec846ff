"""A mail client for durability tests: sends messages that can be recognised, remembers which
were acknowledged, and compares what the mailboxes hold with that."""
import hashlib
import poplib
import random
import re
import socket
import subprocess
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


def message(token: str, subject=None, tail=b"", sender="alice@a.test") -> bytes:
    """tail: what the client adds of itself; the digest knows it."""
    size = random.Random(token + "size").choice(SIZES)
    body = body_of(token, size)
    head = (f"From: <{sender}>\r\nTo: someone\r\nSubject: {subject or token}\r\n"
            f"Message-ID: <{token}@a.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
            f"X-Digest: {hashlib.sha256(body + tail).hexdigest()}\r\n\r\n")
    return head.encode() + body


class Refused(Exception):
    pass


class Sender(threading.Thread):
    """Sends one message after another until stop is set. acked: token -> recipients; wrong: what
    was said instead of success or "not now" (4xx)."""

    def __init__(self, port, name, recipients, stop, most=100000, pause=0.0):
        super().__init__(daemon=True)
        self.pause = pause  # seconds between messages
        self.step = "banner"  # what the server is to answer: banner, greeting, mail, message
        self.port, self.label, self.recipients, self.stop = port, name, recipients, stop
        self.most, self.user = most, "alice@a.test"
        self.acked, self.refused, self.broken = {}, 0, 0
        self.wrong = []

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
                self.stop.wait(self.pause)
            except Refused as e:
                self.refused += 1
                if not str(e).startswith("4"):
                    self.wrong.append(f"{token}: {e}")
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
        self.step = "banner"
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.reply(sock, b"220")
        self.step = "greeting"
        sock.sendall(b"EHLO load.test\r\n")
        self.reply(sock, b"250")
        return sock

    def send(self, sock, token, to):
        envelope = f"MAIL FROM:<{self.user}>\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in to)
        self.step = "mail"
        sock.sendall(envelope.encode() + b"DATA\r\n")
        self.reply(sock, b"250")
        self.step = "message"
        for _ in to:
            self.reply(sock, b"250")
        self.reply(sock, b"354")
        text = re.sub(rb"(?m)^\.", b"..", message(token, sender=self.user))
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


FOREIGN = "smtp-source"  # the subject of its mail, which is known by the id of its acceptance


class SmtpSource(threading.Thread):
    """Postfix's smtp-source, run again and again until stop is set: it ends at every refusal and
    every lost connection. What is acknowledged is read off its trace of the dialogue; the same
    file is sent by all sessions of a run, the server's id in reply and Received tells them
    apart. acked: id -> recipients."""

    def __init__(self, binary, environment, folder, port, recipient, stop, pause=0):
        super().__init__(daemon=True)
        wait = ["-R", str(pause)] if pause else []  # at random, up to so many seconds
        self.command = [binary, "-v", "-d", *wait, "-s", "2", "-m", "200",
                        "-f", "alice@a.test", "-t", recipient, "-F", folder / f"source-{recipient}",
                        f"127.0.0.1:{port}"]
        self.environment, self.recipients, self.stop = environment, [recipient], stop
        self.file = folder / f"source-{recipient}"
        self.acked, self.refused, self.broken, self.wrong = {}, 0, 0, []

    def run(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            text = message(f"{self.recipients[0]}{n}", FOREIGN, b"\r\n")  # an empty line at last
            self.file.write_bytes(text.replace(b"\r\n", b"\n"))  # it adds the CRs
            self.one_run()
            time.sleep(0.02)

    def one_run(self):
        p = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in p.stderr:
            m = re.search(rb"<<< (\d\d\d)[ -](?:.*accepted as (\S+))?", line)
            if m and m.group(2):
                self.acked[f"{FOREIGN}-{m.group(2).decode()}"] = self.recipients
            elif m and m.group(1)[:1] in b"45":
                self.refused += 1
                if m.group(1)[:1] == b"5":
                    self.wrong.append(line.decode(errors="replace").strip())
            if self.stop.is_set():
                p.terminate()
        self.broken += p.wait() != 0


def retrieve(sock, number):
    """RETR with large reads: poplib's lines are slow for tens of thousands of messages."""
    sock.sendall(b"RETR %d\r\n" % number)
    got = bytearray()
    while not got.endswith(b"\r\n.\r\n"):
        more = sock.recv(1 << 18)
        if not more or got[:1] == b"-":
            raise OSError(f"RETR {number}: {bytes(got[:100])!r}")
        got += more
    text = bytes(got).partition(b"\r\n")[2]
    return text[:-3].replace(b"\r\n..", b"\r\n.")


def mailbox(port, user, password):
    """What POP3 shows: token -> how often, and the problems found."""
    seen, problems = {}, []
    pop = poplib.POP3("127.0.0.1", port, timeout=60)
    pop.user(user)
    pop.pass_(password)
    count, _ = pop.stat()
    for i in range(1, count + 1):
        text = retrieve(pop.sock, i)
        head, _, body = text.partition(b"\r\n\r\n")
        m = re.search(rb"(?m)^Subject: (\S+)\r?$", head)
        if not m:
            continue
        token = m.group(1).decode()
        if token == FOREIGN:
            at = re.search(rb"(?m)^\s+by \S+ with E?SMTP id (\w+)", head)
            token = f"{FOREIGN}-{at.group(1).decode()}"
        digest = re.search(rb"(?m)^X-Digest: (\S+)\r?$", head)
        if not digest or digest.group(1).decode() != hashlib.sha256(body).hexdigest():
            problems.append(f"{user}: {token} is torn")
        seen[token] = seen.get(token, 0) + 1
    pop.quit()
    return seen, problems


def mailboxes(users, port, password):
    """user -> mailbox()"""
    return {user: mailbox(port, user, password) for user in users}


def compare_boxes(senders, boxes):
    """Every acknowledged message is there, whole, once, and nothing was refused for good. Of what
    else is in the mailboxes only the senders' own kind is looked at. Returns the problems."""
    problems = []
    foreign = any(isinstance(s, SmtpSource) for s in senders)
    for user, (seen, torn) in boxes.items():
        mine = {t: n for t, n in seen.items() if t.startswith(FOREIGN) == foreign}
        problems += [p for p in torn if (f": {FOREIGN}" in p) == foreign]
        problems += [f"{user}: {t} is there {n} times" for t, n in mine.items() if n > 1]
    for sender in senders:
        problems += [f"not refused for now: {why}" for why in sender.wrong]
        for token, to in sender.acked.items():
            problems += [f"{user}: {token} is missing" for user in to
                         if token not in boxes[user][0]]
    return problems


def compare(senders, port, password):
    users = sorted({user for s in senders for user in s.recipients})
    return compare_boxes(senders, mailboxes(users, port, password))
