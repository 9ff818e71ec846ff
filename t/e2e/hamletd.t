#!/usr/bin/env python3
"""The real hamletd with daemons that behave as they are told (t/tool/testdaemon.c)."""
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
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from port import free_port  # noqa: E402

BUILD = os.path.abspath(os.environ.get("HAMLET_BUILD", "build"))
ROOT = os.geteuid() == 0
UID = 64001
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


class Skip(Exception):
    pass


def wait_for(what, fn, seconds=30):
    end = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {what}")
        time.sleep(0.02)


def alive(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rsplit(")", 1)[1].split()[0] != "Z"


class Suite:
    """A folder with hamlet.conf, daemons and one hamletd."""

    FAST = "start-timeout 5s\ndrain-timeout 5s\nwatchdog 1500ms\nbackoff-min 100ms\n"

    def __init__(self, head=FAST):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hamletd-t."))
        os.chmod(self.dir, 0o755)
        self.head = head
        self.daemons = {}
        self.process = None
        self.prefix = []
        self.args = []
        self.etc = self.dir / "etc"  # daemons see this folder
        self.etc.mkdir()
        bin_dir = self.dir / "bin"
        bin_dir.mkdir()
        shutil.copy(f"{BUILD}/hamletd", bin_dir)
        for name in ("testdaemon", "keyd", "stored"):
            shutil.copy(f"{BUILD}/t/tool/testdaemon", bin_dir / name)

    def daemon(self, name, lines, block="program testdaemon", user=True):
        user = f"\nuser {UID}" if ROOT and user else ""
        self.daemons[name] = f"daemon {name} {{\n{block}{user}\n}}\n"
        self.configure(name, lines)

    def configure(self, name, lines):
        (self.etc / f"{name}.conf").write_text("version 1\n" + lines + "\n")

    def write(self):
        (self.etc / "hamlet.conf").write_text(
            f"version 1\nrun-dir {self.dir}/run\n" + self.head + "".join(self.daemons.values()))

    def start(self, wait=True):
        self.write()
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(self.dir / "bin/hamletd"), "-d", "-f",
                 str(self.etc / "hamlet.conf"), *self.args],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            wait_for("up", lambda: re.search(r"hamletd\[%d\] info: up" % self.process.pid,
                                             self.log()) or self.process.poll() is not None)
            assert self.process.poll() is None, "hamletd ended: " + self.log()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def ctl(self, line, name="hamletd.sock"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.dir / "run" / name))
            s.sendall(line.encode() + b"\n")
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        return data.decode()

    def ok(self, line):
        reply = self.ctl(line)
        assert reply.endswith(".\n"), f"{line}: {reply}\n{self.log()}"
        return reply[:-2]

    def status(self, name):
        out = []
        for line in self.ok("status").splitlines():
            fields = dict(f.strip('"').split("=", 1) for f in re.findall(r'"[^"]*"|\S+', line))
            if fields["instance"] == name:
                out.append(fields)
        return out

    def pid(self, name):
        return int(self.status(name)[0]["pid"])


def talk(port, seconds=30):
    s = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    return s


def say(s, line):
    s.sendall(line.encode() + b"\n")
    data = b""
    while not data.endswith(b"\n"):
        chunk = s.recv(4096)
        if not chunk:
            raise ConnectionError("closed")
        data += chunk
    return data.decode().strip()


def ask(port, line):
    with talk(port) as s:
        return say(s, line)


def refused(port):
    try:
        talk(port, 1).close()
    except ConnectionRefusedError:
        return True
    return False


def datagram(port, seconds=2):
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        s.sendto(b"?", ("127.0.0.1", port))
        return s.recv(100).decode()


