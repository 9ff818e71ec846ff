#!/usr/bin/env t/tool/dialogue
# AUTH (RFC 4954) and who may send from which address.
daemon smtpd
conf max-auth-failures 3
account alice@a.test secret-alice
account bob@a.test secret-bob
ctl alias add team@a.test alice@a.test bob@a.test
let GOOD base64 \0alice@a.test\0secret-alice
let BAD base64 \0alice@a.test\0wrong
let USER base64 alice@a.test
let PASS base64 secret-alice

test PLAIN with an initial response, over TLS
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 2.7.0 {.*}
> MAIL FROM:<alice@a.test>
< 250 2.1.0 {.*}
logs smtpd {login .*user=alice@a.test .*mech=PLAIN}

test PLAIN without one
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN
< 334 
> $GOOD
< 235 2.7.0 {.*}

test LOGIN
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH LOGIN
< 334 {.*}
> $USER
< 334 {.*}
> $PASS
< 235 2.7.0 {.*}

test a wrong password, and too many of them
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $BAD
< 535 5.7.8 {.*}
> MAIL FROM:<alice@a.test>
< 530 5.7.0 {.*}
> AUTH PLAIN $BAD
< 535 5.7.8 {.*}
> AUTH PLAIN $BAD
< 535 5.7.8 {.*}
< 421 4.7.0 {.*}
<close
logs smtpd {login-failed .*mech=PLAIN}

test a cancelled exchange
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN
< 334 
> *
< 501 5.7.0 {.*}
> NOOP
< 250 {.*}

test malformed exchanges
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH
< 501 5.5.4 {.*}
> AUTH FOO
< 504 5.5.4 {.*}
> AUTH PLAIN $GOOD again
< 501 5.5.4 {.*}
> AUTH PLAIN %%%
< 501 5.5.2 {.*}
> AUTH PLAIN
< 334 
> %%%
< 501 5.5.2 {.*}
> AUTH LOGIN
< 334 {.*}
>* 13000 A
>
< 500 5.5.2 {.*}
> NOOP
< 250 {.*}

test the order: EHLO first, once, and not inside a transaction
connect submissions tls
<? 220 {.*}
> AUTH PLAIN $GOOD
< 503 5.5.1 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> AUTH PLAIN $GOOD
< 503 5.5.1 {.*}

test submission needs AUTH
connect submission
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<alice@a.test>
< 530 5.7.0 {.*}

test port 25 tells where AUTH is
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 503 5.5.1 {.*port 465.*587.*}

test a user sends from own addresses only
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<bob@a.test>
< 550 5.7.1 {.*}
> MAIL FROM:<x@else.test>
< 550 5.7.1 {.*}
> MAIL FROM:<team@a.test>
< 250 {.*}
> RSET
< 250 {.*}
> MAIL FROM:<alice+tag@a.test>
< 250 {.*}
> RSET
< 250 {.*}
> MAIL FROM:<>
< 250 {.*}

test also in the From field
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> From: Bob <bob@a.test>
>
> .
< 550 5.7.1 {.*From.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> From: Alice <alice@a.test>
> Sender: bob@a.test
>
> .
< 550 5.7.1 {.*Sender.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> From: Alice <Alice@a.test>, Us <team@a.test>
>
> .
< 250 2.0.0 {.*}
logs smtpd {accepted .*auth=alice@a.test}

test a session ends with the password that it was opened with
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
run account disable alice@a.test
> MAIL FROM:<alice@a.test>
< 421 4.7.0 {.*}
<close
run account enable alice@a.test
