"""Companies for tests: a whole suite on a host of its own (netns.py), with the real ports, and the
DNS that they find each other by (dnsd)."""
import base64
import contextlib
import json
import os
import pathlib
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

import load
from suite import BUILD, Supervised

PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995}
LISTENS = {"smtpd": ["smtp", "submission", "submissions"], "pop3d": ["pop3", "pop3s"]}
PASSWORD = "secret-secret"
WAIT_SECONDS = 60


def wait_for(what, fn, seconds=WAIT_SECONDS):
    """The first true value of fn()."""
    end = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {what}")
        time.sleep(0.05)


class Names:
    """dnsd on a host, with zones that are text."""

    def __init__(self, host, address, zones):
        """zones: {"a.test": "records"}; each gets its SOA and NS."""
        self.host, self.address = host, address
        self.dir = tempfile.TemporaryDirectory(prefix="hamlet-names-")
        folder = pathlib.Path(self.dir.name)
        rows = []
        for name, records in zones.items():
            (folder / f"{name}.zone").write_text(
                f"$ORIGIN {name}.\n$TTL 300\n"
                f"@ SOA ns.test. hostmaster 1 3600 600 86400 60\n@ NS ns.test.\n{records}\n")
            rows.append(f"zone {name} file {name}.zone")
        (folder / "dnsd.conf").write_text(f"""version 1
state-dir {folder}/state
content {address}:53
rrl {{
	responses-per-second 0
}}
""" + "\n".join(rows) + "\n")
        with host, open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [BUILD / "dnsd", "-d", "-f", folder / "dnsd.conf"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=dict(os.environ, HAMLET_RUNDIR=f"{folder}/run"))
            try:
                wait_for("dnsd", self.answers)
            except AssertionError:
                why = (folder / "log").read_text()
                self.close()
                raise RuntimeError(f"dnsd does not start: {why}") from None

    def answers(self):
        try:
            socket.create_connection((self.address, 53), 1).close()
        except OSError:
            return False
        return True

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.dir.cleanup()