@test
def two_processes_serve_and_log():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}", "program testdaemon\nprocesses 2")
        s.start()
        rows = s.status("one")
        assert [r["state"] for r in rows] == ["ready", "ready"], rows
        assert rows[0]["status"] == "serving" and rows[0]["program"] == "testdaemon"
        seen = {ask(port, "pid") for _ in range(40)}
        assert seen <= {r["pid"] for r in rows}
        assert {ask(port, "env HAMLET_PROC") for _ in range(40)} <= {"0", "1"}
        assert ask(port, "env LISTEN_FDNAMES") == "one-0:ctl:limits"
        pid = ask(port, "log hello world")
        ask(port, "raw \x01forged\x1b[1m <3>hamletd[1]: line")
        wait_for("log", lambda: "forged" in s.log())
        assert re.search(r"T[\d:.]+Z one\[\d+\] info: hello world\n", s.log()), s.log()
        assert re.search(r"one\[\d+\] warning: \?forged\?\[1m <3>hamletd\[1\]: line\n", s.log())
        ask(port, "raw <3>" + "x" * 900)
        assert s.ok("log") == "stderr\n" and pid == "ok"
        assert s.ok("ping") == ""
        assert s.ctl("nonsense").startswith("! unknown")
        assert s.ctl('restart "').startswith("! not a line of words")
        assert s.ctl("stop nobody").startswith("! there is no such daemon")
        assert 'processes_ready{instance="one"} 2' in s.ok("stats")


@test
def a_crash_refuses_no_connection_and_backs_off():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}")
        s.start()
        old = ask(port, "pid")
        try:
            ask(port, "crash")
        except ConnectionError:
            pass
        new = ask(port, "pid")  # waits in the socket's queue until the new one is ready
        assert new != old
        row = s.status("one")[0]
        assert row["restarts"] == "1", row
        assert "signal ABRT" in s.log()
        s.configure("one", f"listen tcp 127.0.0.1:{port}\ndo crash-at-start")
        os.kill(int(new), signal.SIGKILL)
        wait_for("backoff", lambda: "again-after-ms=800" in s.log())
        waits = re.findall(r"again-after-ms=(\d+)", s.log())
        assert waits[-4:] == ["100", "200", "400", "800"] or waits[-4:] == \
            ["200", "400", "800", "800"] or "800" in waits, waits
        assert s.status("one")[0]["state"] in ("backoff", "starting")
        assert "exit status 70: crashing as told" in s.log(), s.log()


@test
def a_hung_daemon_is_killed_and_started_again():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}")
        s.start()
        old = ask(port, "pid")
        ask(port, "hang")
        wait_for("restart", lambda: s.status("one")[0]["restarts"] == "1")
        assert "no sign of life for 1500 ms" in s.log()
        assert ask(port, "pid") != old
        time.sleep(1.2)
        assert s.status("one")[0]["restarts"] == "1"  # a healthy one stays


@test
def replacing_refuses_nobody_and_lets_sessions_finish():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}", "program testdaemon\nprocesses 2")
        s.start()
        stop, failures, pids = threading.Event(), [], set()

        def hammer():
            while not stop.is_set():
                try:
                    pids.add(ask(port, "pid"))
                except OSError as e:
                    failures.append(repr(e))

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for t in threads:
            t.start()
        with talk(port) as session:
            old = say(session, "pid")
            for _ in range(3):
                s.ok("restart one")
            assert say(session, "pid") == old  # an old session goes on
            assert any(r["state"] == "draining" and r["pid"] == old for r in s.status("one"))
        wait_for("drained", lambda: not alive(int(old)))
        s.ok("restart all")
        stop.set()
        for t in threads:
            t.join()
        assert not failures, failures[:3]
        assert len(pids) >= 6, pids
        assert all(r["restarts"] == "0" for r in s.status("one"))


@test
def a_failed_replacement_leaves_the_old_one():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}")
        s.start()
        old = ask(port, "pid")
        listen = f"listen tcp 127.0.0.1:{port}\n"
        for lines, why in (
                (listen + "do crash-at-start", "exit status 70: crashing as told"),
                (listen + "do never-ready", "not ready after 5000 ms"),
                (listen + "do fail-check", "the check fails as told"),
                (listen + "do bad-list", "line 1 of -L: it has not five fields"),
                (listen + "do endless-list", "writes more than"),
                ("listen tcp 192.0.2.1:1", "192.0.2.1:1: Cannot assign requested address"),
                ("lissen x", "did you mean listen?")):
            s.configure("one", lines)
            reply = s.ctl("restart one")
            assert reply.startswith("! ") and why in reply, (lines, reply)
            assert ask(port, "pid") == old
            assert why in s.status("one")[0]["error"]
        s.configure("one", listen)
        s.ok("restart one")
        wait_for("the new one", lambda: ask(port, "pid") != old)
        assert s.status("one")[0]["error"] == ""


