#!/usr/bin/env t/tool/dialogue
# A disabled account: its mail is refused for good (RFC 3463 X.2.1), and it cannot send.
daemon smtpd
account alice@a.test secret-alice
account bob@a.test secret-bob
ctl alias add both@a.test alice@a.test bob@a.test
ctl alias add bobby@a.test bob@a.test
let BOB base64 \0bob@a.test\0secret-bob

test its mail is refused
run account disable bob@a.test
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 550 5.2.1 {.*disabled.*}
> RCPT TO:<bobby@a.test>
< 550 5.2.1 {.*}
> RCPT TO:<alice@a.test>
< 250 {.*}
logs smtpd {refused .*what=rcpt .*to=bob@a.test .*code=550}

test a list reaches the others
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<both@a.test>
< 250 {.*}

test it does not log in
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $BOB
< 535 5.7.8 {.*}

test it works again when it is enabled
run account enable bob@a.test
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> RSET
< 250 {.*}
