#!t/tool/dialogue
# Fetching and deleting: what came in by SMTP goes out as it was.
daemon pop3d smtpd
account alice@a.test s3cret
account bob@a.test s3cret

test two messages come in
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
> Subject: one\r\n\r\n..dot\r\n...\r\nend\r\n.
< 250 {.*}
> MAIL FROM:<x@b.test>
< 250 {.*}
> RCPT TO:<alice@a.test>
< 250 {.*}
> DATA
< 354 {.*}
> Subject: two\r\n\r\n1\r\n2\r\n3\r\n.
< 250 {.*}
> QUIT
< 221 {.*}

test they are listed and fetched
connect pop3
< +OK {.*}
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK 2 messages ({[0-9]+} octets)
> LIST
< +OK 2 messages ({[0-9]+} octets)
< 1 {[0-9]+}
< 2 {[0-9]+}
< .
> UIDL
< +OK unique-ids follow
< 1 {[0-9a-f]{{16}}}
< 2 {[0-9a-f]{{16}}}
< .
> RETR 1
< +OK {[0-9]+} octets
<? Subject: one
< 
< ..dot
< ...
< end
< .
> TOP 2 2
< +OK the top follows
<? Subject: two
< 
< 1
< 2
< .
> TOP 2 0
< +OK the top follows
<? Subject: two
< 
< .
> TOP 2 100
<? 3
< .
> RETR 3
< -ERR no such message
> DELE 1
< +OK {.*}
> RETR 1
< -ERR message 1 is deleted
> STAT
< +OK 1 {[0-9]+}
close

test without QUIT nothing was deleted
connect pop3
< +OK {.*}
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK 2 messages ({[0-9]+} octets)
> DELE 1
< +OK {.*}
> DELE 2
< +OK {.*}
> RSET
< +OK {.*}
> DELE 2
< +OK {.*}
> QUIT
< +OK 1 messages deleted, bye
<close
close
logs pop3d {session id=.* user=alice@a.test .*deleted=1}

test with QUIT it was
connect pop3
< +OK {.*}
> USER alice@a.test
< +OK {.*}
> PASS s3cret
< +OK 1 messages ({[0-9]+} octets)
> RETR 1
<? Subject: one
<? .
> QUIT
< +OK {.*}
<close

test one session at a time
connect pop3 as A
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< +OK 1 messages ({[0-9]+} octets)
connect pop3 as B
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< -ERR [IN-USE] another session has this mailbox open
use A
> QUIT
< +OK {.*}
use B
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< +OK 1 messages ({[0-9]+} octets)

test a session that breaks off gives the mailbox back
connect pop3
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< +OK {.*}
close
sleep 0.2
connect pop3
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< +OK {.*}

test a restarted store breaks no session
connect pop3 as A
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< +OK 1 messages ({[0-9]+} octets)
> DELE 1
< +OK {.*}
kill stored
> RSET
< +OK {.*}
> RETR 1
< +OK {[0-9]+} octets
<? .
connect pop3 as B
< +OK {.*}
> USER bob@a.test
< +OK {.*}
> PASS s3cret
< -ERR [IN-USE] another session has this mailbox open
use A
> DELE 1
< +OK {.*}
kill stored
> QUIT
< +OK 1 messages deleted, bye