@test
def ignoring_sigterm_is_ended_by_the_drain_timeout():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\ndo ignore-term",
                 "program testdaemon\ndrain-timeout 500ms")
        s.start()
        old = s.pid("one")
        s.ok("restart one")
        assert alive(old)
        wait_for("killed", lambda: not alive(old), 3)
        begun = time.monotonic()
        s.ok("stop one")
        assert 0.3 < time.monotonic() - begun < 3
        assert refused(port)
        assert s.status("one")[0]["state"] == "stopped"
        s.ok("start one")
        assert ask(port, "pid") == s.status("one")[0]["pid"]
        assert s.ctl("start one").startswith("! it runs already")


@test
def udp_sockets_are_per_process():
    port = free_port()
    with Suite(Suite.FAST + "backoff-min 600ms\n".replace("backoff-min", "backoff-max")) as s:
        s.head = s.head.replace("backoff-min 100ms", "backoff-min 600ms")
        s.daemon("one", f"listen udp 127.0.0.1:{port}", "program testdaemon\nprocesses 2")
        s.start()
        rows = {r["pid"] for r in s.status("one")}
        wait_for("both", lambda: {datagram(port) for _ in range(8)} == rows)
        dead = rows.pop()
        os.kill(int(dead), signal.SIGKILL)
        wait_for("noticed", lambda: "signal KILL" in s.log())
        assert {datagram(port) for _ in range(16)} == rows  # none lost to the dead one
        wait_for("again", lambda: len({datagram(port) for _ in range(8)}) == 2)
        stop, lost = threading.Event(), []

        def hammer():
            while not stop.is_set():
                try:
                    datagram(port)
                except OSError as e:
                    lost.append(repr(e))

        t = threading.Thread(target=hammer)
        t.start()
        s.ok("restart one")
        stop.set()
        t.join()
        assert len(lost) == 0, lost


@test
def reload_adds_removes_and_changes():
    a, b, c, d = (free_port() for _ in range(4))
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{a}\nlisten tcp 127.0.0.1:{b}")
        s.daemon("two", f"listen tcp 127.0.0.1:{c}")
        s.start()
        one, two = s.pid("one"), s.pid("two")
        s.ok("reload")  # nothing has changed
        assert (s.pid("one"), s.pid("two")) == (one, two)
        s.configure("one", f"listen tcp 127.0.0.1:{a}\nlisten tcp 127.0.0.1:{d}")
        s.ok("reload")
        assert s.pid("one") != one and s.pid("two") == two
        wait_for("b is closed", lambda: refused(b))
        wait_for("one process", lambda: ask(d, "pid") == ask(a, "pid"))
        del s.daemons["two"]
        s.daemon("three", f"listen tcp 127.0.0.1:{b}")
        s.write()
        s.process.send_signal(signal.SIGHUP)
        wait_for("three", lambda: not refused(b))
        wait_for("two is gone", lambda: not alive(two) and not s.status("two"))
        assert refused(c)
        (s.etc / "hamlet.conf").write_text("version 1\nrun-dir run\nwatchdoc 3s\n")
        reply = wait_for("quiet", lambda: (r := s.ctl("reload")) and "goes on" not in r and r)
        assert "hamlet.conf:3:1: watchdoc: no such directive (did you mean watchdog?)" in reply, reply
        s.daemon("one", f"listen tcp 127.0.0.1:{a}", "program testdaemon\nprocesses 3")
        s.write()
        s.ok("reload")
        assert [r["state"] for r in s.status("one")] == ["ready"] * 3
        s.daemon("one", f"listen tcp 127.0.0.1:{a}")
        s.write()
        s.ok("reload")
        wait_for("one left", lambda: len(s.status("one")) == 1)


