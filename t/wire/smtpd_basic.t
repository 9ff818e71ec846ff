#!/usr/bin/env t/tool/dialogue
# SMTP as RFC 5321 has it: greeting, commands, their order, a message.
daemon smtpd
account bob@a.test secret-bob

test greeting and EHLO
connect smtp
< 220 mail.a.test ESMTP {.*}
> EHLO client.test
< 250-mail.a.test
< 250-PIPELINING
< 250-SIZE {\d+}
< 250-8BITMIME
< 250-SMTPUTF8
< 250-DSN
< 250-CHUNKING
< 250-BINARYMIME
< 250-DELIVERBY
< 250-STARTTLS
< 250-LIMITS MAILMAX={\d+} RCPTMAX={\d+}
< 250-HELP
< 250 ENHANCEDSTATUSCODES
> QUIT
< 221 2.0.0 mail.a.test {.*}
<close

test a message is accepted under an id, which the log and the store know
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 2.1.0 {.*}
> RCPT TO:<bob@a.test>
< 250 2.1.5 {.*}
> DATA
< 354 {.*}
> Subject: hello
>
> hello
> .
< 250 2.0.0 {.* [0-9a-z]{{16}}}
logs smtpd {accepted id=[0-9a-z]{{16}} .*from=x@else.test to=bob@a.test .*size=25}
> QUIT
<? 221 {.*}

test HELO is enough, without parameters
connect smtp
<? 220 {.*}
> HELO client.test
< 250 mail.a.test
> MAIL FROM:<x@else.test> SIZE=10
< 555 5.5.4 {.*}
> MAIL FROM:<>
< 250 2.1.0 {.*}
> RCPT TO:<bob@a.test>
< 250 2.1.5 {.*}
> DATA
< 354 {.*}
> .
< 250 2.0.0 {.*}

test commands are in any case, blanks at the end and after the colon do no harm
connect smtp
<? 220 {.*}
> eHlO client.test 
<? 250 {.*}
> mail from: <x@else.test> body=8bitmime 
< 250 {.*}
> rcpt to:<BOB@A.test>
< 250 {.*}
> rset
< 250 {.*}

test a source route is dropped, a quoted local part is read
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<"x y"@else.test>
< 250 {.*}
> RCPT TO:<@a,@b.test:"bob"@a.test>
< 250 {.*}

test the order of commands
connect smtp
<? 220 {.*}
> MAIL FROM:<x@else.test>
< 503 5.5.1 {.*}
> EHLO client.test
<? 250 {.*}
> RCPT TO:<bob@a.test>
< 503 5.5.1 {.*}
> DATA
< 503 5.5.1 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> DATA
< 503 5.5.1 {.*}
> MAIL FROM:<x@else.test>
< 503 5.5.1 {.*}
> RCPT TO:<nobody@a.test>
< 550 5.1.1 {.*}
> DATA
< 554 5.5.1 {.*}

test RSET and EHLO end a transaction
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RSET
< 250 2.0.0 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> EHLO client.test
<? 250 {.*}
> RCPT TO:<bob@a.test>
< 503 5.5.1 {.*}

test malformed commands
connect smtp
<? 220 {.*}
> EHLO
< 501 5.5.4 {.*}
> EHLO a(b
< 501 5.5.4 {.*}
> EHLO client.test
<? 250 {.*}
> FOO
< 500 5.5.1 {.*}
>
< 500 5.5.1 {.*}
> LHLO client.test
< 500 5.5.1 {.*}
> MAIL x@else.test
< 501 5.5.4 {.*}
> MAIL FROM:x@else.test
< 501 5.1.7 {.*}
> MAIL FROM:<x@else.test
< 501 5.1.7 {.*}
> MAIL FROM:<x@else.test>SIZE=1
< 501 5.1.7 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<>
< 501 5.1.3 {.*}
> RCPT TO:<bob@@a.test>
< 501 5.1.3 {.*}
> RSET now
< 501 5.5.4 {.*}
> DATA now
< 501 5.5.4 {.*}
> QUIT now
< 501 5.5.4 {.*}

test NOOP, VRFY, EXPN, HELP
connect smtp
<? 220 {.*}
> NOOP whatever
< 250 2.0.0 {.*}
> VRFY bob
< 252 2.5.2 {.*}
> VRFY
< 501 5.5.4 {.*}
> EXPN list
< 502 5.7.2 {.*}
> HELP
< 214-2.0.0 EHLO domain
<? 214 2.0.0 {.*}
> HELP mail
< 214 2.0.0 MAIL FROM:{.*}
> HELP me
< 504 5.5.1 {.*}

test a browser is sent away
connect smtp
<? 220 {.*}
> GET / HTTP/1.1
< 421 4.7.0 {.*}
<close

test postmaster needs no domain
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<Postmaster>
< 250 2.1.5 {.*}

test dots are unstuffed, and the next command may follow at once
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>- ..one\r\n.\r\nNOOP\r\n
< 250 2.0.0 OK: accepted as {.*}
< 250 2.0.0 OK
logs smtpd {accepted .*size=6}

test a message in a loop is refused
connect smtp
<? 220 {.*}
> EHLO client.test
<? 250 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
>* 100 Received: from a by b\r\n
> 
> .
< 554 5.4.6 {.*}

test a client that closes its sending side gets its answers
connect smtp
<? 220 {.*}
>- EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
half-close
<? 354 {.*}
<close
