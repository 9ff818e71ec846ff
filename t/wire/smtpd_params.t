#!/usr/bin/env t/tool/dialogue
# SIZE, BODY, SMTPUTF8, DSN and AUTH= on MAIL and RCPT.
daemon smtpd
conf max-size 64K
account bob@a.test secret-bob

test SIZE over the limit is refused at MAIL
connect smtp
<? 220 {.*}
> EHLO c
<? 250-SIZE 65536
<? 250 {.*}
> MAIL FROM:<> SIZE=65537
< 552 5.3.4 {.*}
> MAIL FROM:<> SIZE=65536
< 250 {.*}

test a message over the limit is refused at its end
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
>* 7000 123456789\r\n
> .
< 552 5.3.4 {.*}
> NOOP
< 250 {.*}

test parameters that are none
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<> SIZE=x
< 501 5.5.4 {.*}
> MAIL FROM:<> SIZE
< 501 5.5.4 {.*}
> MAIL FROM:<> SIZE=1 SIZE=1
< 501 5.5.4 {.*}
> MAIL FROM:<> BODY=9BIT
< 501 5.5.4 {.*}
> MAIL FROM:<> FOO=1
< 555 5.5.4 {.*}
> MAIL FROM:<> NOTIFY=NEVER
< 555 5.5.4 {.*}
> MAIL FROM:<>
< 250 {.*}
> RCPT TO:<bob@a.test> NOTIFY=NEVER,DELAY
< 501 5.5.4 {.*}
> RCPT TO:<bob@a.test> ORCPT=foo
< 501 5.5.4 {.*}
> RCPT TO:<bob@a.test> SIZE=1
< 555 5.5.4 {.*}

test DSN
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test> RET=HDRS ENVID=QQ314159
< 250 {.*}
> RCPT TO:<bob@a.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+40a.test
< 250 {.*}
> DATA
< 354 {.*}
> .
< 250 {.*}

test 8BITMIME and AUTH=
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<x@else.test> BODY=8BITMIME AUTH=<>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> caf\xc3\xa9
> .
< 250 {.*}

test SMTPUTF8
connect smtp
<? 220 {.*}
> EHLO c
<? 250 {.*}
> MAIL FROM:<jos\xc3\xa9@else.test>
< 553 5.6.7 {.*}
> MAIL FROM:<x@else.test>
< 250 {.*}
> RCPT TO:<jos\xc3\xa9@a.test>
< 553 5.6.7 {.*}
> RSET
< 250 {.*}
> MAIL FROM:<jos\xc3\xa9@else.test> SMTPUTF8
< 250 {.*}
> RCPT TO:<jos\xc3\xa9@a.test>
< 550 5.1.1 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> RSET
< 250 {.*}
> MAIL FROM:<jos\xff@else.test> SMTPUTF8
< 501 5.1.7 {.*}