@test
def what_could_not_start_is_mended_and_started():
    port, other = free_port(), free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\ndo fail-check")
        s.daemon("two", f"listen tcp 127.0.0.1:{other}")
        s.start()
        assert s.status("one")[0]["state"] == "failed", s.status("one")
        assert "the check fails as told" in s.status("one")[0]["error"]
        assert not refused(other)
        # Another block of the same name, before the next try.
        s.daemon("one", "x", f"program testdaemon\nconfig good.conf\nprocesses 2")
        s.configure("good", f"listen tcp 127.0.0.1:{port}")
        s.write()
        s.ok("reload")
        assert [r["state"] for r in s.status("one")] == ["ready"] * 2
        # Stopped, changed and started: as hamlet.conf is now.
        s.ok("stop one")
        s.daemon("one", "x", f"program testdaemon\nconfig good.conf")
        s.write()
        s.ok("reload")
        assert s.status("one")[0]["state"] == "stopped"
        s.ok("start one")
        assert len(s.status("one")) == 1
        # A file that is mended without a word is found by the next try.
        s.ok("stop one")
        s.configure("good", "do fail-check")
        assert "as told" in s.ctl("start one")
        s.configure("good", f"listen tcp 127.0.0.1:{port}")
        wait_for("the next try", lambda: s.status("one")[0]["state"] == "ready")


@test
def the_death_of_hamletd_is_survived():
    port, other = free_port(), free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\nlisten udp 127.0.0.1:{port}",
                 "program testdaemon\nprocesses 2")
        s.daemon("stored", f"listen unix {s.dir}/run/store/smtpd.sock smtpd", "program stored")
        s.daemon("late", f"listen tcp 127.0.0.1:{other}\ndo ready-late 300")
        s.start()
        pids = [int(r["pid"]) for r in s.status("one")]
        for round_ in range(3):
            s.process.kill()
            s.process.wait()
            s.start()
            new = [int(r["pid"]) for r in s.status("one")]
            assert not set(pids) & set(new)
            assert int(ask(port, "pid")) in new
            wait_for("old ones end", lambda: not any(alive(p) for p in pids))
            pids = new
        # A foreign holder of the port is waited for, then named.
        s.process.terminate()
        assert s.process.wait(10) == 0
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            s.start(wait=False)
            wait_for("refusal", lambda: "Address already in use" in s.log())
            assert ask(other, "pid") == s.status("late")[0]["pid"]
        wait_for("later success", lambda: s.status("one")[0]["state"] == "ready")


@test
def instances_of_one_program_and_of_hamletd():
    a, b = free_port(), free_port()
    with Suite() as s:
        s.daemon("in", f"listen tcp 127.0.0.1:{a}")
        s.daemon("out", f"listen tcp 127.0.0.1:{b}", "program testdaemon\nconfig out.conf")
        s.daemon("off", "x", "program testdaemon\nenabled off")
        s.start()
        assert ask(a, "env LISTEN_FDNAMES") == "in-0:ctl:limits"
        assert ask(b, "env LISTEN_FDNAMES") == "out-0:ctl:limits"
        out = s.pid("out")
        s.ok("restart in")
        assert s.pid("out") == out
        assert not s.status("off")
        second = subprocess.run([s.dir / "bin/hamletd", "-d", "-f", s.etc / "hamlet.conf"],
                                capture_output=True, text=True, timeout=10)
        assert second.returncode == 75, second
        assert f"hamletd runs already, with pid {s.process.pid}" in second.stderr


@test
def one_service_alone():
    a, b = free_port(), free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{a}")
        s.daemon("two", f"listen tcp 127.0.0.1:{b}")
        s.args = ["-s", "one"]
        s.start()
        assert "state=ready" in s.ctl("status", "hamletd.one.sock")
        assert not refused(a) and refused(b)
        s.process.terminate()
        assert s.process.wait(10) == 0
        s.configure("one", "do fail-check")
        s.start(wait=False)
        assert s.process.wait(10) == 78
        assert "the check fails as told" in s.log()


