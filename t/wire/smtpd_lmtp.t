#!/usr/bin/env t/tool/dialogue
# LMTP (RFC 2033): LHLO, and one reply for each recipient.
daemon smtpd
account alice@a.test secret-alice
account bob@a.test secret-bob

test LHLO only
connect lmtp
< 220 mail.a.test LMTP {.*}
> EHLO c
< 500 5.5.1 {.*}
> HELO c
< 500 5.5.1 {.*}
> AUTH PLAIN
< 500 5.5.1 {.*}
> MAIL FROM:<>
< 503 5.5.1 {.*}
> LHLO c
< 250-mail.a.test
< 250-PIPELINING
<? 250 ENHANCEDSTATUSCODES

test one reply for each recipient that was accepted
connect lmtp
<? 220 {.*}
> LHLO c
<? 250 {.*}
>- MAIL FROM:<x@else.test>\r\nRCPT TO:<alice@a.test>\r\nRCPT TO:<nobody@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
< 250 2.1.0 {.*}
< 250 2.1.5 {.*}
< 550 5.1.1 {.*}
< 250 2.1.5 {.*}
< 354 {.*}
>- hello\r\n.\r\nQUIT\r\n
< 250 2.0.0 <alice@a.test> {.*}
< 250 2.0.0 <bob@a.test> {.*}
< 221 {.*}

test with BDAT too
connect lmtp
<? 220 {.*}
> LHLO c
<? 250 {.*}
>- MAIL FROM:<x@else.test>\r\nRCPT TO:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nBDAT 3 LAST\r\na\r\n
<? 250 2.0.0 <alice@a.test> {.*}
< 250 2.0.0 <bob@a.test> {.*}

test a refused message is refused for each
connect lmtp
<? 220 {.*}
> LHLO c
<? 250 {.*}
>- MAIL FROM:<x@else.test>\r\nRCPT TO:<alice@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\nb\r\n.\r\n
< 550 5.6.0 {.*}
< 550 5.6.0 {.*}

test without a recipient there is nothing to send
connect lmtp
<? 220 {.*}
> LHLO c
<? 250 {.*}
>- MAIL FROM:<x@else.test>\r\nRCPT TO:<nobody@a.test>\r\nDATA\r\n
< 250 {.*}
< 550 5.1.1 {.*}
< 503 5.5.1 {.*}

test LMTP does not relay
connect lmtp
<? 220 {.*}
> LHLO c
<? 250 {.*}
> MAIL FROM:<alice@a.test>
< 250 {.*}
> RCPT TO:<x@else.test>
< 550 5.7.1 {.*}