class Company(Supervised):
    """The suite of a domain on a host: mail.DOMAIN, listening on every address there."""

    def __init__(self, host, domain, conf=None, processes=None):
        self.host, self.domain = host, domain
        super().__init__(["smtpd", "pop3d"], conf=conf, processes=processes)
        self.mailboxes = []

    # --- configuration: real ports and names instead of Suite's
    def write_conf(self, name):
        lines = ["version 1"]
        if name == "stored":
            lines += [f"state-dir {self.dir}/store", "scram-iterations 4096"]
        elif name == "keyd":
            lines += [f"state-dir {self.dir}/keys",
                      f"certificate main {{ names {self.domain} *.{self.domain} 127.0.0.1 }}"]
        else:
            lines += [f"hostname mail.{self.domain}"]
        for kind in LISTENS.get(name, []):
            self.ports[kind] = PORTS[kind]
            lines.append(f"{kind} *:{PORTS[kind]}")
        lines.append(self.extra.get(name, ""))
        (self.dir / f"{name}.conf").write_text("\n".join(lines) + "\n")

    def start_all(self):
        with self.host:
            super().start_all()

    # --- the whole company goes and comes
    def down(self, how=signal.SIGTERM):
        """Ends hamletd and with it every daemon. SIGKILL: at once, all of them."""
        running = [p["pid"] for p in self.status() if p["pid"]]
        self.hamletd.send_signal(how)  # first: it would start again what dies
        self.hamletd.wait(60)
        if how != signal.SIGKILL:
            return
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        wait_for(f"{self.domain}'s daemons are gone",
                 lambda: not any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in running))

    def up(self):
        with self.host:
            self.start_hamletd()

    @contextlib.contextmanager
    def absent(self):
        """Stopped for as long as the block takes."""
        self.down()
        try:
            yield
        finally:
            self.up()

    def clean(self, *users):
        """Nothing waits, and nothing is in these mailboxes: what a failed case has left is not in
        the way of the next."""
        if self.hamletd.poll() is not None:
            self.up()
        self.wait_ready(WAIT_SECONDS)
        wait_for(f"{self.domain}'s queue can be emptied", self.emptied_by_force)
        for user in users:
            self.fetch(user)

    def emptied_by_force(self):
        self.ctl("queue", "delete", "--all")  # what is under way stays
        return not self.queue()

    # --- its people
    def people(self, *names):
        """Accounts NAME@DOMAIN with the password PASSWORD."""
        for name in names:
            self.account(f"{name}@{self.domain}", PASSWORD)

    def trust(self):
        return ssl.create_default_context(cafile=str(self.ca))

    def submit(self, sender, to, text, options=()):
        """Port 587 as the user: STARTTLS, AUTH. Returns the reply's text, or smtplib's exception.
        Every recipient has to be taken."""
        with self.host:
            s = smtplib.SMTP("127.0.0.1", 587, local_hostname="client.test", timeout=60)
        with s:
            s.starttls(context=self.trust())
            s.login(sender, PASSWORD)
            expect(s.mail(sender, options))
            for rcpt in to:
                expect(s.rcpt(rcpt))
            return expect(s.data(text))

    def pop(self, name):
        """POP3S, logged in as NAME@DOMAIN, or as an address."""
        with self.host:
            pop = poplib.POP3_SSL("127.0.0.1", 995, timeout=60, context=self.trust())
        pop.user(name if "@" in name else f"{name}@{self.domain}")
        pop.pass_(PASSWORD)
        return pop

    def held(self, name):
        pop = self.pop(name)
        n, _ = pop.stat()
        pop.quit()
        return n

    def fetch(self, name, delete=True):
        """The messages of a mailbox, as bytes with CRLF."""
        pop = self.pop(name)
        out = []
        for i in range(1, pop.stat()[0] + 1):
            out.append(b"".join(line + b"\r\n" for line in pop.retr(i)[1]))
            if delete:
                pop.dele(i)
        pop.quit()
        return out

    def queue(self, *which):
        """What waits: the rows of hamletctl queue list."""
        return [json.loads(line) for line in
                self.ctl("--json", "queue", "list", *which).splitlines()]

    def queued(self, item):
        """The recipients of a queued message: the rows of hamletctl queue show."""
        return [json.loads(line) for line in
                self.ctl("--json", "queue", "show", str(item)).splitlines()]

    def emptied(self):
        """Waits until nothing is left in the queue."""
        wait_for(f"{self.domain}'s queue is empty", lambda: not self.queue())

    def deferred(self, n):
        """Waits until the queue's recipients are n and each was tried and waits for its next
        attempt; returns their rows."""
        def waiting():
            rows = [r for m in self.queue() for r in self.queued(m["item"])]
            good = all(r["attempts"] and r["state"] == "due" for r in rows)
            return rows if good and len(rows) == n else None
        return wait_for(f"{n} recipients are deferred", waiting)

    def arrives(self, name, n=1, seconds=WAIT_SECONDS):
        """Waits for the first n messages of a mailbox and fetches all that are there."""
        wait_for(f"{n} messages for {name} of {self.domain}", lambda: self.held(name) >= n, seconds)
        return self.fetch(name)


def expect(reply):
    code, text = reply
    if code != 250:
        raise smtplib.SMTPResponseException(code, text)
    return text.decode()


class Submitter(load.Sender):
    """load.Sender as a user of a company, on port 465."""

    def __init__(self, company, user, *args, **more):
        super().__init__(465, *args, **more)
        self.company, self.user = company, user

    def open(self):
        self.step = "banner"
        with self.company.host:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        sock = self.company.trust().wrap_socket(sock, server_hostname="127.0.0.1")
        self.reply(sock, b"220")
        self.step = "greeting"
        sock.sendall(b"EHLO load.test\r\n")
        self.reply(sock, b"250")
        words = f"\0{self.user}\0{PASSWORD}".encode()
        sock.sendall(b"AUTH PLAIN " + base64.b64encode(words) + b"\r\n")
        self.reply(sock, b"235")
        return sock
