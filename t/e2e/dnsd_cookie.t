#!/usr/bin/env python3
"""DNS cookies of two servers that share the secret, and bad-cookie: dig comes back with the cookie."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Suite  # noqa: E402
from tap import Tap  # noqa: E402

OLD, NEW = "000102030405060708090a0b0c0d0e0f", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
CONF = """zone a.test file zones/a.test
bad-cookie on
cookie-secret-file secret
"""
CLIENT = "0123456789abcdef"


class Dns(Suite):
    def __init__(self, *secrets):
        self.secrets = secrets
        super().__init__(["dnsd"], conf={"dnsd": CONF})
        self.port = self.ports["content"]

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            (self.dir / "zones/a.test").write_text(
                "@ SOA ns1 host 1 2h 10m 2w 5m\n@ NS ns1\nns1 A 192.0.2.1\n")
            self.secret(*self.secrets)
        super().write_conf(name)

    def secret(self, *lines, mode=0o640):
        path = self.dir / "secret"
        path.write_text("".join(f"{line}\n" for line in lines))
        path.chmod(mode)


def dig(s, *words):
    return subprocess.run(
        ["dig", "@127.0.0.1", "-p", str(s.port), "+tries=3", "+time=10", "ns1.a.test", *words],
        capture_output=True, text=True, timeout=60, check=False).stdout


def has(text, *parts):
    return [f"no {p!r} in:\n{text}" for p in parts if p not in text]


def cookie(s):
    return re.search(f"COOKIE: ({CLIENT}[0-9a-f]{{32}}) ",
                     dig(s, f"+cookie={CLIENT}", "+nobadcookie")).group(1)


def comes_back(one, _):
    bad = has(dig(one, f"+cookie={CLIENT}", "+nobadcookie"), "status: BADCOOKIE", "ANSWER: 0")
    bad += has(dig(one, f"+cookie={CLIENT}"), "status: NOERROR", "192.0.2.1")
    bad += has(dig(one, "+nocookie"), "status: NOERROR")
    return bad + has(dig(one, f"+cookie={CLIENT}", "+tcp", "+nobadcookie"), "status: NOERROR")


def changing(one, two):
    """The second server has the new secret already and takes the old one still."""
    bad = has(dig(two, f"+cookie={cookie(one)}", "+nobadcookie"), "status: NOERROR")
    bad += has(dig(one, f"+cookie={cookie(two)}", "+nobadcookie"), "status: BADCOOKIE")
    one.stop("dnsd")
    one.secret(NEW, OLD)
    one.start("dnsd")
    got = cookie(two)
    bad += has(dig(one, f"+cookie={got}", "+nobadcookie"), "status: NOERROR")
    other = got[:-1] + ("0" if got[-1] != "0" else "1")
    return bad + has(dig(one, f"+cookie={other}", "+nobadcookie"), "status: BADCOOKIE")


def mistakes(one, _):
    bad = []
    for lines, mode, why in (([OLD[1:]], 0o600, "first line"), ([OLD, "x"], 0o600, "second line"),
                             ([OLD], 0o644, "chmod 640")):
        one.secret(*lines, mode=mode)
        got = subprocess.run([BUILD / "dnsd", "-n", "-f", one.dir / "dnsd.conf"], text=True,
                             capture_output=True, timeout=30, check=False)
        if got.returncode == 0 or why not in got.stderr or OLD[1:] in got.stderr:
            bad.append(str(got))
    return bad


def main():
    tap = Tap()
    one = Dns(OLD)
    two = None
    try:
        two = Dns(NEW, OLD)  # the secret is being changed
        for name, test in (("clients are told to come back with a cookie", comes_back),
                           ("the cookie of one server is good for the other", changing),
                           ("files of secrets", mistakes)):
            tap.test(name, test, one, two)
    finally:
        if two:
            tap.ends(two)
        tap.ends(one)
    tap.done()


main()
