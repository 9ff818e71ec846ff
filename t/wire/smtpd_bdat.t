#!/usr/bin/env t/tool/dialogue
# CHUNKING and BINARYMIME (RFC 3030), and their misuse.
daemon smtpd
conf max-size 64K
account bob@a.test secret-bob

test a message in chunks
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 7\r\nabc\r\n.\r
< 250 2.0.0 7 octets {.*}
>- BDAT 6 LAST\r\n\n.\r\nx\n
< 550 5.6.0 bare LF {.*}
> RSET
< 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 7\r\nabc\r\n.\r
< 250 {.*}
>- BDAT 6 LAST\r\n\n.\r\nxy
< 250 2.0.0 OK: accepted as {.*}
logs smtpd {accepted .*size=13}

test all at once, with an empty last chunk
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nQUIT\r\n
<? 250 2.0.0 3 octets so far
< 250 2.0.0 OK: accepted as {.*}
< 221 {.*}
<close

test any octets with BODY=BINARYMIME
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<> BODY=BINARYMIME
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 10 LAST\r\n\r\n.\r\n\0\n\r\xfe\xff
< 250 2.0.0 OK{.*}

test BODY=BINARYMIME needs BDAT
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<> BODY=BINARYMIME
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 503 5.5.1 {.*}

test a NUL without BODY=BINARYMIME
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 4 LAST\r\n\0a\r\n
< 550 5.6.0 NUL {.*}

test DATA and recipients after BDAT come too late
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 3\r\na\r\n
< 250 {.*}
> DATA
< 503 5.5.1 {.*}
> RCPT TO:<bob@a.test>
< 503 5.5.1 {.*}
> MAIL FROM:<>
< 503 5.5.1 {.*}
> BDAT 0 LAST
< 250 2.0.0 OK{.*}

test a chunk without a transaction is read and refused
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
>- BDAT 6\r\nQUIT\r\nNOOP\r\n
< 503 5.5.1 {.*}
< 250 2.0.0 OK

test after a refused chunk only RSET helps
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
>- BDAT 2\r\na\n
< 550 5.6.0 {.*}
>- BDAT 3\r\na\r\n
< 503 5.5.1 {.*}
>- BDAT 3 LAST\r\na\r\n
< 503 5.5.1 {.*}
> RSET
< 250 {.*}

test chunks over the largest size
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> BDAT 65540
>* 6554 12345678\r\n
< 552 5.3.4 {.*}

test a chunk size that is none ends the connection
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> BDAT x
< 501 5.5.4 {.*}
<close

test neither is one with something behind it
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> BDAT 10 FIRST
< 501 5.5.4 {.*}
<close

test nor a negative or an endless one
connect smtp
<? 220 {.*}
> BDAT 99999999999999999999999
< 501 5.5.4 {.*}
<close
