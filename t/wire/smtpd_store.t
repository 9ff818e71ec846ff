#!/usr/bin/env t/tool/dialogue
# The store is killed and started: no session is lost, and no message is taken twice.
daemon smtpd
account alice@a.test secret-alice
account bob@a.test secret-bob
let GOOD base64 \0alice@a.test\0secret-alice

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
