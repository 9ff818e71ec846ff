#!/usr/bin/env t/tool/dialogue
# When mail is delivered, and how well guarded: FUTURERELEASE (RFC 4865), DELIVERBY (RFC 2852),
# REQUIRETLS (RFC 8689).
daemon smtpd
conf max-hold 2d
conf min-deliver-by 1m
account alice@a.test secret-alice
account bob@a.test secret-bob
let GOOD base64 \0alice@a.test\0secret-alice

test users may have their mail held, and only they
connect smtp
<? 220 {.*}
> EHLO c
< 250-mail.a.test
< 250-PIPELINING
< 250-SIZE {.*}
< 250-8BITMIME
< 250-SMTPUTF8
< 250-DSN
< 250-CHUNKING
< 250-BINARYMIME
< 250-DELIVERBY 60
< 250-STARTTLS
<? 250 {.*}
> MAIL FROM:<x@else.test> HOLDFOR=60
< 555 5.5.4 {.*}
> MAIL FROM:<x@else.test> HOLDUNTIL=2030-01-01T00:00:00Z
< 555 5.5.4 {.*}
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250-FUTURERELEASE 172800 {\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ}
<? 250-DELIVERBY 60
<? 250-REQUIRETLS
<? 250 {.*}

test held mail waits in the queue
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=3600
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> From: alice@a.test
>
> .
< 250 2.0.0 {.*}
run queue list

test a time that has passed holds nothing
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test> HOLDUNTIL=2001-01-01T00:00:00Z
< 250 {.*}

test holding has its limits
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=172801
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> HOLDUNTIL=2999-01-01T00:00:00Z
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=60 HOLDUNTIL=2026-01-01T00:00:00Z
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=1h
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=172800
< 250 {.*}

test by when
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test> BY=59;R
< 555 5.5.4 {.*}
> MAIL FROM:<x@else.test> BY=0;R
< 501 5.5.4 {.*}
> MAIL FROM:<x@else.test> BY=60;Q
< 501 5.5.4 {.*}
> MAIL FROM:<x@else.test> BY=60;R
< 250 {.*}
> RSET
< 250 {.*}
> MAIL FROM:<x@else.test> BY=-10;NT
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> .
< 250 2.0.0 {.*}

test nobody can deliver what is still held
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test> HOLDFOR=600 BY=600;R
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> BY=-1;N HOLDFOR=600
< 501 5.5.4 {.*}
> MAIL FROM:<alice@a.test> BY=601;R HOLDFOR=600
< 250 {.*}

test REQUIRETLS is for those who use TLS
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test> REQUIRETLS
< 530 5.7.0 {.*}
> STARTTLS
< 220 {.*}
tls
> EHLO c
<? 250-REQUIRETLS
<? 250 {.*}
> MAIL FROM:<x@else.test> REQUIRETLS=yes
< 501 5.5.4 {.*}
> MAIL FROM:<x@else.test> REQUIRETLS
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> .
< 250 {.*}
