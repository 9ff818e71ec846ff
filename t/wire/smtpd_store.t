#!/usr/bin/env t/tool/dialogue
# The store is killed and started: no session is lost, and no message is taken twice.
daemon smtpd
account alice@a.test secret-alice
account bob@a.test secret-bob
let GOOD base64 \0alice@a.test\0secret-alice
let BAD base64 \0alice@a.test\0wrong
let FIRST base64 n,,n=alice@a.test,r=abcdefgh
let FINAL base64 c=biws,r=abcdefgh,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

test a login outlives the store
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
kill stored
> MAIL FROM:<alice@a.test>
< 250 2.1.0 {.*}
> RCPT TO:<bob@a.test>
< 250 2.1.5 {.*}
kill stored
> DATA
< 354 {.*}
> From: alice@a.test
>
> hello
kill stored
> .
< 250 2.0.0 {.*}

test a login that the store lost is asked for once more
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
freeze stored
> AUTH PLAIN $GOOD
<nothing 0.3
kill stored
< 235 2.7.0 {.*}
> MAIL FROM:<alice@a.test>
< 250 2.1.0 {.*}

test a wrong password stays one when the store is asked again
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
freeze stored
> AUTH PLAIN $BAD
<nothing 0.3
kill stored
< 535 5.7.8 {.*}
> AUTH PLAIN $GOOD
< 235 2.7.0 {.*}

test an exchange whose store is lost in the middle fails for now, and may be begun again
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH SCRAM-SHA-256 $FIRST
< 334 {.+}
kill stored
> $FINAL
< 454 4.7.0 {.*}
> AUTH PLAIN $GOOD
< 235 2.7.0 {.*}
