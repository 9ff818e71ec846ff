"""A mail server that follows a script, for tests of mail that leaves.

    peer = Peer()                                 # listens on 127.0.0.1, peer.port
    peer.say("RCPT", "450 4.2.1 later", times=1)  # the next RCPT is answered so
    peer.say("RCPT", "550 5.1.1 who?", match="x@") # each whose line has that in it
    held = peer.hold("content")                   # the reply to the end of DATA waits for ...
    held.set()
    peer.wait(2)                                  # until two messages were taken
    peer.messages[0].content                      # as it came, without the doubled dots
    peer.came                                     # all that came whole, whatever was replied

Steps that can be scripted: banner, EHLO, HELO, LHLO, STARTTLS, MAIL, RCPT, DATA, content (the reply
to the end of the message, of DATA or BDAT), RSET, QUIT, NOOP. What is said: a reply, text of several
lines, bytes as they are, DROP (the connection ends), SILENCE (nothing any more), or a function of
(peer, session, line) that returns one of these.
"""
import socket
import ssl
import subprocess
import threading
import time

from port import free_port

DROP = object()
SILENCE = object()
EXTENSIONS = ["PIPELINING", "SIZE 50000000", "8BITMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES",
              "CHUNKING", "BINARYMIME"]
USUAL = {"banner": "220 peer.test ESMTP", "HELO": "250 peer.test", "STARTTLS": "220 2.0.0 go on",
         "MAIL": "250 2.1.0 sender ok", "RCPT": "250 2.1.5 recipient ok", "DATA": "354 go on",
         "content": "250 2.0.0 taken", "BDAT": "250 2.0.0 chunk", "RSET": "250 2.0.0 reset",
         "QUIT": "221 2.0.0 bye", "NOOP": "250 2.0.0 ok"}


class Message:
    """sender and rcpts: lines behind MAIL FROM: and RCPT TO:, with their parameters. address: the
    client's."""

    def __init__(self, session):
        self.sender, self.rcpts = session.sender, list(session.rcpts)
        self.content, self.tls, self.helo = session.content, session.tls, session.helo
        self.session, self.address = session.number, session.address
        self.at = time.monotonic()


class Rule:
    def __init__(self, step, what, times, match):
        self.step, self.what, self.times, self.match = step, what, times, match


class End(Exception):
    """The connection is over."""


class Session:
    def __init__(self, peer, sock, number, address):
        self.peer, self.sock, self.number, self.address = peer, sock, number, address
        self.file = sock.makefile("rb")
        self.tls, self.helo, self.sender, self.rcpts = False, "", None, []
        self.content = b""
        self.chunks = []

    def send(self, what):
        if what is DROP:
            raise End
        if what is SILENCE:
            while self.sock.recv(65536):
                pass
            raise End
        self.sock.sendall(what if isinstance(what, bytes) else what.encode() + b"\r\n")

    def answer(self, step, line=""):
        """Says what the script has for the step; true when that is a good reply."""
        what = self.peer.rule(step, line)
        if callable(what):
            what = what(self.peer, self, line)
        self.send(what)
        return isinstance(what, str) and what[:1] in "23"

    def hello(self, verb, line):
        self.helo = line[5:].strip()
        self.sender, self.rcpts = None, []
        if verb == "HELO":
            self.answer("HELO", line)
            return
        what = self.peer.rule(verb, line)
        if what is not None:
            self.send(what(self.peer, self, line) if callable(what) else what)
            return
        offered = list(self.peer.extensions)
        if self.peer.tls and not self.tls:
            offered.append("STARTTLS")
        lines = ["peer.test greets you", *offered]
        self.send("\r\n".join(f"250{' ' if i + 1 == len(lines) else '-'}{t}"
                              for i, t in enumerate(lines)))

    def starttls(self, line):
        if self.answer("STARTTLS", line):
            self.sock = self.peer.tls.wrap_socket(self.sock, server_side=True)
            self.file = self.sock.makefile("rb")
            self.tls = True

    def read_data(self):
        out = []
        while True:
            line = self.file.readline()
            if not line:
                raise End
            if line == b".\r\n":
                return b"".join(out)
            out.append(line[1:] if line.startswith(b".") else line)

    def taken(self):
        """The content is here: one reply, by LMTP one for each recipient."""
        message = Message(self)
        with self.peer.lock:
            self.peer.came.append(message)
        to = self.rcpts if self.peer.lmtp else self.rcpts[:1]
        if [self.answer("content", r) for r in to].count(True):
            self.peer.take(message)
        self.sender, self.rcpts, self.chunks = None, [], []

    def data(self, line):
        if not self.rcpts:
            self.send("503 5.5.1 no recipients")
        elif self.answer("DATA", line):
            self.content = self.read_data()
            self.taken()

    def bdat(self, line):
        words = line.split()
        chunk = self.file.read(int(words[1]))
        if len(chunk) < int(words[1]):
            raise End
        self.chunks.append(chunk)
        if not self.rcpts:
            self.send("503 5.5.1 no recipients")
        elif words[-1].upper() == "LAST":
            self.content = b"".join(self.chunks)
            self.taken()
        else:
            self.answer("BDAT", line)

    def command(self, line):
        verb = line[:4].upper()
        if verb in ("EHLO", "HELO", "LHLO"):
            self.hello(verb, line)
        elif line.upper().startswith("STARTTLS"):
            self.starttls(line)
        elif verb == "MAIL":
            if self.answer("MAIL", line):
                self.sender, self.rcpts = line[10:], []
        elif verb == "RCPT":
            if self.answer("RCPT", line):
                self.rcpts.append(line[8:])
        elif verb == "DATA":
            self.data(line)
        elif verb == "BDAT":
            self.bdat(line)
        elif verb in ("RSET", "NOOP", "QUIT"):
            self.answer(verb, line)
            if verb == "RSET":
                self.sender, self.rcpts = None, []
            if verb == "QUIT":
                raise End
        else:
            self.send("500 5.5.2 what?")

    def run(self):
        try:
            self.answer("banner")
            while True:
                line = self.file.readline()
                if not line:
                    return
                text = line.decode(errors="replace").rstrip("\r\n")
                with self.peer.lock:
                    self.peer.lines.append(text)
                self.command(text)
        except (End, OSError, ValueError):
            pass
        finally:
            self.peer.gone(self)


