"""Hosts for tests: network namespaces on one bridge, each with its own loopback, its own ports 25
and 53, and addresses of the documentation's ranges (192.0.2.0/24, 2001:db8::/64).

    netns.enter()               # the test's process gets namespaces of its own, or Refused
    wire = netns.Wire()
    a = wire.host("a", 1)       # 192.0.2.1 and 2001:db8::1
    with a:                     # what this thread opens or starts now is on that host
        socket.create_connection(("192.0.2.2", 25))

Nothing of it outlives the process: a namespace is held by a descriptor.
"""
import ctypes
import os
import subprocess
import sys
import threading

CLONE_NEWNET = 0x40000000
MARK = "HAMLET_TEST_NETNS"
libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """This machine does not let us have namespaces; the text says what was refused."""


def call(fn, *args):
    if fn(*args) != 0:
        raise Refused(f"{fn.__name__}: {os.strerror(ctypes.get_errno())}")


def ip(*words):
    got = subprocess.run(["ip", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         check=False)
    if got.returncode != 0:
        raise Refused(f"ip {' '.join(words)}: {got.stderr.strip() or 'failed'}")


def enter():
    """Runs the test again inside a mount and a network namespace; a plain user keeps the
    name and has the capabilities of a user namespace. To be called first, by the only thread."""
    if MARK in os.environ:
        ip("link", "set", "lo", "up")
        return
    flags = ["--mount", "--net"]
    if os.geteuid() != 0:
        flags += ["--user", "--map-current-user", "--keep-caps"]
    try:
        got = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True,
                             check=False)
    except OSError as e:
        raise Refused(f"unshare: {e.strerror}") from None
    if got.returncode != 0:
        raise Refused(got.stderr.strip())
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])


class Host:
    """A namespace with one interface. `with host:` moves the thread there; what it forks and the
    sockets that it makes stay there."""

    def __init__(self, name):
        self.name = name
        self.old = threading.local()
        here = self.current()
        call(libc.unshare, CLONE_NEWNET)
        self.fd = self.current()
        call(libc.setns, here, CLONE_NEWNET)
        os.close(here)
        with self:
            ip("link", "set", "lo", "up")

    @staticmethod
    def current():
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        stack = self.old.__dict__.setdefault("stack", [])
        stack.append(self.current())
        call(libc.setns, self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        fd = self.old.stack.pop()
        call(libc.setns, fd, CLONE_NEWNET)
        os.close(fd)


class Wire:
    """The bridge that all hosts are at."""

    def __init__(self):
        self.bridge = Host("bridge")
        with self.bridge:
            ip("link", "add", "wire", "type", "bridge")
            ip("link", "set", "wire", "up")

    def host(self, name, number) -> Host:
        """A host with the addresses 192.0.2.NUMBER and 2001:db8::NUMBER."""
        h = Host(name)
        with self.bridge:
            ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", h.path)
            ip("link", "set", f"to-{name}", "master", "wire", "up")
        with h:
            ip("link", "set", "eth0", "up")
            ip("address", "add", f"{v4(number)}/24", "dev", "eth0")
            ip("address", "add", f"{v6(number)}/64", "dev", "eth0", "nodad")
        return h


def v4(number) -> str:
    return f"192.0.2.{number}"


def v6(number) -> str:
    return f"2001:db8::{number:x}"
