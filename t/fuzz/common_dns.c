/* A DNS packet from anybody: the iterator stays inside, what can be read can be written and is
 * then the same, and text is a name's faithful image. */
#include <stdlib.h>
#include "libcommon/dns/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void name(struct dns_out *o, const uint8_t *pkt, size_t len, size_t at)
{
	uint8_t wire[DNS_NAME_MAX], again[DNS_NAME_MAX];
	char text[DNS_NAME_TEXT];
	size_t end = at, skipped = at;
	size_t n = dns_name_read(pkt, len, &end, wire);
	if (!n)
		return;
	check(end <= len && dns_name_skip(pkt, len, &skipped) && skipped == end);
	check(n == dns_name_len(wire) && n == dns_name_check(wire, sizeof(wire)));
	check(dns_name_at_is(pkt, len, at, wire));
	size_t t = dns_name_text(text, wire);
	check(t < sizeof(text) && t == strlen(text));
	check(dns_name_from_text((struct slice){text, t}, again) == n && !memcmp(wire, again, n));
	dns_name_lower(again);
	check(dns_name_eq(wire, again) && dns_name_under(wire, again));
	size_t here = o->len;
	dns_out_name(o, wire, true);
	check(o->full || dns_name_at_is(o->p, o->len, here, wire));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t copy[DNS_MSG_MAX];
	struct dns_iter it;
	struct dns_header h;
	struct dns_question q;
	struct dns_rr rr;
	struct dns_edns e;
	struct dns_out o;
	uint8_t wire[DNS_NAME_MAX];
	dns_out_init(&o, copy, sizeof(copy), 0, 0);
	size_t n = dns_name_from_text((struct slice){(const char *)data, len}, wire);
	check(n == 0 || n == dns_name_check(wire, sizeof(wire)));
	if (!dns_iter_init(&it, data, len, &h))
		return 0;
	while (dns_iter_question(&it, &q))
		name(&o, data, len, q.name);
	while (dns_iter_rr(&it, &rr)) {
		check(rr.rdata + rr.rdlen <= len && it.at <= len);
		name(&o, data, len, rr.owner);
		name(&o, data, rr.rdata + rr.rdlen, rr.rdata);
		if (dns_edns_read(data, &rr, &e))
			check(e.size >= 512 && e.options.len == rr.rdlen);
	}
	return 0;
}
