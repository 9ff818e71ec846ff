"""nsd and Knot DNS, unpacked from Debian's packages, as peers of dnsd in tests."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import peers  # noqa: E402
from port import free_port  # noqa: E402


class NameServer:
    """zones: {name: text, or a dict of `file` text and `more` lines of configuration}."""

    def __init__(self, zones, more="", addresses=("127.0.0.1",), port=None):
        self.binary, self.addresses = self.find(), addresses
        self.temporary = tempfile.TemporaryDirectory(prefix="hamlet-dns-")
        self.folder, self.port = pathlib.Path(self.temporary.name), port or free_port()
        self.process = None
        (self.folder / "conf").write_text(self.conf(zones, more))
        self.start()

    def write_zone(self, name, text):
        path = self.folder / f"{name.strip('.') or 'root'}.zone"
        path.write_text(text)
        return path

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), env=peers.environment(), stdout=log,
                                            stderr=log)
        peers.wait_port(self.port, address=self.addresses[0])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        self.process = None

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def close(self):
        self.stop()
        self.temporary.cleanup()


class Nsd(NameServer):
    name = "nsd"

    def find(self):
        return peers.nsd()

    def conf(self, zones, more):
        text = f"""
server:
{"".join(f"    ip-address: {a}@{self.port}" + chr(10) for a in self.addresses)}
    server-count: 1
    username: ""
    database: ""
    zonesdir: "{self.folder}"
    pidfile: "{self.folder}/pid"
    xfrdfile: "{self.folder}/xfrd"
    zonelistfile: "{self.folder}/zonelist"
    xfrd-reload-timeout: 0
    minimal-responses: yes
    rrl-ratelimit: 0
remote-control:
    control-enable: no
{more}
"""
        for name, zone in zones.items():
            zone = {"file": zone} if isinstance(zone, str) else zone
            path = self.write_zone(name, zone["file"]) if "file" in zone else f"{name}.zone"
            text += f"zone:\n    name: {name}\n    zonefile: {path}\n{zone.get('more', '')}\n"
        return text

    def command(self):
        return [self.binary, "-d", "-c", self.folder / "conf"]


class Knot(NameServer):
    """`{folder}` in `more` is its own. A template of a test has to name it as its storage: by
    default zones are kept in a folder of the machine, which tests would share."""
    name = "knot"

    def find(self):
        return peers.knot()

    def conf(self, zones, more):
        text = f"""
server:
    listen: [ {", ".join(f"{a}@{self.port}" for a in self.addresses)} ]
    rundir: "{self.folder}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{self.folder}"
template:
  - id: default
    storage: "{self.folder}"
{more.replace("{folder}", str(self.folder))}
zone:
"""
        for name, zone in zones.items():
            zone = {"file": zone} if isinstance(zone, str) else zone
            text += f"  - domain: {name}\n"
            if "file" in zone:
                text += f"    file: \"{self.write_zone(name, zone['file'])}\"\n"
            else:
                text += f"    file: \"{self.folder}/{name}.zone\"\n"
            text += zone.get("more", "") + "\n"
        return text

    def command(self):
        return [self.binary, "-c", self.folder / "conf"]