class Peer:
    def __init__(self, tls=None, lmtp=False, host="127.0.0.1", port=None):
        """tls: an ssl.SSLContext of a server: STARTTLS is offered."""
        self.tls, self.lmtp, self.host = tls, lmtp, host
        self.port = port or free_port()
        self.extensions = list(EXTENSIONS)
        self.rules, self.messages, self.lines, self.came = [], [], [], []
        self.lock = threading.Condition()
        self.sessions, self.connects, self.most = set(), 0, 0
        self.server = None
        self.start()

    # --- the script
    def say(self, step, what, times=None, match=None):
        """From now on; the newest rule that fits counts. times: only so often."""
        rule = Rule(step, what, times, match)
        with self.lock:
            self.rules.insert(0, rule)
        return rule

    def hold(self, step, then=None, times=1, match=None):
        """The reply waits for the returned event; its attribute `reached` is one that says that
        somebody waits for it."""
        event = threading.Event()
        event.reached = threading.Event()

        def wait(peer, _session, _line):
            event.reached.set()
            event.wait(120)
            return then if then is not None else USUAL[step]

        self.say(step, wait, times, match)
        return event

    def forget(self):
        """Back to the usual replies."""
        with self.lock:
            self.rules.clear()

    def rule(self, step, line):
        with self.lock:
            for rule in self.rules:
                if rule.step != step or (rule.match and rule.match not in line):
                    continue
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule.what
        return USUAL.get(step)

    # --- what came
    def take(self, message):
        with self.lock:
            self.messages.append(message)
            self.lock.notify_all()

    def take_session(self, session):
        """For a script that answers the content itself."""
        self.take(Message(session))

    def gone(self, session):
        with self.lock:
            self.sessions.discard(session)
            self.lock.notify_all()
        for end in (session.file, session.sock):
            try:
                end.close()
            except OSError:
                pass

    def wait(self, n, seconds=30):
        """Until so many messages were taken; returns them all."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.messages) >= n, seconds):
                raise RuntimeError(f"{len(self.messages)} messages instead of {n}; the client "
                                   f"said {self.lines[-20:]}")
            return list(self.messages)

    # --- listening
    def start(self):
        """Listens (again, on the same port)."""
        server = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((self.host, self.port))
        server.listen(512)
        self.server = server
        threading.Thread(target=self.accept, args=(server,), daemon=True).start()

    def accept(self, server):
        while True:
            try:
                sock, address = server.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connects += 1
                session = Session(self, sock, self.connects, address[0])
                self.sessions.add(session)
                self.most = max(self.most, len(self.sessions))
            threading.Thread(target=session.run, daemon=True).start()

    def stop(self):
        """Refuses connections and ends those that there are."""
        if self.server:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None
        with self.lock:
            sessions = list(self.sessions)
        for session in sessions:
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    close = stop


def certificate(folder, name):
    """A self-signed one: its file, and that of its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    return folder / f"{name}.pem", folder / f"{name}.key"


def server_tls(cert, key):
    """A context for Peer(tls=...)."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert, key)
    return ctx
