"""Other mail servers as the neighbours of a company (company.py): Postfix, Exim and Postfix's
smtp-sink, unpacked and run on hosts of their own. Postfix and Exim need root.

Each is the server of one domain, with the user bob, and takes mail for elsewhere from
the host's own address.
"""
import os
import pathlib
import shutil
import subprocess

import peers

LIBRARIES = ("libdb5.3", "libnsl2", "libtirpc3", "libicu72")
EXIM_UID = 64190


def unpack():
    """To be called while there is a network. RuntimeError: they cannot be had."""
    for name, package in (("smtp-sink", "postfix"), ("exim4", "exim4-daemon-light")):
        peers.program(name, package, *LIBRARIES)


def certificate(folder, name):
    """Self-signed; what it says is nobody's concern."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)


def resolver(folder, address):
    """The text of resolv.conf."""
    path = folder / "resolv.conf"
    path.write_text(f"nameserver {address}\n")
    return path


class Maildir:
    """What was delivered to bob, with CRLF as it came."""

    def mails(self):
        return [p.read_bytes().replace(b"\n", b"\r\n") for p in sorted(self.new.glob("*"))]


class Postfix(peers.Postfix, Maildir):
    by_tls = rb"using TLSv1"  # in its Received field

    def __init__(self, host, address, domain, dns):
        tls = peers.Peer()  # a folder that is there before the server's
        self.tls = tls
        certificate(tls.dir, f"mail.{domain}")
        # The one name server that it shall ask, for all that this process starts.
        subprocess.run(["mount", "--bind", resolver(tls.dir, dns), "/etc/resolv.conf"], check=True)
        with host:
            super().__init__(address, 25, f"""
myhostname = mail.{domain}
inet_interfaces = {address}
mynetworks = {address}
local_header_rewrite_clients =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ bob@{domain}=bob/ }}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {tls.dir}/cert.pem
smtpd_tls_key_file = {tls.dir}/key.pem
smtpd_tls_received_header = yes
smtp_tls_security_level = may
""", ["smtp unix - - n - - smtp", "tlsmgr unix - - n 1000? 1 tlsmgr"])
        self.new = self.mail / "bob" / "new"

    def close(self):
        super().close()
        subprocess.run(["umount", "/etc/resolv.conf"], check=False)
        self.tls.close()


class Exim(peers.Peer, Maildir):
    by_tls = rb"with esmtps"

    def __init__(self, host, address, domain, dns):
        super().__init__()
        self.version = peers.unpack("exim4-daemon-light")
        self.new = self.dir / "mail" / "new"
        etc = self.dir / "etc"
        (etc / "exim4").mkdir(parents=True)
        resolver(etc, dns)
        certificate(self.dir, f"mail.{domain}")
        # The user that it was built for, which this machine need not have.
        for name, row in (("passwd", f"Debian-exim:x:{EXIM_UID}:{EXIM_UID}::/:/bin/false\n"),
                          ("group", f"Debian-exim:x:{EXIM_UID}:\n")):
            text = pathlib.Path("/etc", name).read_text()
            (etc / name).write_text("".join(r for r in text.splitlines(True)
                                            if not r.startswith("Debian-exim")) + row)
        (etc / "exim4" / "exim4.conf").write_text(f"""
primary_hostname = mail.{domain}
local_interfaces = {address}
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/%slog
pid_file_path = {self.dir}/pid
deliver_drop_privilege
smtp_accept_queue_per_connection = 0
never_users =
keep_environment =
acl_smtp_rcpt = rcpt
tls_advertise_hosts = *
tls_certificate = {self.dir}/cert.pem
tls_privatekey = {self.dir}/key.pem
begin acl
rcpt:
  accept hosts = {address}
  accept domains = {domain}
         local_parts = bob
  deny message = no such user
begin routers
here:
  driver = accept
  domains = {domain}
  transport = maildir
there:
  driver = dnslookup
  transport = smtp
begin transports
maildir:
  driver = appendfile
  directory = {self.dir}/mail
  maildir_format
  envelope_to_add = false
smtp:
  driver = smtp
begin retry
* * F,1h,1s
""")
        for path in (self.dir, *self.dir.iterdir()):
            if path != etc:
                shutil.chown(path, EXIM_UID, EXIM_UID)
        root = peers.PEERS / "root"
        show = (f"mount -t overlay -o lowerdir={root}/usr:/usr overlay /usr && "
                f"mount -t overlay -o lowerdir={etc}:/etc overlay /etc")
        with host, open(self.dir / "out", "wb") as out:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", f"{show} && exec /usr/sbin/exim4 -bdf -q1m"],
                env=peers.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            try:
                peers.wait_port(25, address=address)
            except RuntimeError as e:
                why = (self.dir / "out").read_text()
                self.close()
                raise RuntimeError(f"{e}: {why}") from None


class Sink(peers.Peer):
    """smtp-sink: takes everything, a file a message; words: how it is to misbehave."""

    def __init__(self, host, address, *words):
        super().__init__()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        if user:
            shutil.chown(self.dir, "nobody")
        with host:
            self.process = subprocess.Popen(
                [peers.PEERS / "root/usr/sbin/smtp-sink", *user, *words, "-d",
                 f"{self.dir}/mail.", f"{address}:25", "1000"],
                env=peers.environment(), stdin=subprocess.DEVNULL)
            try:
                peers.wait_port(25, address=address)
            except RuntimeError:
                self.close()
                raise

    def mails(self):
        """Content with CRLF, behind fields of smtp-sink's own."""
        return [p.read_bytes().replace(b"\n", b"\r\n") for p in self.dir.glob("mail.*")]
