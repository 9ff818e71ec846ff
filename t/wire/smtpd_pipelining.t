#!/usr/bin/env t/tool/dialogue
# PIPELINING (RFC 2920): answers in the order of the commands, whatever the store answers first.
daemon smtpd
account bob@a.test secret-bob
let AUTH base64 \0bob@a.test\0secret-bob

test a whole transaction in one packet
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
>- MAIL FROM:<x@else.test>\r\nRCPT TO:<bob@a.test>\r\nRCPT TO:<nobody@a.test>\r\nRCPT TO:<\r\nRCPT TO:<x@else.test>\r\nRCPT TO:<bob+tag@a.test>\r\nDATA\r\n
< 250 2.1.0 {.*}
< 250 2.1.5 {.*}
< 550 5.1.1 {.*}
< 501 5.1.3 {.*}
< 550 5.7.1 {.*}
< 250 2.1.5 {.*}
< 354 {.*}
>- hello\r\n.\r\nQUIT\r\n
< 250 2.0.0 {.*}
< 221 {.*}
<close

test more than a hundred recipients
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
>* 150 RCPT TO:<bob@a.test>\r\n
>- NOOP\r\nDATA\r\n
<? 250 2.0.0 OK
< 354 {.*}
> .
< 250 2.0.0 {.*}
logs smtpd {accepted .*recipients=150}

test when MAIL is refused, so is what came with it
connect submissions tls
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $AUTH
< 235 {.*}
>- MAIL FROM:<eve@a.test>\r\nRCPT TO:<bob@a.test>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nNOOP\r\n
< 550 5.7.1 {.*}
< 503 5.5.1 {.*}
< 503 5.5.1 {.*}
< 503 5.5.1 {.*}
< 250 {.*}
> MAIL FROM:<bob@a.test>
< 250 2.1.0 {.*}

test a bad line behind recipients waits for their answers
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nNOOP\n
<? 250 2.1.5 {.*}
< 500 5.5.2 {.*}
<close

test two messages in one packet
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
>- MAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
< 250 2.0.0 {.*}
< 250 2.1.0 {.*}
< 250 2.1.5 {.*}
< 354 {.*}
>- two\r\n.\r\n
< 250 2.0.0 {.*}

test an over-long line behind recipients waits for their answers too
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nRCPT TO:<
>* 3000 x
>- \r\nNOOP\r\n
<? 250 2.1.5 {.*}
< 500 5.5.2 line too long
< 250 2.0.0 OK
