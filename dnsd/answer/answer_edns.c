/* The OPT record of a response (RFC 6891). */
#include "dnsd/answer/answer_int.h"

enum {
	FIXED = 11, /* octets of OPT without options */
	OPTION = 4, /* ... of an option's head */
	OPT_NSID = 3,
	OPT_COOKIE = 10,
	OPT_KEEPALIVE = 11,
	OPT_PADDING = 12,
	EDE_TEXT = 200, /* octets at most */
};

size_t edns_room(const struct work *w)
{
	if (!w->q->edns)
		return 0;
	return FIXED + (w->cookie ? OPTION + COOKIE_ALL : 0);
}

/* An option, where there is room for it. */
static void option(struct dns_out *o, uint16_t code, const void *data, size_t len)
{
	if (o->cap - o->len < OPTION + len)
		return;
	dns_out_u16(o, code);
	dns_out_u16(o, (uint16_t)len);
	dns_out_bytes(o, data, len);
}

/* The text is left out where there is no room for it. */
static void error(struct dns_out *o, int ede, struct slice text)
{
	uint8_t data[2 + EDE_TEXT];
	size_t len = text.len < EDE_TEXT ? text.len : EDE_TEXT;
	put_u16(data, (size_t)ede);
	if (len && o->cap - o->len >= OPTION + 2 + len)
		memcpy(data + 2, text.p, len);
	else
		len = 0;
	option(o, DNS_OPT_EDE, data, 2 + len);
}

static void pad(struct dns_out *o)
{
	static const uint8_t zero[ANSWER_PADDING];
	size_t len = o->len + OPTION;
	size_t to = (len + ANSWER_PADDING - 1) / ANSWER_PADDING * ANSWER_PADDING;
	if (to > o->cap)
		to = o->cap;
	if (to >= len)
		option(o, OPT_PADDING, zero, to - len);
}

void edns_put(struct work *w)
{
	struct dns_out *o = &w->out;
	const struct answer_way *way = w->way;
	uint8_t two[2];
	if (!w->q->edns)
		return;
	o->cap = w->limit;
	dns_out_edns(o, w->conf->udp_size, w->rcode, w->q->dnssec_ok);
	w->count[DNS_ADDITIONAL]++;
	size_t start = o->len;
	if (w->cookie)
		option(o, OPT_COOKIE, w->cookie_data, COOKIE_ALL);
	if (w->ede != EDE_NONE)
		error(o, w->ede, w->ede_text);
	if (w->q->nsid && w->conf->nsid.len > 0 && w->conf->nsid.len <= ANSWER_NSID)
		option(o, OPT_NSID, w->conf->nsid.p, w->conf->nsid.len);
	if (w->q->keepalive && way->stream && way->keepalive) {
		put_u16(two, way->keepalive);
		option(o, OPT_KEEPALIVE, two, sizeof(two));
	}
	if (w->q->padding && way->encrypted)
		pad(o);
	dns_out_rr_end(o, start);
}
