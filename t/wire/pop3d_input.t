#!t/tool/dialogue
# Bad input: over-long lines, NUL, bare CR and LF, other protocols, too much before the login.
daemon pop3d
conf connections-per-address 20
conf login-timeout 2s

test bare line feeds are refused
connect pop3
< +OK {.*}
>- CAPA\nQUIT\r\n
< -ERR bare LF received: lines end in CRLF only
<close

test bare carriage returns are refused
connect pop3
< +OK {.*}
>- CAPA\rQUIT\r\n
< -ERR bare CR received: lines end in CRLF only
<close

test NUL is refused
connect pop3
< +OK {.*}
> NO\0OP
< -ERR NUL received: lines end in CRLF only
<close

test over-long lines are answered once
connect pop3
< +OK {.*}
>* 300 x
> 
< -ERR line too long
>* 15000 x
> 
< -ERR line too long
> QUIT
< +OK bye
<close

test a line that never ends
connect pop3
< +OK {.*}
>* 100000 x
< -ERR too much before the login
<close

test a browser is sent away
connect pop3
< +OK {.*}
> GET / HTTP/1.1
< -ERR this is a mail server
<close

test too many commands before the login
connect pop3
< +OK {.*}
>* 60 CAPA\r\n
<? -ERR too much before the login
<close

test too many wrong commands
connect pop3
< +OK {.*}
>* 30 FOO\r\n
< -ERR unknown command
<? -ERR too many errors
<close

test a client that only connects is sent home
connect pop3
< +OK {.*}
sleep 1
>- USE
<? -ERR you were silent for too long
<close

test a half-closed connection gets its answers
connect pop3
< +OK {.*}
>- CAPA\r\nLANG\r\n
half-close
< +OK capabilities follow
<? .
< +OK languages follow
< en English
< .
<close

test no command works before the login but its own
connect pop3
< +OK {.*}
> STAT
< -ERR log in first
> RETR 1
< -ERR log in first
> DELE
< -ERR log in first
> PASS x
< -ERR USER first
> STLS 1
< -ERR usage: STLS
