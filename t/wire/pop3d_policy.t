#!t/tool/dialogue
# How often a client may come, and what happens to fetched mail: the administrator's choice.
daemon pop3d smtpd
account alice@a.test s3cret
account bob@a.test s3cret
account carol@a.test s3cret
let ALICE base64 \0alice@a.test\0s3cret
let BOB base64 \0bob@a.test\0s3cret
let CAROL base64 \0carol@a.test\0s3cret
ctl domain set a.test login-delay=1m expire-retrieved=14d
ctl account set bob@a.test login-delay=0 expire-retrieved=at-once
ctl account set carol@a.test login-delay=0 expire-retrieved=never

test mail comes in
connect smtp
<? 220 {.*}
> EHLO client
<? 250 {.*}
> MAIL FROM:<x@b.test>
< 250 {.*}
> RCPT TO:<alice@a.test>
< 250 {.*}
> RCPT TO:<bob@a.test>
< 250 {.*}
> RCPT TO:<carol@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> Subject: one\r\n\r\nx\r\n.
< 250 {.*}

test too early a poll is [LOGIN-DELAY], no wrong password
connect pop3
< +OK {.*}
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> CAPA
<? LOGIN-DELAY 60
< EXPIRE 14
<? .
> QUIT
< +OK {.*}
connect pop3
< +OK {.*}
> CAPA
<? LOGIN-DELAY 60 USER
< EXPIRE 14 USER
<? .
> AUTH PLAIN $ALICE
< -ERR [LOGIN-DELAY] {.*}
clock 61s
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> RETR 1
<? .
> QUIT
< +OK {.*}

test fetched mail is kept for its days
clock 13d
connect pop3
< +OK {.*}
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}

test what is fetched is deleted at once where that is wanted
connect pop3
< +OK {.*}
> AUTH PLAIN $BOB
< +OK 1 messages ({[0-9]+} octets)
> CAPA
<? LOGIN-DELAY 0
< EXPIRE 0
<? .
> RETR 1
<? .
> QUIT
< +OK {.*}
connect pop3
< +OK {.*}
> AUTH PLAIN $BOB
< +OK 0 messages (0 octets)
> QUIT
< +OK {.*}

test at once means at the QUIT: a session that breaks off has fetched nothing
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@a.test>\r\nDATA\r\n
<? 354 {.*}
> Subject: two\r\n\r\ny\r\n.
< 250 {.*}
connect pop3
< +OK {.*}
> AUTH PLAIN $BOB
< +OK 1 messages ({[0-9]+} octets)
> RETR 1
<? .
close
sleep 0.2
connect pop3
< +OK {.*}
> AUTH PLAIN $BOB
< +OK 1 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}

test what was deleted at once can be restored
run mailbox restore bob@a.test 1
connect pop3
< +OK {.*}
> AUTH PLAIN $BOB
< +OK 2 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}

test never: fetched mail stays
connect pop3
< +OK {.*}
> AUTH PLAIN $CAROL
< +OK 1 messages ({[0-9]+} octets)
> CAPA
<? LOGIN-DELAY 0
< EXPIRE NEVER
<? .
> RETR 1
<? .
> QUIT
< +OK {.*}

test two clients on one mailbox: one at a time, and each is held to the delay of both
connect pop3 as phone
< +OK {.*}
connect pop3 as desk
< +OK {.*}
clock 61s
use phone
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
clock 2m
use desk
> AUTH PLAIN $ALICE
< -ERR [IN-USE] another session has this mailbox open
use phone
> RETR 1
<? Subject: one
<? .
> QUIT
< +OK {.*}
use desk
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> RETR 1
<? Subject: one
<? .
> QUIT
< +OK {.*}
connect pop3 as phone again
< +OK {.*}
> AUTH PLAIN $ALICE
< -ERR [LOGIN-DELAY] {.*}
clock 61s
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}

test after its days fetched mail is deleted, for every client; what was not fetched stays
connect smtp
<? 220 {.*}
>- EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@a.test>\r\nDATA\r\n
<? 354 {.*}
> Subject: new\r\n\r\nz\r\n.
< 250 {.*}
clock 2d
sleep 3
connect pop3
< +OK {.*}
> AUTH PLAIN $ALICE
< +OK 1 messages ({[0-9]+} octets)
> TOP 1 0
<? Subject: new
<? .
> QUIT
< +OK {.*}

test expired mail can be restored, and never was never
run mailbox restore alice@a.test 1
clock 61s
connect pop3
< +OK {.*}
> AUTH PLAIN $ALICE
< +OK 2 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}
connect pop3
< +OK {.*}
> AUTH PLAIN $CAROL
< +OK 1 messages ({[0-9]+} octets)
> QUIT
< +OK {.*}
