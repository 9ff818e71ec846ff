/* A DNS packet from anybody: the iterator stays inside, what can be read can be written and is
 * then the same, text is a name's faithful image, and the stub makes an answer of it or none. */
#include <stdlib.h>
#include "libcommon/dns/stub_int.h"

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

/* As if the packet's own question had been asked. */
static void answer(const uint8_t *data, size_t len, const struct dns_question *asked)
{
	static struct server server = {.trust_ad = true};
	struct question q = {.type = asked->type, .id = dns_u16(data), .server = &server};
	struct reply r;
	struct answer *a = NULL;
	size_t at = asked->name;
	q.at.ttl = UINT32_MAX;
	size_t n = dns_name_read(data, len, &at, q.at.name);
	if (!n || !stub_reply_is_for(&q, data, len) || !stub_reply_read(&r, data, len))
		return;
	q.key.len = 2 + n;
	memcpy(q.key.b + 2, q.at.name, n);
	enum verdict v = stub_reply_answer(&q, &r, &a);
	check((v == VERDICT_DONE) == (a != NULL));
	check(q.at.hops <= STUB_HOPS || v == VERDICT_LOOP);
	check(v != VERDICT_MORE || q.at.hops > 0);
	if (a)
		check(a->a.kind <= STUB_NXDOMAIN && (a->a.kind == STUB_OK) == (a->a.n > 0));
	stub_answer_unref(&a);
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
	struct stub_conf conf = {0};
	stub_resolv_conf(&conf, (struct slice){(const char *)data, len});
	stub_conf_range(&conf);
	check(conf.servers <= STUB_SERVERS && conf.timeout_ms >= 100 && conf.attempts >= 1);
	dns_out_init(&o, copy, sizeof(copy), 0, 0);
	size_t n = dns_name_from_text((struct slice){(const char *)data, len}, wire);
	check(n == 0 || n == dns_name_check(wire, sizeof(wire)));
	if (!dns_iter_init(&it, data, len, &h))
		return 0;
	while (dns_iter_question(&it, &q)) {
		name(&o, data, len, q.name);
		if (h.count[DNS_QUESTION] == 1)
			answer(data, len, &q);
	}
	while (dns_iter_rr(&it, &rr)) {
		check(rr.rdata + rr.rdlen <= len && it.at <= len);
		name(&o, data, len, rr.owner);
		name(&o, data, rr.rdata + rr.rdlen, rr.rdata);
		if (dns_edns_read(data, &rr, &e))
			check(e.size >= 512 && e.options.len == rr.rdlen);
	}
	return 0;
}