@test
def the_order_of_starting_and_ending():
    port = free_port()
    with Suite() as s:
        run = s.dir / "run"
        s.daemon("a", f"listen tcp 127.0.0.1:{port}\nsocket {run}/store/smtpd.sock\n"
                 f"socket {run}/key/smtpd.sock")
        s.daemon("stored", f"listen unix {run}/store/smtpd.sock testdaemon\ndo ready-late 200",
                 "program stored")
        s.daemon("keyd", f"listen unix {run}/key/smtpd.sock testdaemon\ndo ready-late 200",
                 "program keyd")
        s.start()
        order = re.findall(r"ready instance=(\w+)", s.log())
        assert order == ["keyd", "stored", "a"], order
        assert ask(port, f"connect {run}/store/smtpd.sock") == "ok"
        # stored never runs twice: the old one ends first, its sockets wait meanwhile.
        old = s.pid("stored")
        s.ok("restart stored")
        assert not alive(old)
        assert re.search(r"ended instance=stored.*\n.*started instance=stored", s.log())
        assert ask(port, f"connect {run}/store/smtpd.sock") == "ok"
        s.ok("restart all")
        with talk(port) as session:
            say(session, "pid")
            s.process.terminate()
            time.sleep(0.3)
            assert s.process.poll() is None and alive(s.pid("stored"))
        assert s.process.wait(10) == 0
        assert re.findall(r"ended instance=(\w+)", s.log())[-3:] == ["a", "stored", "keyd"]
        left = [str(p) for p in run.rglob("*.sock")]
        assert not left, left


@test
def a_second_sigterm_kills():
    port = free_port()
    with Suite() as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}")
        s.start()
        pid = s.pid("one")
        with talk(port) as session:
            say(session, "pid")
            s.process.terminate()
            time.sleep(0.2)
            assert alive(pid)
            s.process.terminate()
            assert s.process.wait(5) == 0
        assert not alive(pid)


@test
def a_jailed_daemon_sees_only_its_own():
    if not ROOT:
        raise Skip("needs root")
    port = free_port()
    with Suite() as s:
        run, state = s.dir / "run", s.dir / "state" / "deep"
        secret = s.dir / "secret"
        secret.mkdir()
        (secret / "file").write_text("x")
        os.chmod(secret / "file", 0o666)
        s.daemon("stored", f"listen unix {run}/store/testdaemon.sock testdaemon\n"
                 f"listen unix {run}/store/keyd.sock keyd", f"program stored")
        s.daemons["stored"] = s.daemons["stored"].replace(str(UID), "64002:64003")
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\npath rw {state}\npath ro {secret}/file\n"
                 f"socket {run}/store/testdaemon.sock")
        s.start()
        assert "unconfined" not in s.log(), s.log()
        assert ask(port, "uid") == f"{UID}:{UID} groups:0"
        assert ask(port, "caps") == "effective:= bounding:none"
        for path in ("/etc/passwd", "/root", "/proc/self", "/var", "/bin/sh", "/usr/bin",
                     f"{s.dir}/bin/hamletd", f"{run}/store/keyd.sock", f"{run}/hamletd.pid",
                     f"{secret}/other", "/etc/shadow", "/sys"):
            assert ask(port, f"file {path}") == "ENOENT", path
        for path in (f"{s.etc}/one.conf", "/dev/null", "/dev/urandom", f"{secret}/file",
                     "/etc/hosts"):
            assert ask(port, f"file {path}") == "ok", path
        assert ask(port, f"write {state}/mail") == "ok"
        assert ask(port, f"write {secret}/file") == "EROFS"
        assert ask(port, f"write {s.etc}/one.conf") in ("EROFS", "EACCES")
        for folder in ("/", "/etc", "/usr/lib", str(s.dir)):
            assert ask(port, f"write {folder}/new") in ("EROFS", "EACCES"), folder
        assert ask(port, f"connect {run}/store/testdaemon.sock") == "ok"
        st = os.stat(state)
        assert (st.st_uid, st.st_mode & 0o7777) == (UID, 0o700)
        st = os.stat(run / "store/testdaemon.sock")
        assert (st.st_uid, st.st_mode & 0o777) == (UID, 0o600), oct(st.st_mode)
        st = os.stat(run / "store/keyd.sock")
        assert st.st_uid == 0 and st.st_mode & 0o777 == 0o600
        s.ok("restart all")
        assert ask(port, f"connect {run}/store/testdaemon.sock") == "ok"
        # With the tree switched off it still has no rights.
        s.daemon("one", f"listen tcp 127.0.0.1:{port}", "program testdaemon\njail off")
        s.write()
        s.ok("reload")  # the old one may take a last connection
        wait_for("no tree", lambda: ask(port, "file /etc/passwd") == "ok")
        assert ask(port, "caps") == "effective:= bounding:none"
        assert ask(port, "file /etc/shadow") == "EACCES"


