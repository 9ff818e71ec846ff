#!t/tool/dialogue
# Logins: USER and PASS, SASL, TLS, and what is said when they fail.
daemon pop3d
account alice@a.test s3cret
let GOOD base64 \0alice@a.test\0s3cret
let BAD base64 \0alice@a.test\0wrong

test USER and PASS open the mailbox
connect pop3
< +OK mail.a.test hamlet POP3
> USER alice@a.test
< +OK now the password
> PASS s3cret
< +OK 0 messages (0 octets)
> STAT
< +OK 0 0
> LIST
< +OK 0 messages (0 octets)
< .
> UIDL
< +OK unique-ids follow
< .
> QUIT
< +OK 0 messages deleted, bye
<close
close
logs pop3d {session id=.* user=alice@a.test .*retrieved=0 deleted=0 .*end=quit}

test a wrong password is [AUTH], and the session goes on
connect pop3
<? +OK {.*}
> USER alice@a.test
< +OK {.*}
> PASS wrong
< -ERR [AUTH] wrong user or password
> USER nobody@a.test
< +OK {.*}
> PASS s3cret
< -ERR [AUTH] wrong user or password
> AUTH PLAIN $GOOD
< +OK 0 messages (0 octets)
> QUIT
< +OK {.*}
<close

test SASL with and without an initial response, and cancelled
connect pop3
<? +OK {.*}
> AUTH PLAIN
< + 
> *
< -ERR cancelled
> AUTH LOGIN
< + {.*}
> YWxpY2VAYS50ZXN0
< + {.*}
> czNjcmV0
< +OK 0 messages (0 octets)
> QUIT
<? +OK {.*}
<close
connect pop3
<? +OK {.*}
> AUTH PLAIN =
< -ERR [AUTH] wrong user or password
> AUTH CRAM-MD5
< -ERR unknown mechanism
> AUTH SCRAM-SHA-256 biwsbj14QGEudGVzdCxyPXg=
< + {.*}
> *
< -ERR cancelled

test pipelined commands are answered in order
connect pop3
> CAPA\r\nUSER alice@a.test\r\nPASS s3cret\r\nSTAT\r\nNOOP\r\nFOO\r\nQUIT
< +OK mail.a.test hamlet POP3
< +OK capabilities follow
<? .
< +OK now the password
< +OK 0 messages (0 octets)
< +OK 0 0
< +OK
< -ERR unknown command
< +OK 0 messages deleted, bye
<close

test TLS from the first byte
connect pop3s tls
< +OK mail.a.test hamlet POP3
> CAPA
< +OK capabilities follow
< USER
< SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN
< TOP
< UIDL
< RESP-CODES
< AUTH-RESP-CODE
< PIPELINING
< UTF8 USER
< LANG
< LOGIN-DELAY 0 USER
< EXPIRE NEVER USER
< IMPLEMENTATION hamlet-{.*}
< .
> AUTH PLAIN $GOOD
< +OK 0 messages (0 octets)
> QUIT
< +OK {.*}
<close

test STLS, and what was pipelined behind it is forgotten
connect pop3
< +OK {.*}
> CAPA
< +OK capabilities follow
< STLS
<? .
> STLS\r\nUSER alice@a.test\r\nPASS s3cret
< +OK begin TLS
tls
> STLS
< -ERR TLS is on already
> STAT
< -ERR log in first
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK 0 messages (0 octets)
> CAPA
< +OK capabilities follow
< TOP
<? LOGIN-DELAY 0
< EXPIRE NEVER
<? .

test too many wrong passwords end the session
connect pop3
< +OK {.*}
> AUTH PLAIN $BAD
< -ERR [AUTH] wrong user or password
> AUTH PLAIN $BAD
< -ERR [AUTH] wrong user or password
> AUTH PLAIN $BAD
< -ERR [AUTH] wrong user or password
<close
