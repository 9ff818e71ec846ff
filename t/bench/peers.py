"""The peers of the benchmarks, unpacked from Debian's packages and run out of a folder.

They run as root needs it: both want their own unprivileged users, so the benchmarks need root.
Nothing is installed; each peer is stopped by close().
"""
import contextlib
import fcntl
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from port import free_port  # noqa: E402
from suite import ROOT  # noqa: E402

PEERS = ROOT / "build" / "peers"
# System users that every Debian has; the peers' own are not made.
OWNER, SPARE, GROUP, MAIL_UID = "news", "uucp", "uucp", 8


def unpack(*packages) -> str:
    """Returns the version of the first."""
    with unpacking():
        subprocess.run([ROOT / "t/bench/peers", PEERS, *packages], check=True)
    return (PEERS / "deb" / f"{packages[0]}.done").read_text().strip()


def environment() -> dict:
    root = PEERS / "root"
    libs = [root / "usr/lib/postfix", root / "usr/lib/x86_64-linux-gnu"]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(map(str, libs)))


@functools.cache  # asking takes Postfix's tools a second
def program(name, *packages) -> pathlib.Path:
    """The program of the first package, with the libraries of the others as far as they are
    missing here. RuntimeError says why it cannot be had: no network, no such package, no root."""
    with unpacking():
        return unpack_program(PEERS / "root/usr/sbin" / name, packages)


@contextlib.contextmanager
def unpacking():
    """Of tests that run side by side one unpacks at a time; the others find what it has done."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpack_program(binary, packages) -> pathlib.Path:
    for package in packages:
        # Its libraries are found; what it says is its usage.
        if binary.exists() and subprocess.run([binary, "-h"], env=environment(), check=False,
                                              capture_output=True).returncode != 127:
            return binary
        got = subprocess.run(["timeout", "120", ROOT / "t/bench/peers", PEERS, package],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if got.returncode != 0:
            why = got.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(why[-1] if why else f"{package} cannot be downloaded")
    if subprocess.run([binary, "-h"], env=environment(), check=False,
                      capture_output=True).returncode == 127:
        raise RuntimeError(f"{binary.name} does not find its libraries")
    return binary


def smtp_source() -> pathlib.Path:
    """Postfix's load generator, which needs nothing else of Postfix."""
    return program("smtp-source", "postfix", "libdb5.3", "libnsl2", "libtirpc3", "libicu72")


def nsd() -> pathlib.Path:
    """An authoritative DNS server."""
    return program("nsd", "nsd", "libprotobuf-c1", "libfstrm0", "libevent-2.1-7")


def knot() -> pathlib.Path:
    """Another one."""
    return program("knotd", "knot", "libknot13", "libzscanner4", "libdnssec9", "libcap-ng0",
                   "libedit2", "liblmdb0", "liburcu8")


def kzonecheck() -> pathlib.Path:
    """Checks zones."""
    return program("../bin/kzonecheck", "knot-dnssecutils", "libknot13", "libzscanner4",
                   "libdnssec9")


def unbound() -> pathlib.Path:
    """A validating resolver."""
    return program("unbound", "unbound", "libprotobuf-c1", "libevent-2.1-7", "libhiredis0.14",
                   "libpython3.11")


def kresd() -> pathlib.Path:
    """Another one; returns the folder that it was unpacked to (it runs only where that is /usr)."""
    unpack("knot-resolver", "libknot13", "libzscanner4", "libdnssec9", "libluajit-5.1-2", "liblmdb0",
           "libjemalloc2", "libedit2", "libfstrm0", "libprotobuf-c1", "lua-socket", "lua-sec",
           "dns-root-data")
    return PEERS / "root"


def dnsviz() -> pathlib.Path:
    """A checker of chains of trust; returns the folder that it was unpacked to."""
    unpack("dnsviz", "python3-dnspython", "python3-m2crypto", "python3-pygraphviz", "libcgraph6",
           "libcdt5", "libgvc6", "libpathplan4", "libxdot4", "libltdl7")
    return PEERS / "root"


def dnsperf() -> pathlib.Path:
    """A load generator for DNS servers."""
    return program("../bin/dnsperf", "dnsperf", "libldns3", "libnghttp2-14")


