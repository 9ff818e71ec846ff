#!/usr/bin/env t/tool/dialogue
# Limits of a session, of an address, and of time.
daemon smtpd
conf max-recipients 100
conf max-messages 2
conf max-errors 5
conf max-idle-commands 10
conf connections-per-address 3
conf command-timeout 2s
conf data-timeout 2s
conf message-timeout 3s
conf early-talkers refuse
conf banner-delay 300ms
account bob@a.test secret-bob

test LIMITS (RFC 9422) says so
connect smtp
<? 220 {.*}
> EHLO c
<? 250-LIMITS MAILMAX=2 RCPTMAX=100
<? 250 {.*}

test too many recipients
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
>* 101 RCPT TO:<bob@a.test>\r\n
<? 452 4.5.3 {.*}
> DATA
< 354 {.*}
> .
< 250 {.*}
logs smtpd {accepted .*recipients=100}

test a flood of recipients
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
>* 210 RCPT TO:<bob@a.test>\r\n
<? 452 4.5.3 {.*}
<? 421 4.5.3 {.*}
<close

test too many messages
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nBDAT 0 LAST\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nBDAT 0 LAST\r\nMAIL FROM:<>\r\n
<? 250 2.0.0 OK: accepted as {.*}
<? 250 2.0.0 OK: accepted as {.*}
< 421 4.7.0 {.*}
<close

test too many mistakes
connect smtp
<? 220 {.*}
>* 7 FOO\r\n
<? 421 4.7.0 {.*}
<close
logs smtpd {too-many-errors}

test too many commands that lead nowhere
connect smtp
<? 220 {.*}
>* 20 NOOP\r\n
<? 421 4.7.0 {.*}
<close

test too many greetings
connect smtp
<? 220 {.*}
>* 20 EHLO c\r\n
<? 421 4.7.0 {.*}
<close

test too many connections of an address
connect smtp as A from 127.0.0.2
connect smtp as B from 127.0.0.2
connect smtp as C from 127.0.0.2
use C
<? 220 {.*}
connect smtp as D from 127.0.0.2
< 421 4.7.0 {.*}
<close
connect smtp as E from 127.0.0.3
< 220 {.*}

test silence between commands
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
< 421 4.4.2 {.*}
<close

test a command in drops
connect smtp
<? 220 {.*}
>- N
sleep 1
>- O
sleep 0.7
>- O
< 421 4.4.2 {.*}
<close

test silence inside a message
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- hel
< 421 4.4.2 {.*}
<close

test a message in drops
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- h
sleep 1
>- e
sleep 1
>- l
< 421 4.4.2 {.*}
<close

test an early talker
connect smtp
> EHLO c
< 554 5.5.1 {.*}
<close
logs smtpd {early-talker}

test nobody waits for a banner on the submission port
connect submission
> EHLO c
< 220 {.*}
<? 250 {.*}
