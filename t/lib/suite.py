"""A small hamlet for tests: its daemons, alone or under hamletd, in a folder of their own.

Suite(daemons=["smtpd"]) starts keyd, stored and the named daemons with -d on free ports of
127.0.0.1 and waits until each says READY=1; Supervised(...) runs the same under hamletd, jailed
when root runs it. Domains and accounts are made by hamletctl. Everything is stopped and removed
by close().
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from port import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("HAMLET_BUILD", "build")).resolve()
START_SECONDS = 30
# Users of the supervised daemons when root runs the tests: numbers that nobody has.
FIRST_UID = 64100
# Listener kinds of each daemon: directives of its configuration.
KINDS = {
    "smtpd": ["smtp", "submission", "submissions", "lmtp"],
    "pop3d": ["pop3", "pop3s"],
    "dnsd": ["content", "content-tls"],
}
ROLES = ["smtpd", "pop3d", "imapd", "dnsd", "proxyd", "httpd", "ftpd"]


class Suite:
    domain = "a.test"

    def __init__(self, daemons, conf=None, fault=None):
        """conf: {"smtpd": "text of further directives"}; fault: HAMLET_FAULT of stored."""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-test-"))
        self.dir.chmod(0o755)  # jailed daemons have users of their own
        self.run = self.dir / "run"
        self.run.mkdir(mode=0o700)
        self.clock = self.dir / "clock"
        self.clock.write_bytes(struct.pack("<q", 0))
        self.ports = {}
        self.processes = {}
        self.daemons = ["keyd", "stored", *daemons]
        self.extra = conf or {}
        self.fault = fault
        for name in self.daemons:
            self.write_conf(name)
        try:
            self.start_all()
            self.ca = self.dir / "ca.pem"
            self.ca.write_text(self.ctl("cert", "ca"))
        except BaseException:
            self.close()
            raise

    # --- configuration
    def write_conf(self, name):
        lines = ["version 1"]
        if name == "stored":
            lines += [f"state-dir {self.dir}/store", "scram-iterations 4096"]
        elif name == "keyd":
            lines += [f"state-dir {self.dir}/keys",
                      f"certificate {self.domain} {{ names *.{self.domain} {self.domain} "
                      "localhost 127.0.0.1 }"]
        elif name == "smtpd":
            lines += [f"hostname mail.{self.domain}", f"local unix:{self.run}/local/smtp.sock"]
            # Mail to the outside stays in the queue, and no name server is asked, unless a test
            # says where mail goes.
            if not re.search(r"^(relay|route|dns)\b", self.extra.get(name, ""), re.M):
                lines.append("relay {\n\ton off\n}")
        elif name == "pop3d":
            lines += [f"hostname mail.{self.domain}"]
        elif name == "dnsd":
            lines += [f"state-dir {self.dir}/dns"]
        for kind in KINDS.get(name, []):
            self.ports.setdefault(kind, free_port())
            lines.append(f"{kind} 127.0.0.1:{self.ports[kind]}")
        lines.append(self.extra.get(name, ""))
        (self.dir / f"{name}.conf").write_text("\n".join(lines) + "\n")

    def environment(self, name):
        env = dict(os.environ, HAMLET_RUNDIR=str(self.run), HAMLET_CLOCK=str(self.clock), TZ="UTC")
        for key in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
            env.pop(key, None)
        if name == "stored" and self.fault:
            env["HAMLET_FAULT"] = self.fault
        return env

    # --- processes
    def start_all(self):
        for name in self.daemons:
            self.start(name)

    def start(self, name):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(f"\0hamlet-test-{os.getpid()}-{name}-{time.monotonic_ns()}")
        notify.settimeout(0.2)
        env = self.environment(name)
        env["NOTIFY_SOCKET"] = "@" + notify.getsockname()[1:].decode()
        log = open(self.dir / f"{name}.log", "ab")
        p = subprocess.Popen([BUILD / name, "-d", "-v", "-f", self.dir / f"{name}.conf"],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        log.close()
        self.processes[name] = p
        end = time.monotonic() + START_SECONDS
        ready = False
        while not ready and time.monotonic() < end and p.poll() is None:
            try:
                ready = b"READY=1" in notify.recv(4096)
            except TimeoutError:
                pass
        notify.close()
        if not ready:
            raise RuntimeError(f"{name} did not become ready:\n{self.log(name)}")

    def stop(self, name, how=signal.SIGTERM):
        """Ends a daemon; returns its exit status (negative: the signal)."""
        p = self.processes.pop(name, None)
        if not p:
            return 0
        p.send_signal(how)
        try:
            return p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise RuntimeError(f"{name} did not end:\n{self.log(name)}") from None

    def log(self, name, lines=40):
        path = self.dir / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else f"no {path.name}"
        return "\n".join(text.splitlines()[-lines:])

    def sanitizer_reports(self):
        found = []
        for path in self.dir.glob("*.log"):
            text = path.read_text(errors="replace")
            if "ERROR: AddressSanitizer" in text or "runtime error:" in text \
                    or "ERROR: LeakSanitizer" in text:
                found.append(f"{path.name}:\n{text[-6000:]}")
        return found

    def close(self):
        problems = []
        for name in reversed(self.daemons):
            try:
                status = self.stop(name)
                if status not in (0, -signal.SIGTERM):
                    problems.append(f"{name} ended with status {status}:\n{self.log(name)}")
            except RuntimeError as e:
                problems.append(str(e))
        problems += self.sanitizer_reports()
        if not os.environ.get("HAMLET_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        return problems

    # --- what tests do
    def ctl(self, *words, secret=None, ok=True):
        """hamletctl WORDS; returns what it printed. ok=False: must fail; returns its stderr."""
        args = [BUILD / "hamletctl", "-r", self.run, "-c", self.dir]
        if secret is not None:
            args.append("--password-stdin")
        r = subprocess.run([*args, *words], input=secret, text=True, capture_output=True,
                           timeout=60, check=False)
        if (r.returncode == 0) != ok:
            raise RuntimeError(f"hamletctl {' '.join(words)}: status {r.returncode}: "
                               f"{r.stdout}{r.stderr}")
        return r.stdout if ok else r.stderr

    def account(self, address, password):
        domain = address.split("@")[1]
        if domain not in self.ctl("domain", "list").split():
            self.ctl("domain", "add", domain)
        self.ctl("account", "add", address, secret=password + "\n")

    def move_clock(self, seconds):
        now, = struct.unpack("<q", self.clock.read_bytes())
        with open(self.clock, "r+b") as f:
            f.write(struct.pack("<q", now + int(seconds * 1000)))


class Supervised(Suite):
    """The daemons under hamletd, as an administrator runs them."""

    def __init__(self, daemons, conf=None, fault=None, processes=None):
        """processes: {"smtpd": 2}; conf may have further lines for "hamlet" as well."""
        self.count = processes or {}
        self.hamletd = None
        super().__init__(daemons, conf, fault)

    def start_all(self):
        self.run.chmod(0o755)
        lines = ["version 1", f"run-dir {self.run}", f"log-file {self.dir}/hamlet.log",
                 "log file", self.extra.get("hamlet", "")]
        for i, name in enumerate(self.daemons):
            lines.append(f"daemon {name} {{")
            lines.append(f"\tprocesses {self.count.get(name, 1)}")
            if os.geteuid() == 0:
                lines.append(f"\tuser {FIRST_UID + i}")
            lines.append("}")
        (self.dir / "hamlet.conf").write_text("\n".join(lines) + "\n")
        self.start_hamletd()

    def start_hamletd(self):
        log = open(self.dir / "hamletd.log", "ab")
        self.hamletd = subprocess.Popen(
            [BUILD / "hamletd", "-f", self.dir / "hamlet.conf", "-d"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment("stored"))
        log.close()
        self.wait_ready()

    def status(self):
        """One dictionary a process, from hamletctl."""
        return [json.loads(line) for line in
                self.ctl("--json", "daemon", "status").splitlines()]

    def wait_ready(self, seconds=START_SECONDS):
        end = time.monotonic() + seconds
        why = "hamletd does not answer"
        while time.monotonic() < end and self.hamletd.poll() is None:
            try:
                states = {f"{p['instance']}.{p['index']}": p["state"] for p in self.status()}
                if states and all(s == "ready" for s in states.values()):
                    return
                why = str(states)
            except RuntimeError as e:
                why = str(e)
            time.sleep(0.05)
        raise RuntimeError(f"the suite did not become ready: {why}\n{self.log('hamletd')}\n"
                           f"{self.log('hamlet')}")

    def pids(self, name):
        return [p["pid"] for p in self.status() if p["instance"] == name and p["pid"]]

    def close(self):
        problems = []
        if self.hamletd and self.hamletd.poll() is None:
            self.hamletd.send_signal(signal.SIGTERM)
            try:
                if self.hamletd.wait(30) != 0:
                    problems.append(f"hamletd ended with {self.hamletd.returncode}:\n"
                                    f"{self.log('hamletd')}")
            except subprocess.TimeoutExpired:
                self.hamletd.kill()
                problems.append(f"hamletd did not end:\n{self.log('hamletd')}")
        return problems + super().close()