def wait_port(port: int, seconds=20, address="127.0.0.1"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


class Peer:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-peer-"))
        self.dir.chmod(0o755)
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


class Sink:
    """Postfix's smtp-sink: takes all mail and throws it away. count() is what it has taken."""

    def __init__(self):
        self.binary = smtp_source().with_name("smtp-sink")
        self.port = free_port()
        self.messages = 0
        self.process = subprocess.Popen(
            [self.binary, "-u", SPARE, "-c", f"127.0.0.1:{self.port}", "1000"], env=environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()
        wait_port(self.port)

    def read(self):
        """It says its counters again and again, each time behind a carriage return."""
        rest = b""
        while more := self.process.stdout.read1(1 << 16):
            rest += more
            found = re.findall(rb"mesg=(\d+)", rest.rpartition(b"\r")[0])
            if found:
                self.messages = int(found[-1])
                rest = rest.rpartition(b"\r")[2]

    def count(self) -> int:
        return self.messages

    def close(self):
        self.process.kill()
        self.process.wait()


class Postfix(Peer):
    """smtpd to virtual(8) delivery into Maildir, as Postfix is by default: every file synced."""

    def __init__(self, address="127.0.0.1", port=None, main="", rows=()):
        """main, rows: further lines of main.cf and master.cf."""
        super().__init__()
        self.version = unpack("postfix")
        self.port = port or free_port()
        self.mail = self.dir / "mail"
        root, etc = PEERS / "root", self.dir / "etc"
        for d in (etc, self.dir / "spool", self.dir / "data", self.mail):
            d.mkdir()
        shutil.chown(self.mail, MAIL_UID, MAIL_UID)
        shutil.chown(self.dir / "data", OWNER)
        (etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.dir}/spool
data_directory = {self.dir}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {etc}
mail_owner = {OWNER}
setgid_group = {GROUP}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG TZ
maillog_file = /var/log/hamlet-bench-postfix.log
maillog_file_prefixes = /var/log
myhostname = mail.b.test
mydestination =
inet_interfaces = {address}
inet_protocols = ipv4
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = b.test
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = static:bob/
virtual_uid_maps = static:{MAIL_UID}
virtual_gid_maps = static:{MAIL_UID}
virtual_minimum_uid = 1
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
alias_maps =
local_recipient_maps =
{main}
""")
        rows = [*rows, "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce",
                "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap",
                "virtual unix - n n - - virtual", "error unix - - n - - error",
                "retry unix - - n - - error", "anvil unix - - n - 1 anvil",
                "postlog unix-dgram n - n - 1 postlogd",
                f"{address}:{self.port} inet n - n - - smtpd"]
        (etc / "master.cf").write_text("\n".join(rows) + "\n")
        env = dict(environment(), MAIL_CONFIG=str(etc))
        subprocess.run([root / "usr/lib/postfix/sbin/post-install", "create-missing",
                        f"config_directory={etc}", f"daemon_directory={root}/usr/lib/postfix/sbin",
                        f"command_directory={root}/usr/sbin", f"queue_directory={self.dir}/spool",
                        f"mail_owner={OWNER}", f"setgid_group={GROUP}"],
                       env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        for d in ("active bounce corrupt defer deferred flush hold incoming private saved "
                  "trace").split():
            (self.dir / "spool" / d).mkdir(exist_ok=True, mode=0o700)
            shutil.chown(self.dir / "spool" / d, OWNER)
        for d in ("maildrop", "public", "pid"):
            (self.dir / "spool" / d).mkdir(exist_ok=True, mode=0o730)
            if d != "pid":
                shutil.chown(self.dir / "spool" / d, OWNER, GROUP)
        self.process = subprocess.Popen([root / "usr/lib/postfix/sbin/master", "-c", etc, "-d"],
                                        env=env, stdin=subprocess.DEVNULL)
        wait_port(self.port, address=address)

    def delivered(self) -> int:
        new = self.mail / "bob" / "new"
        return len(os.listdir(new)) if new.is_dir() else 0


class Dovecot(Peer):
    """POP3 over Maildir with a plain password file; mail_fsync as by default."""

    def __init__(self, users=1, password="secret"):
        super().__init__()
        self.version = unpack("dovecot-pop3d", "dovecot-core")
        self.port = free_port()
        self.mail = self.dir / "mail"
        self.mail.mkdir()
        root = PEERS / "root"
        (self.dir / "users").write_text(
            "".join(f"u{i}:{{PLAIN}}{password}:{MAIL_UID}:{MAIL_UID}::{self.mail}/u{i}\n"
                    for i in range(users)))
        (self.dir / "dovecot.conf").write_text(f"""
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/log
auth_debug = no
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
default_login_user = {SPARE}
default_internal_user = {OWNER}
default_internal_group = {OWNER}
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
userdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
service pop3-login {{
  chroot =
  service_count = 0
  client_limit = 10000
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
mail_max_userip_connections = 0
""")
        # It looks for its parts where its package has them: a namespace of its own shows them
        # there, over this machine's /usr.
        show = f"mount -t overlay -o lowerdir={root}/usr:/usr overlay /usr"
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c",
             f'{show} && exec /usr/sbin/dovecot -F -c "{self.dir}/dovecot.conf"'],
            stdin=subprocess.DEVNULL)
        wait_port(self.port)

    def fill(self, user: int, count: int, size: int):
        new = self.mail / f"u{user}" / "Maildir" / "new"
        for d in ("new", "cur", "tmp"):
            (new.parent / d).mkdir(parents=True, exist_ok=True)
        head = b"From: <a@a.test>\r\nSubject: x\r\n\r\n"
        body = (head + b"x" * 76 * (size // 78)) if size < 200 else head + \
            (b"x" * 76 + b"\r\n") * ((size - len(head)) // 78)
        for i in range(count):
            (new / f"{1700000000 + i}.M{i}.host").write_bytes(body)
        subprocess.run(["chown", "-R", str(MAIL_UID), self.mail], check=True)
