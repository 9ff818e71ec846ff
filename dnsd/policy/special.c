/* Names that the world has nothing of, or nothing that would be of use (RFC 6303, 6761, 7686,
 * 7793): the root's servers need not be asked. Not where somebody else is asked for them (forward,
 * stub), or they are ours. */
#include "dnsd/policy/policy_int.h"
#include "dnsd/upstream/forward.h"
#include "libcommon/base/buf.h"

static const char *const zones[] = {
    "invalid",
    "onion",
    "home.arpa",
    "0.in-addr.arpa",
    "10.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "168.192.in-addr.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"};

static void zone(struct local *l, const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	if (dns_name_from_text(slice_of(text), name))
		local_zone(l, name);
}

static bool add(void *arg, const struct zone_rr *rr)
{
	const char *why;
	local_add(arg, rr, &why);
	return true;
}

static void ignore(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

void special_fill(struct local *l)
{
	static const char text[] = "localhost A 127.0.0.1\n"
				   "localhost AAAA ::1\n"
				   "*.localhost A 127.0.0.1\n"
				   "*.localhost AAAA ::1\n";
	static const uint8_t root[] = "";
	const struct zonetext z = {
	    .origin = root, .ttl = 3600, .on_rr = add, .on_error = ignore, .arg = l};
	char name[64];
	zonetext_memory(&z, "localhost", SLICE(text));
	zone(l, "localhost");
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		zone(l, zones[i]);
	for (int i = 16; i < 32; i++) {
		str_fmt(name, sizeof(name), "%d.172.in-addr.arpa", i);
		zone(l, name);
	}
	for (int i = 64; i < 128; i++) {
		str_fmt(name, sizeof(name), "%d.100.in-addr.arpa", i);
		zone(l, name);
	}
	local_finish(l, true);
}
