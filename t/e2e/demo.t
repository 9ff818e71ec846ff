#!/bin/sh
# make demo as it is, in a folder and on ports of its own: as the user who runs the tests and,
# when that is root, as a plain user as well. Each step of the journey is one test.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(cd "${HAMLET_BUILD:-build}" && pwd)
for p in hamletd hamletctl keyd stored smtpd pop3d; do
	[ -x "$build/$p" ] || { echo "1..0 # SKIP $p is not built"; exit 0; }
done
dir=$(mktemp -d /tmp/hamlet.XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0

journey() { # WHO PORT-OFFSET COMMAND ...
	who=$1 offset=$2
	shift 2
	HAMLET_BUILD=$build HAMLET_RUN=$dir/$who HAMLET_PORT_OFFSET=$offset \
		"$@" etc/run/demo >"$dir/out" 2>&1
	status=$?
	while IFS= read -r line; do
		case $line in
		"  ok "* | "  FAILED "*)
			n=$((n + 1))
			case $line in "  ok "*) r=ok ;; *) r="not ok" ;; esac
			echo "$r $n - $who: $(echo "$line" | sed 's/^  [a-zA-Z]* *//')"
			;;
		*) echo "# $line" ;;
		esac
	done <"$dir/out"
	n=$((n + 1))
	if [ $status -eq 0 ]; then
		echo "ok $n - $who: the whole journey"
	else
		echo "not ok $n - $who: the whole journey ended with $status"
		tail -n 30 "$dir/$who/hamlet.log" | sed 's/^/# /'
	fi
}

offset=$((10000 + $$ % 14000))
journey tester $offset env
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$dir/plain"
	chmod 755 "$dir"
	chown nobody:nogroup "$dir/plain"
	journey plain $((offset + 1)) setpriv --reuid nobody --regid nogroup --clear-groups \
		env HOME="$dir/plain" USER=nobody
fi
echo "1..$n"
