"""unbound and Knot Resolver, unpacked from Debian's packages, and dnsd's cache server, as resolvers of
a private internet (internet.py), and how questions are put to them."""
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import dnswire  # noqa: E402
import peers  # noqa: E402
from port import free_port  # noqa: E402
from suite import BUILD  # noqa: E402


class Resolver:
    """net has `hints` and `anchor`, files. more: lines of configuration."""

    def __init__(self, net, more=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hamlet-resolver-"))
        self.folder.chmod(0o755)
        self.port, self.net = free_port(), net
        (self.folder / "conf").write_text(self.conf(net, more))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        peers.wait_port(self.port)

    def environment(self):
        return peers.environment()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def close(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Unbound(Resolver):
    def conf(self, net, more):
        self.name = "unbound " + peers.unpack("unbound")
        return f"""
server:
    directory: "{self.folder}"
    chroot: ""
    username: ""
    pidfile: "{self.folder}/pid"
    interface: 127.0.0.1@{self.port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    use-syslog: no
    logfile: ""
    num-threads: 1
    root-hints: "{net.hints}"
    trust-anchor-file: "{net.anchor}"
    module-config: "validator iterator"
    prefetch: no
    {more}
remote-control:
    control-enable: no
"""

    def command(self):
        return [peers.unbound(), "-d", "-c", self.folder / "conf"]


class Kresd(Resolver):
    """It looks for its parts where its package has them: a namespace of its own shows them there."""

    def conf(self, net, more):
        self.name = "knot-resolver " + peers.unpack("knot-resolver")
        return f"""
net.listen('127.0.0.1', {self.port}, {{ kind = 'dns' }})
modules.unload('ta_update')
modules.unload('priming')
option('ALLOW_LOCAL', true)
modules = {{ 'hints' }}
hints.root_file('{net.hints}')
trust_anchors.remove('.')
trust_anchors.add_file('{net.anchor}', true)
cache.open(100 * MB, 'lmdb://{self.folder}/cache')
{more}
"""

    def command(self):
        show = f"mount -t overlay -o lowerdir={peers.PEERS / 'root'}/usr:/usr overlay /usr"
        return ["unshare", "-m", "sh", "-c",
                f'{show} && exec /usr/sbin/kresd -n -c "{self.folder}/conf" "{self.folder}"']


class Dnsd(Resolver):
    name = "dnsd"

    def conf(self, net, more):
        return f"""version 1
cache 127.0.0.1:{self.port}
state-dir {self.folder}/state
store off
trust-anchor-file {net.anchor}
recursion {{
	root-hints {net.hints}
	queries-per-second 0
	prefetch 0
	save off
}}
{more}
"""

    def command(self):
        return [BUILD / "dnsd", "-d", "-f", self.folder / "conf"]

    def environment(self):
        return dict(os.environ, HAMLET_RUNDIR=str(self.folder / "run"))


def ask_all(port, questions, at_once=50, wait=20, flags=0x100, edns=1232, do=True):
    """The answers (dnswire.Message; None: none came) to (name, type), in their order, asked by UDP."""
    answers, asked, left = [None] * len(questions), {}, list(range(len(questions)))[::-1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect(("127.0.0.1", port))
        while left or asked:
            while left and len(asked) < at_once:
                i = left.pop()
                name, kind = questions[i]
                number = i & 0xffff
                if number in asked:
                    left.append(i)
                    break
                sock.send(dnswire.query(name, kind, number, edns=edns, do=do, flags=flags))
                asked[number] = (i, time.monotonic())
            if select.select([sock], [], [], 0.2)[0]:
                got = sock.recv(65535)
                number = struct.unpack_from(">H", got)[0]
                if number in asked:
                    answers[asked.pop(number)[0]] = dnswire.Message(got)
            old = [n for n, (_, at) in asked.items() if time.monotonic() - at > wait]
            for number in old:
                asked.pop(number)
    return answers
