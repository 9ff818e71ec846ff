#!/bin/sh
# The demo suite, for run, demo and tests: sourced. Everything lives below $run:
#   etc/ (configurations, readable and editable: written anew at each start)  state/  sockets/
#   hamlet.log  ca.pem
# Environment: HAMLET_RUN (folder, ./run), HAMLET_PORT_OFFSET (0), HAMLET_BUILD (./build).

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${HAMLET_BUILD:-$top/build}
case $build in /*) ;; *) build=$top/$build ;; esac
run=${HAMLET_RUN:-$top/run}
case $run in /*) ;; *) run=$PWD/$run ;; esac
offset=${HAMLET_PORT_OFFSET:-0}
etc=$run/etc sockets=$run/sockets log=$run/hamlet.log
password=hamlet-demo
hamletd_pid=

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
port() { echo $(($1 + offset)); }
ctl() { "$build/hamletctl" -c "$etc" -r "$sockets" "$@"; }
has() { [ -x "$build/$1" ]; }

# The programs of this version, in the order of starting.
suite_daemons() {
	for d in keyd stored smtpd pop3d dnsd; do
		if has $d; then echo $d; fi
	done
}

# Each daemon runs as a user of its own when we are root; numbers need no entry in passwd.
suite_user() {
	[ "$(id -u)" -eq 0 ] || return 0
	case $1 in
	keyd) say "	user 64501:64501" ;;
	stored) say "	user 64502:64502" ;;
	smtpd) say "	user 64503:64503" ;;
	pop3d) say "	user 64504:64504" ;;
	dnsd) say "	user 64505:64505" ;;
	esac
}

suite_write_hamlet() {
	say "version 1"
	say "run-dir \"$sockets\""
	say "log-file \"$log\""
	say "drain-timeout 1m"
	say "shutdown-timeout 10s"
	for d in $(suite_daemons); do
		say "daemon $d {"
		say "	config \"$etc/$d.conf\""
		suite_user "$d"
		say "}"
	done
}

suite_write_keyd() {
	say "version 1"
	say "state-dir \"$run/state/keyd\""
	say "certificate demo {"
	say "	names localhost 127.0.0.1 a.test *.a.test b.test *.b.test"
	say "}"
}

suite_write_stored() {
	say "version 1"
	say "state-dir \"$run/state/stored\""
}

suite_write_smtpd() {
	say "version 1"
	say "hostname mail.a.test"
	say "smtp 127.0.0.1:$(port 2525)"
	say "submission 127.0.0.1:$(port 2587)"
	say "submissions 127.0.0.1:$(port 2465)"
	say "local unix:$run/local/smtp.sock"
}

suite_write_pop3d() {
	say "version 1"
	say "hostname mail.a.test"
	say "pop3 127.0.0.1:$(port 2110)"
	say "pop3s 127.0.0.1:$(port 2995)"
}

# The zone of a demo domain: everything is on this host.
suite_zone() { # DOMAIN
	say "\$ORIGIN $1."
	say "\$TTL 5m"
	say "@ SOA ns hostmaster $(date +%s) 2h 1h 2w 5m"
	say "@ NS ns"
	say "@ MX 10 mail"
	say "@ TXT \"v=spf1 mx -all\""
	for host in @ ns mail www; do say "$host A 127.0.0.1"; done
}

suite_write_dnsd() {
	say "version 1"
	say "state-dir \"$run/state/dnsd\""
	say "content 127.0.0.1:$(port 5300)"
	say "nsid demo"
	mkdir -p "$etc/zones"
	for domain in a.test b.test; do suite_zone $domain >"$etc/zones/$domain"; done
	say "zone a.test file zones/a.test"
}

# What was started and is still there goes with us.
suite_stop() {
	[ -n "$hamletd_pid" ] || return 0
	kill -TERM "$hamletd_pid" 2>/dev/null || true
	while kill -0 "$hamletd_pid" 2>/dev/null; do sleep 0.1; done
	hamletd_pid=
}

suite_failed() {
	say "$1; the last lines of $log:" >&2
	tail -n 15 "$log" >&2 2>/dev/null || true
	exit 1
}

suite_ready() {
	want=$(suite_daemons | wc -l)
	is=$(ctl --json daemon status 2>/dev/null | grep -c '"state": *"ready"' || true)
	[ "$is" -ge "$want" ]
}

# Until hamletd ends.
suite_wait() {
	while kill -0 "$hamletd_pid" 2>/dev/null; do sleep 1; done
	hamletd_pid=
	suite_failed "hamletd ended"
}

# Writes the configurations, starts hamletd and waits until every daemon is ready.
suite_start() {
	for p in hamletd hamletctl keyd stored; do
		has $p || die "this version has no $p yet"
	done
	[ ${#sockets} -le 60 ] ||
		die "$run is too long a path for sockets: set HAMLET_RUN to a shorter one"
	umask 022
	mkdir -p "$etc" "$run/state"
	if ctl daemon status >/dev/null 2>&1; then
		die "a suite already runs out of $run (HAMLET_RUN chooses another folder)"
	fi
	for d in hamlet $(suite_daemons); do
		suite_write_"$d" >"$etc/$d.conf"
	done
	trap suite_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	# It goes into the background when all daemons are ready.
	status=0
	"$build/hamletd" -f "$etc/hamlet.conf" || status=$?
	hamletd_pid=$(cat "$sockets/hamletd.pid" 2>/dev/null || true)
	if [ $status -ne 0 ] || ! suite_ready; then suite_failed "not everything started"; fi
	ctl cert ca >"$run/ca.pem.new"
	mv "$run/ca.pem.new" "$run/ca.pem"
}

# The demo domains, accounts and the zone in the store, unless an earlier run made them.
suite_accounts() {
	for a in alice@a.test bob@b.test; do
		ctl domain show "${a#*@}" >/dev/null 2>&1 || ctl domain add "${a#*@}" >/dev/null
		ctl account show "$a" >/dev/null 2>&1 ||
			say "$password" | ctl --password-stdin account add "$a" >/dev/null
	done
	has dnsd || return 0
	ctl zone show b.test >/dev/null 2>&1 || ctl zone import b.test "$etc/zones/b.test" >/dev/null
}

row() { printf '  %-13s %-17s %s\n' "$@"; }

suite_table() {
	say
	say "hamlet $(cat "$top/VERSION") runs out of $run"
	say
	if has smtpd; then
		row smtp "127.0.0.1:$(port 2525)" "mail from other servers (STARTTLS)"
		row submission "127.0.0.1:$(port 2587)" "mail from users (STARTTLS, login)"
		row submissions "127.0.0.1:$(port 2465)" "mail from users (TLS, login)"
	fi
	if has pop3d; then
		row pop3 "127.0.0.1:$(port 2110)" "reading mail (STLS)"
		row pop3s "127.0.0.1:$(port 2995)" "reading mail (TLS)"
	fi
	if has dnsd; then
		row "dns content" "127.0.0.1:$(port 5300)" "zones a.test ($etc/zones) and b.test (hamletctl zone)"
	fi
	say
	row accounts alice@a.test "password $password"
	row "" bob@b.test "password $password"
	row "local CA" "$run/ca.pem" ""
	row log "$log" ""
	row administer "$build/hamletctl -r $sockets status" ""
	say
	if has smtpd && has pop3d; then
		say "  curl --cacert $run/ca.pem --ssl-reqd smtp://localhost:$(port 2587) -u alice@a.test:$password \\"
		say "    --mail-from alice@a.test --mail-rcpt bob@b.test -T MESSAGE.eml"
		say "  curl --cacert $run/ca.pem pop3s://localhost:$(port 2995)/ -u bob@b.test:$password"
		say
	fi
}
