#!/usr/bin/env python3
"""Clients that vanish: no FIN, no RST, what is sent to them is never acknowledged. And clients that
connect to a TLS port and do not go on with the handshake. Their sessions end in time, and give back
what they held: memory, the mailbox."""
import fcntl
import pathlib
import poplib
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import Suite  # noqa: E402
from tap import Tap  # noqa: E402

SIOCSIFADDR, SIOCSIFFLAGS, SIOCGIFFLAGS, UP = 0x8916, 0x8914, 0x8913, 1
GONE = "192.0.2.9"  # the address that vanishes, an alias of the namespace's loopback
USER, PASSWORD = "alice@a.test", "secret-alice"
CONF = {
    "smtpd": "command-timeout 2s\ndata-timeout 2s\nmessage-timeout 4s\n",
    "pop3d": "login-timeout 2s\nidle-timeout 2s\n",
}
WAIT = 60


# --- the network: a namespace of our own
def flags(sock, name, value=None):
    if value is None:
        got = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sh22x", name, 0))
        return struct.unpack("16sh22x", got)[1]
    return fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", name, value))


def address_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags(s, b"lo", flags(s, b"lo") | UP)
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sHH4s16x", b"lo:9", socket.AF_INET, 0,
                                                socket.inet_aton(GONE)))


def address_down():
    """From here on nothing reaches it, and nothing comes from it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags(s, b"lo:9", flags(s, b"lo:9") & ~UP)


def into_namespace():
    """Runs this test again where the network may be changed."""
    for how in ("-n", "-rn"):
        if subprocess.run(["unshare", how, "true"], check=False, stderr=subprocess.DEVNULL) \
                .returncode == 0:
            sys.exit(subprocess.run(["unshare", how, sys.executable, __file__, "inside"],
                                    check=False).returncode)
    print("1..0 # SKIP unshare may not make a network namespace here")
    sys.exit(0)


# --- what the daemons say
def stats(suite, daemon):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(str(suite.run / "ctl" / f"{daemon}.0.sock"))
        s.sendall(b"stats\n")
        text = b""
        while more := s.recv(65536):
            text += more
            if text.endswith(b"\n.\n") or b"\nok" in text:
                break
    return {name.decode(): float(value) for name, value in
            (line.split() for line in text.splitlines() if line.count(b" ") == 1)}


def wait_for(what, fn):
    end = time.monotonic() + WAIT
    while not fn():
        if time.monotonic() > end:
            return [f"{what} in {WAIT} s"]
        time.sleep(0.1)
    return []


def all_gone(suite, daemon):
    return wait_for(f"{daemon} did not end its sessions",
                    lambda: stats(suite, daemon)[f"{daemon}_sessions"] == 0)


def connected(suite, kind, source):
    sock = socket.create_connection(("127.0.0.1", suite.ports[kind]), WAIT, (source, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return sock


def dialogue(sock, *lines):
    """Says each line and returns the last answer."""
    file = sock.makefile("rb")
    answer = file.readline()
    for line in lines:
        sock.sendall(line + b"\r\n")
        answer = file.readline()
        while answer[3:4] == b"-":
            answer = file.readline()
    return answer


# --- tests: whoever vanishes is set up before, and looked for after
def smtp_inside_a_message(suite):
    sock = connected(suite, "smtp", GONE)
    got = dialogue(sock, b"EHLO gone.test", b"MAIL FROM:<>", f"RCPT TO:<{USER}>".encode(), b"DATA")
    sock.sendall(b"Subject: half\r\n\r\n" + (b"x" * 76 + b"\r\n") * 10000)
    problems = [] if got.startswith(b"354") else [f"DATA was answered {got}"]
    held = wait_for("the message is not seen",
                    lambda: stats(suite, "smtpd")["smtpd_message_memory_bytes"] > 0)
    return sock, problems + held


def smtp_after(suite):
    problems = all_gone(suite, "smtpd")
    held = stats(suite, "smtpd")["smtpd_message_memory_bytes"]
    if held:
        problems.append(f"{held} bytes of the message are still held")
    with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=WAIT) as s:
        s.sendmail("x@b.test", [USER], "Subject: next\r\n\r\nhello\r\n")
    return problems


def pop_logged_in(suite, *further):
    sock = ssl.create_default_context(cafile=str(suite.ca)).wrap_socket(
        connected(suite, "pop3s", GONE), server_hostname="mail.a.test")
    got = dialogue(sock, f"USER {USER}".encode(), f"PASS {PASSWORD}".encode())
    for line in further:
        sock.sendall(line + b"\r\n")
    return sock, [] if got.startswith(b"+OK") else [f"PASS was answered {got}"]


def pop_in_a_mailbox(suite):
    return pop_logged_in(suite)


def pop_inside_a_message(suite):
    sock, problems = pop_logged_in(suite, b"RETR 1")
    first = sock.recv(1000)
    return sock, problems + ([] if first.startswith(b"+OK") else [f"RETR was answered {first}"])


def pop_after(suite):
    problems = all_gone(suite, "pop3d")
    try:
        pop = poplib.POP3("127.0.0.1", suite.ports["pop3"], timeout=WAIT)
        pop.user(USER)
        pop.pass_(PASSWORD)
        pop.quit()
    except poplib.error_proto as e:
        problems.append(f"the mailbox is not free: {e}")
    return problems


def vanishing(suite, before, after):
    address_up()
    sock, problems = before(suite)
    address_down()
    problems += after(suite)
    sock.close()
    return problems


def client_hello(suite):
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=str(suite.ca)).wrap_bio(into, out,
                                                                    server_hostname="mail.a.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def handshake(suite, daemon, kind, how_much):
    """The client stays, and says only a part of its hello. The server closes, and says so."""
    failed = stats(suite, daemon)[f"{daemon}_tls_failed_total"]
    hello = client_hello(suite)
    sock = connected(suite, kind, "127.0.0.1")
    sock.sendall(hello[:int(len(hello) * how_much)])
    problems = closed(sock)
    if stats(suite, daemon)[f"{daemon}_tls_failed_total"] != failed + 1:
        problems.append("it is not counted")
    if "the handshake took too long" not in suite.log(daemon):
        problems.append(f"it is not logged:\n{suite.log(daemon)}")
    return problems + all_gone(suite, daemon)


def closed(sock):
    """The server ends the connection; what it says before is TLS's own."""
    said = b""
    try:
        while more := sock.recv(4096):
            said += more
    except TimeoutError:
        return [f"it is still open after {WAIT} s"]
    except ConnectionResetError:
        pass
    sock.close()
    return [f"it said {said}"] if said and said[0] not in (21, 22) else []


