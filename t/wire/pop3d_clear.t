#!t/tool/dialogue
# Passwords without encryption are taken from this machine only; others are told what to set.
daemon pop3d
conf proxy-from 127.0.0.1
account alice@a.test s3cret

test a client from elsewhere gets advice, not a password prompt
connect pop3
> PROXY TCP4 192.0.2.9 192.0.2.1 40000 110
< +OK {.*}
> CAPA
< +OK {.*}
< STLS
< TOP
<? .
> USER alice@a.test
< -ERR passwords are not taken without encryption: choose SSL/TLS and port {[0-9]+} in your mail program, or STARTTLS on this port
> AUTH PLAIN AGFsaWNlAHMzY3JldA==
< -ERR passwords are not taken without encryption: {.*}
> PASS s3cret
< -ERR passwords are not taken without encryption: {.*}
logs pop3d {login-in-the-clear .*peer=192.0.2.9}
> STLS
< +OK begin TLS
tls
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK 0 messages (0 octets)
> QUIT
< +OK {.*}
<close
close
logs pop3d {user=alice@a.test peer=192.0.2.9 .*tls=1}

test loopback behind the proxy is loopback
connect pop3
> PROXY TCP4 127.0.0.9 127.0.0.1 40000 110
< +OK {.*}
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK {.*}

test without the header nothing is said
connect pop3
> CAPA
<close
