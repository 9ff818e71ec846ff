#!/usr/bin/env t/tool/dialogue
# Line ends are CRLF, and lines have limits: in commands, in messages, and where SMTP smuggling
# would begin.
daemon smtpd pop3d
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

test smuggling in chunks: BDAT counts octets, and a bare LF is refused there too
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\n
<? 250 2.1.5 {.*}
>- BDAT 56 LAST\r\na\r\n.\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\nx\r\n.\r\nend
< 550 5.6.0 bare LF {.*}
> NOOP
< 250 2.0.0 {.*}

test smuggling in a command: a bare LF or CR in an address ends the connection
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<a@else.test>\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 500 5.5.2 bare LF {.*}
<close
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<a@else.test\rx>\r\n
<? 500 5.5.2 bare CR {.*}
<close

test the one end of data works when it comes in pieces, and what only looks like it is text
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
>- Subject: whole\r\n\r\n..\r\n. \r\n.x\r
sleep 0.1
>- \n.
sleep 0.1
>- \r
<nothing 0.2
>- \n
< 250 2.0.0 {.*}

test nothing of all that was smuggled arrived, only the whole message
connect pop3
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS secret-bob
< +OK 1 messages ({[0-9]+} octets)
> RETR 1
<? Subject: whole
< 
< ..
<  
< x
< .
> QUIT
< +OK {.*}

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
