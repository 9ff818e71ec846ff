#!/usr/bin/env python3
"""Signed queries (TSIG): dig and kdig with dnsd, keys of `hamletctl zone key`, keys that are wrong,
clocks that differ, files that must not be read by all."""
import pathlib
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, Suite  # noqa: E402
from tap import Tap  # noqa: E402

ZONE = "@ SOA ns1 host 1 2h 10m 2w 5m\n@ NS ns1\nns1 A 192.0.2.1\n" + \
    "".join(f'big TXT "{i} {"x" * 200}"\n' for i in range(40))
CONF = """zone a.test file zones/a.test
key one.a.test file one.key
key two.a.test {
	algorithm hmac-sha512-256
	secret-file two.key
}
key old.a.test {
	algorithm hmac-sha1
	secret-file old.key
}
"""
OTHER = "c29tZXRoaW5nIGVsc2U="


class Dns(Suite):
    def __init__(self):
        self.keys = {}
        super().__init__(["dnsd"], conf={"dnsd": CONF})
        self.port = self.ports["content"]

    def write_conf(self, name):
        if name == "dnsd":
            (self.dir / "zones").mkdir(exist_ok=True)
            (self.dir / "zones/a.test").write_text(ZONE)
            for key, words in (("one", []), ("two", ["--algorithm", "hmac-sha512"])):
                line = subprocess.run([BUILD / "hamletctl", "zone", "key", f"{key}.a.test", *words],
                                      capture_output=True, text=True, check=True).stdout.strip()
                self.keys[key] = line
            secret = self.keys["two"].split(":")[2]
            self.keys["two"] = f"hmac-sha512-256:two.a.test:{secret}"
            self.keys["old"] = f"hmac-sha1:old.a.test:{secret}"
            self.key_file("one", self.keys["one"])
            self.key_file("two", secret)
            self.key_file("old", f"old.a.test:{secret}")
        super().write_conf(name)

    def key_file(self, key, line, mode=0o600):
        path = self.dir / f"{key}.key"
        path.write_text(line + "\n")
        path.chmod(mode)

    def check(self):
        """What dnsd -n says of the configuration."""
        got = subprocess.run([BUILD / "dnsd", "-n", "-f", self.dir / "dnsd.conf"], text=True,
                             capture_output=True, timeout=30, check=False)
        return f"{got.returncode} {got.stdout}{got.stderr}"


def ask(s, key, *words, tool="dig"):
    patience = ["+tries=3", "+time=10"] if tool == "dig" else ["+retry=2", "+time=10"]
    return subprocess.run([tool, "@127.0.0.1", "-p", str(s.port), "-y", key, *patience, *words],
                          capture_output=True, text=True, timeout=60, check=False)


def has(got, *parts, lacks=("not be validated", "verify")):
    text = got.stdout + got.stderr
    return [f"no {p!r} in:\n{text}" for p in parts if p not in text] + \
        [f"{p!r} in:\n{text}" for p in lacks if p in text]


def good_keys(s):
    bad = []
    for name, key in s.keys.items():
        for way in ("+notcp", "+tcp"):
            bad += has(ask(s, key, "ns1.a.test", "A", way), "status: NOERROR", "192.0.2.1",
                       f"{name}.a.test.", "NOERROR 0")
            whole = key.replace("sha512-256", "sha512")  # kdig cuts no signatures
            bad += has(ask(s, whole, "ns1.a.test", "A", way, tool="kdig"), "status: NOERROR",
                       "192.0.2.1", f"{name}.a.test.")
    return bad


def long_answers(s):
    bad = has(ask(s, s.keys["one"], "big.a.test", "TXT", "+ignore", "+noedns"), " tc ")
    return bad + has(ask(s, s.keys["one"], "big.a.test", "TXT"), "ANSWER: 40", "(TCP)")


def wrong_keys(s):
    secret = s.keys["one"].split(":")[2]
    bad = []
    for key, why in ((f"hmac-sha256:one.a.test:{OTHER}", "BADSIG"),
                     (f"hmac-sha256:three.a.test:{secret}", "BADKEY"),
                     (f"hmac-sha512:one.a.test:{secret}", "BADKEY"),
                     (f"hmac-md5:one.a.test:{secret}", "BADKEY")):
        bad += has(ask(s, key, "ns1.a.test", "A"), "status: NOTAUTH", why, "ANSWER: 0", lacks=())
    # Shorter signatures than the key's are not taken.
    bad += has(ask(s, f"hmac-sha256-128:one.a.test:{secret}", "ns1.a.test", "A", tool="dig"),
               "status: NOTAUTH", "BADTRUNC", lacks=())
    log = s.log("dnsd")
    return bad + [f"no {why} in the log" for why in
                  ("no such key", "wrong signature", "signature too short")
                  if f'key=one.a.test why="{why}"' not in log]


def clocks_differ(s):
    bad = []
    for ahead, word in ((290, None), (-290, None), (400, "BADTIME"), (-400, "BADTIME")):
        s.clock.write_bytes(struct.pack("<q", ahead * 1000))
        got = ask(s, s.keys["one"], "ns1.a.test", "A")
        bad += has(got, "status: NOTAUTH", word, lacks=()) if word else \
            has(got, "status: NOERROR", "192.0.2.1", lacks=())
    s.clock.write_bytes(struct.pack("<q", 0))
    return bad


def files(s):
    bad = [] if s.check().startswith("0") else [s.check()]
    secret = s.keys["one"].split(":")[2]
    for line, mode, why in ((s.keys["one"], 0o644, "chmod 640"),
                            (s.keys["two"], 0o600, "another name"),
                            (f"one.a.test:{secret[:-3]}", 0o600, "base64")):
        s.key_file("one", line, mode)
        said = s.check()
        if why not in said or said.startswith("0") or secret[:6] in said:
            bad.append(said)
    s.key_file("one", s.keys["one"])
    got = subprocess.run([BUILD / "dnsd", "-nn", "-f", s.dir / "dnsd.conf"], text=True,
                         capture_output=True, timeout=30, check=False).stdout
    logs = "".join(p.read_text(errors="replace") for p in s.dir.glob("*.log"))
    return bad + [f"a secret in {where}" for where, text in (("-nn", got), ("a log", logs))
                  for key in s.keys.values() if key.split(":")[2] in text]


def new_keys(_):
    bad = []
    for words, why in ((["a..b"], "is not a name"), (["a", "--algorithm", "hmac-sha1"], "new keys"),
                       (["a", "--algorithm", "hmac-md5"], "new keys"), (["a", "b"], "zone key")):
        got = subprocess.run([BUILD / "hamletctl", "zone", "key", *words], text=True,
                             capture_output=True, timeout=30, check=False)
        if got.returncode == 0 or got.stdout or why not in got.stderr:
            bad.append(f"{words}: {got}")
    return bad


def main():
    tap = Tap()
    s = Dns()
    try:
        for name, test in (
                ("dig and kdig with keys of three algorithms", good_keys),
                ("answers that are truncated, and by TCP", long_answers),
                ("keys, algorithms and signatures that are wrong", wrong_keys),
                ("clocks that differ", clocks_differ),
                ("files of keys", files),
                ("hamletctl zone key", new_keys)):
            tap.test(name, test, s)
    finally:
        tap.ends(s)
    tap.done()


main()
