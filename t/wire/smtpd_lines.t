#!/usr/bin/env t/tool/dialogue
# Line ends are CRLF, and lines have limits: in commands, in messages, and where SMTP smuggling
# would begin.
daemon smtpd
account bob@a.test secret-bob

test a bare LF in a command ends the connection
connect smtp
<? 220 {.*}
>- NOOP\nNOOP\r\n
< 500 5.5.2 bare LF {.*}
<close
logs smtpd {bad-line .*bare LF}

test a bare CR in a command
connect smtp
<? 220 {.*}
>- NOOP\rNOOP\r\n
< 500 5.5.2 bare CR {.*}
<close

test a NUL in a command
connect smtp
<? 220 {.*}
>- NO\0OP\r\n
< 500 5.5.2 NUL {.*}
<close

test an over-long command is refused and the session goes on
connect smtp
<? 220 {.*}
>* 5000 x
>
< 500 5.5.2 line too long
> NOOP
< 250 {.*}

test a line without end costs no memory and is refused when it ends
connect smtp
<? 220 {.*}
>* 2000000 x
>
< 500 5.5.2 line too long
> NOOP
< 250 {.*}

test a bare LF in a message
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>- a\nb\r\n.\r\n
< 550 5.6.0 bare LF {.*}
> NOOP
< 250 {.*}

test a bare CR in a message
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>- a\rb\r\n.\r\n
< 550 5.6.0 bare CR {.*}

test a NUL in a message
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>- a\0b\r\n.\r\n
< 550 5.6.0 NUL {.*}

test a line of a message over the limit
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>* 70000 x
> 
> .
< 550 5.6.0 a line {.*}

test smuggling: LF . LF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\n.\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: LF . CRLF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CRLF . LF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r\n.\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CRLF . CR is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r\n.\rMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CR . CR is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r.\rMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CR . CRLF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CR . LF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r.\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: LF . CR is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\n.\rMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: CR CRLF . CR CRLF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\r\r\n.\r\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: . LF at once is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- .\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test smuggling: NUL and LF . LF is no end of data, and nothing behind it is obeyed
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- a\0b\n.\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\n
< 521 5.5.2 bad end of data{.*}
<close

test a terminal's controls are escaped in the log, those of UTF-8 too
connect smtp
<? 220 {.*}
> EHLO a\xc2\x9bb
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<nobody@nowhere.test>
< 550 {.*}
logs smtpd {refused .*helo="a\\xc2\\x9bb"}
