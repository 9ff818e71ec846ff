#!t/tool/dialogue
# How often a client may come, and what happens to fetched mail: the administrator's choice.
daemon pop3d smtpd
account alice@a.test s3cret
account bob@a.test s3cret
let ALICE base64 \0alice@a.test\0s3cret
let BOB base64 \0bob@a.test\0s3cret
ctl domain set a.test login-delay=1m expire-retrieved=14d
ctl account set bob@a.test login-delay=0 expire-retrieved=at-once

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
