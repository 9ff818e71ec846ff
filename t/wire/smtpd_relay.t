#!/usr/bin/env t/tool/dialogue
# Never an open relay.
daemon smtpd
account alice@a.test secret-alice
account bob@a.test secret-bob
let GOOD base64 \0alice@a.test\0secret-alice

test strangers do not relay, in any spelling
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<x@else.test>
< 550 5.7.1 {.*}
> RCPT TO:<x%else.test@a.test>
< 550 {.*}
> RCPT TO:<"x@else.test"@a.test>
< 550 {.*}
> RCPT TO:<@a.test:x@else.test>
< 550 5.7.1 {.*}
> RCPT TO:<else.test!x@a.test>
< 550 {.*}
> RCPT TO:<x@[127.0.0.1]>
< 550 5.7.1 {.*}
> RCPT TO:<x@sub.a.test>
< 550 5.7.1 {.*}
> DATA
< 554 5.5.1 {.*}
logs smtpd {refused .*what=rcpt .*to=x@else.test .*code=550}

test users do
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<x@else.test>
< 250 2.1.5 {.*}
> RCPT TO:<bob@a.test>
< 250 2.1.5 {.*}
> DATA
< 354 {.*}
> From: alice@a.test
>
> hello
> .
< 250 2.0.0 {.*}
