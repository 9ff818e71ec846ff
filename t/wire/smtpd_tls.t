#!/usr/bin/env t/tool/dialogue
# STARTTLS (RFC 3207).
daemon smtpd
account bob@a.test secret-bob
let GOOD base64 \0bob@a.test\0secret-bob

test STARTTLS on port 25
connect smtp
<? 220 {.*}
> EHLO c
<? 250-STARTTLS
<? 250 {.*}
> STARTTLS
< 220 2.0.0 {.*}
tls
> MAIL FROM:<>
< 503 5.5.1 {.*}
> EHLO c
< 250-mail.a.test
< 250-PIPELINING
< 250-SIZE {.*}
< 250-8BITMIME
< 250-SMTPUTF8
< 250-DSN
< 250-CHUNKING
< 250-BINARYMIME
< 250-DELIVERBY
< 250-REQUIRETLS
< 250-LIMITS {.*}
< 250-HELP
< 250 ENHANCEDSTATUSCODES
> STARTTLS
< 503 5.5.1 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> .
< 250 {.*}
logs smtpd {accepted .*tls=1}

test STARTTLS on the submission port, then AUTH
connect submission
<? 220 {.*}
> EHLO c
<? 250 {.*}
> STARTTLS
< 220 2.0.0 {.*}
tls
> EHLO c
<? 250-AUTH SCRAM-SHA-256-PLUS {.*}
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}

test a login before STARTTLS is forgotten
connect submission
<? 220 {.*}
> EHLO c
<? 250 {.*}
> AUTH PLAIN $GOOD
< 235 {.*}
> STARTTLS
< 220 {.*}
tls
> EHLO c
<? 250 {.*}
> MAIL FROM:<bob@a.test>
< 530 5.7.0 {.*}

test STARTTLS takes no argument
connect smtp
<? 220 {.*}
> STARTTLS now
< 501 5.5.4 {.*}

test plaintext pipelined behind STARTTLS is thrown away
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
>- STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@else.test>\r\n
< 220 2.0.0 {.*}
tls
<nothing 0.5
> EHLO c
<? 250 {.*}
> RCPT TO:<bob@a.test>
< 503 5.5.1 {.*}

test a TLS port says nothing in the clear
connect submissions
<nothing 0.3