def starttls_then_silence(suite, daemon, kind, *lines):
    sock = connected(suite, kind, "127.0.0.1")
    got = dialogue(sock, *lines)
    problems = [] if got[:3] in (b"220", b"+OK") else [f"{lines[-1]} was answered {got}"]
    problems += closed(sock)
    if "the handshake took too long" not in suite.log(daemon):
        problems.append("it is not logged")
    return problems + all_gone(suite, daemon)


def main():
    tap = Tap(11)
    address_up()
    suite = Suite(["smtpd", "pop3d"], CONF)
    try:
        suite.account(USER, PASSWORD)
        with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=WAIT) as s:
            s.sendmail("x@b.test", [USER], "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 100000)
        for name, before, after in (
                ("smtp: a client vanishes inside a message", smtp_inside_a_message, smtp_after),
                ("pop3: a client vanishes with a mailbox open", pop_in_a_mailbox, pop_after),
                ("pop3: a client vanishes inside a message", pop_inside_a_message, pop_after)):
            tap.test(name, vanishing, suite, before, after)
        for daemon, kind in (("smtpd", "submissions"), ("pop3d", "pop3s")):
            tap.test(f"{kind}: nothing of a handshake", handshake, suite, daemon, kind, 0)
            tap.test(f"{kind}: half a ClientHello", handshake, suite, daemon, kind, 0.5)
        tap.test("smtp: STARTTLS, then nothing", starttls_then_silence, suite, "smtpd", "smtp",
                 b"EHLO a.test", b"STARTTLS")
        tap.test("pop3: STLS, then nothing", starttls_then_silence, suite, "pop3d", "pop3",
                 b"STLS")
        tap.test("smtp: a whole ClientHello, then nothing", handshake, suite, "smtpd",
                 "submissions", 1)
    finally:
        tap.ends(suite)
    tap.done()


if sys.argv[1:] == ["inside"]:
    main()
else:
    into_namespace()
