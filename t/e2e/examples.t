#!/bin/sh
# make install puts a working suite into its folders: every example configuration passes -n, the
# scripts are sound, an existing configuration is not touched.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${HAMLET_BUILD:-build}
dest=$(mktemp -d) || exit 1
trap 'rm -rf "$dest"' EXIT
n=0
ok() { # WHAT COMMAND ...
	n=$((n + 1))
	what=$1
	shift
	if "$@" >"$dest/output" 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' "$dest/output"
	fi
}
no_placeholder() { ! grep -rI '@[A-Z]*@' "$dest/usr" "$dest/etc"; }

ok "installs" etc/install "$build" "$dest" /usr /etc
for daemon in "$dest"/usr/libexec/hamlet/*; do
	[ -x "$daemon" ] || continue
	name=$(basename "$daemon")
	ok "$name.conf" "$daemon" -n -f "$dest/etc/hamlet/$name.conf"
	ok "init script of $name" sh -n "$dest/etc/init.d/hamlet-$name"
done
ok "init script of all" sh -n "$dest/etc/init.d/hamlet"
ok "all places are filled in" no_placeholder
for page in "$dest"/usr/share/man/man*/*; do
	ok "$(basename "$page")" mandoc -Tlint -Wwarning "$page"
done
echo "# mine" >"$dest/etc/hamlet/smtpd.conf"
ok "installs again" etc/install "$build" "$dest" /usr /etc
ok "keeps what is configured" grep -q mine "$dest/etc/hamlet/smtpd.conf"
echo "1..$n"