@test
def a_plain_user_runs_it():
    port = free_port()
    with Suite() as s:
        if ROOT:
            os.chown(s.dir, 65534, 65534)
            s.prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        run = s.dir / "run"
        s.daemon("stored", f"listen unix {run}/store/testdaemon.sock testdaemon",
                 "program stored", user=False)
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\npath rw {s.dir}/state\n"
                 f"socket {run}/store/testdaemon.sock", user=False)
        s.start()
        assert s.log().count("unconfined") == 1
        assert "hamletd does not run as root" in s.log()
        uid = 65534 if ROOT else os.getuid()
        assert ask(port, "uid").startswith(f"{uid}:")
        assert ask(port, "caps").startswith("effective:= ")
        assert ask(port, f"connect {run}/store/testdaemon.sock") == "ok"
        assert ask(port, f"write {s.dir}/state/x") == "ok"
        assert os.stat(run).st_mode & 0o777 == 0o700
        s.ok("restart all")
        assert ask(port, f"connect {run}/store/testdaemon.sock") == "ok"


@test
def in_the_background_with_a_log_file():
    port = free_port()
    with Suite(Suite.FAST + "log-file ../l.log\nlog-size 4K\nlog-keep 2\n") as s:
        s.daemon("one", f"listen tcp 127.0.0.1:{port}\ndo ready-late 300")
        s.write()
        run = subprocess.run([s.dir / "bin/hamletd", "-f", s.etc / "hamlet.conf"], timeout=10,
                             stdin=subprocess.DEVNULL)
        assert run.returncode == 0
        assert ask(port, "pid") == s.status("one")[0]["pid"]  # up when the command ends
        pid = int((s.dir / "run/hamletd.pid").read_text())
        assert s.ok("log") == f"{s.etc}/../l.log\n"
        for i in range(20):
            ask(port, f"log {i} " + "x" * 600)
        logs = wait_for("rotation", lambda: len(list(s.dir.glob("l.log*"))) == 3)
        assert logs and all(p.stat().st_size < 5200 for p in s.dir.glob("l.log*"))
        assert s.ctl("shutdown") == ".\n"
        wait_for("end", lambda: not alive(pid))
        s.configure("one", "x")
        run = subprocess.run([s.dir / "bin/hamletd", "-s", "one", "-f", s.etc / "hamlet.conf"],
                             timeout=10, stdin=subprocess.DEVNULL)
        assert run.returncode == 78, run


@test
def flags_and_mistakes():
    with Suite() as s:
        s.daemon("one", "listen tcp 127.0.0.1:1")

        def run(*args):
            return subprocess.run([s.dir / "bin/hamletd", *args, "-f", s.etc / "hamlet.conf"],
                                  capture_output=True, text=True, timeout=10)

        s.write()
        assert run("-n").returncode == 0
        dump = run("-nn")
        assert dump.returncode == 0 and "daemon one {" in dump.stdout, dump
        assert run("-V").stdout.startswith("hamletd ")
        assert run("-x").returncode == 64
        s.configure("one", "do fail-check")
        bad = run("-n")
        assert bad.returncode == 78 and "the check fails as told" in bad.stderr
        s.daemons["one"] = "daemon one { program nothing\nconfig none.conf\nuser no-such-user\n}\n" \
            "daemon one { program testdaemon }\ndaemon x/y\n"
        s.write()
        bad = run("-n")
        assert bad.returncode == 78
        for want in ("daemon one: program nothing: no such program",
                     "none.conf: cannot be read", "daemon one: is there twice",
                     "daemon: needs one name"):
            assert want in bad.stderr, (want, bad.stderr)
        if ROOT:
            assert "user no-such-user: no such user" in bad.stderr


def main():
    chosen = [t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, fn in enumerate(chosen, 1):
        name = fn.__name__.replace("_", " ")
        begun = time.monotonic()
        try:
            fn()
            print(f"ok {number} - {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    sys.exit(failed != 0)


main()
