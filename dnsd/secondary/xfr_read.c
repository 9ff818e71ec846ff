/* A transfer, record by record:
 *
 *	AXFR	SOA(n) record ... SOA(n)
 *	IXFR	SOA(n)                                         n is not above ours: up to date
 *		SOA(n) record ... SOA(n)                       the whole zone, as with AXFR
 *		SOA(n) { SOA(a) deleted ... SOA(b) added ... } SOA(n)
 *
 * where the steps lead from our serial to n, one after the other; a server may have made fewer of
 * them than there were changes (RFC 1995 5). Which form it is the second record tells. */
#include <stdarg.h>
#include <stdio.h>
#include "dnsd/secondary/xfr_read.h"
#include "libcommon/dns/serial.h"
#include "libcommon/dns/zonechunk.h"

enum state { AT_FIRST, AT_SECOND, AT_WHOLE, AT_DELETED, AT_ADDED, AT_END };

static enum xfr_verdict fail(struct xfr_read *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static enum xfr_verdict fail(struct xfr_read *x, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(x->why, sizeof(x->why), fmt, ap);
	va_end(ap);
	x->state = AT_END;
	return XFR_FAILED;
}

const char *xfr_rcode_text(uint16_t rcode, char out[16])
{
	static const char *const name[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
					   "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
					   "NXRRSET", "NOTAUTH", "NOTZONE"};
	if (rcode < sizeof(name) / sizeof(name[0]))
		return name[rcode];
	snprintf(out, 16, "rcode %u", rcode);
	return out;
}

/* --- records ---------------------------------------------------------------------------------- */

static uint32_t serial_of(const struct zone_rr *soa)
{
	return dns_u32(soa->rdata + soa->rdlen - 20);
}

static enum xfr_verdict give(struct xfr_read *x, enum xfr_part part, const struct zone_rr *rr)
{
	if (x->on_rr(x->arg, part, rr))
		return XFR_MORE;
	x->state = AT_END;
	return XFR_FAILED;
}

/* The first SOA, as a record. */
static enum xfr_verdict give_soa(struct xfr_read *x, enum xfr_part part)
{
	const struct zone_rr rr = {.owner = x->zone,
				   .type = DNS_SOA,
				   .ttl = x->soa_ttl,
				   .rdata = x->soa,
				   .rdlen = x->soa_len};
	return give(x, part, &rr);
}

static enum xfr_verdict first(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type != DNS_SOA || rr->rdlen > sizeof(x->soa))
		return fail(x, "the first record is not the zone's SOA");
	memcpy(x->soa, rr->rdata, rr->rdlen);
	x->soa_len = rr->rdlen;
	x->soa_ttl = rr->ttl;
	x->to = serial_of(rr);
	if (x->type == XFR_IXFR && !zone_serial_above(x->to, x->serial)) {
		x->state = AT_END;
		return XFR_SAME;
	}
	x->state = x->type == XFR_IXFR ? AT_SECOND : AT_WHOLE;
	return x->type == XFR_IXFR ? XFR_MORE : give_soa(x, XFR_RECORD);
}

static enum xfr_verdict whole(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type != DNS_SOA)
		return give(x, XFR_RECORD, rr);
	if (zone_rdata_cmp(DNS_SOA, rr->rdata, rr->rdlen, x->soa, x->soa_len) != 0)
		return fail(x, "the zone changed during the transfer: serial %u, then %u", x->to,
			    serial_of(rr));
	x->state = AT_END;
	return XFR_WHOLE;
}

static enum xfr_verdict second(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type == DNS_SOA && serial_of(rr) == x->serial) {
		x->step = x->serial;
		x->state = AT_DELETED;
		return XFR_MORE;
	}
	x->state = AT_WHOLE;
	enum xfr_verdict v = give_soa(x, XFR_RECORD);
	return v == XFR_MORE ? whole(x, rr) : v;
}

static enum xfr_verdict deleted(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type != DNS_SOA)
		return give(x, XFR_DELETED, rr);
	x->step_to = serial_of(rr);
	if (!zone_serial_above(x->step_to, x->step) || zone_serial_above(x->step_to, x->to))
		return fail(x, "a step from serial %u to %u, of those to %u", x->step, x->step_to,
			    x->to);
	x->state = AT_ADDED;
	return XFR_MORE;
}

static enum xfr_verdict added(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type != DNS_SOA)
		return give(x, XFR_ADDED, rr);
	if (serial_of(rr) != x->step_to)
		return fail(x, "a step to serial %u is followed by one from %u", x->step_to,
			    serial_of(rr));
	if (x->step_to != x->to) {
		x->step = x->step_to;
		x->state = AT_DELETED;
		return XFR_MORE;
	}
	x->state = AT_END;
	enum xfr_verdict v = give_soa(x, XFR_ADDED);
	return v == XFR_MORE ? XFR_STEPS : v;
}

static enum xfr_verdict record(struct xfr_read *x, const struct zone_rr *rr)
{
	if (rr->type == DNS_SOA && !dns_name_eq(rr->owner, x->zone))
		return fail(x, "a SOA that is not the zone's");
	switch (x->state) {
	case AT_FIRST:
		return first(x, rr);
	case AT_SECOND:
		return second(x, rr);
	case AT_WHOLE:
		return whole(x, rr);
	case AT_DELETED:
		return deleted(x, rr);
	case AT_ADDED:
		return added(x, rr);
	default:
		return fail(x, "records behind the last one");
	}
}

/* --- messages --------------------------------------------------------------------------------- */

static enum xfr_verdict one(struct xfr_read *x, const uint8_t *pkt, size_t len,
			    const struct dns_rr *r)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t owner[DNS_NAME_MAX];
	struct zone_rr rr = {
	    .owner = owner, .type = r->type, .ttl = dns_ttl(r->ttl), .rdata = rdata};
	char type[DNS_TYPE_TEXT], text[DNS_NAME_TEXT];
	size_t at = r->owner, owner_len = dns_name_read(pkt, len, &at, owner);
	if (!owner_len)
		return fail(x, "a malformed name");
	if (r->class != DNS_IN || dns_type_is_meta(r->type))
		return fail(x, "a record of class %u and type %s", r->class,
			    dns_type_text(r->type, type));
	if (!dns_rdata_read(pkt, len, r, rdata, &rr.rdlen)) {
		dns_name_text(text, owner);
		return fail(x, "%.80s %s: malformed data", text, dns_type_text(r->type, type));
	}
	x->records++;
	x->octets += owner_len + rr.rdlen;
	if (x->records > x->records_max || x->octets > x->octets_max)
		return fail(x, "the zone is too large: over %llu %s",
			    (unsigned long long)(x->records > x->records_max ? x->records_max
									     : x->octets_max),
			    x->records > x->records_max ? "records" : "octets");
	if (x->state != AT_FIRST && x->state != AT_END && !dns_name_under(owner, x->zone)) {
		x->foreign++;
		return XFR_MORE;
	}
	return record(x, &rr);
}

/* Over: but the rest of the message has to be nothing. */
static enum xfr_verdict rest(struct xfr_read *x, struct dns_iter *it, enum xfr_verdict v)
{
	struct dns_rr rr;
	while (dns_iter_rr(it, &rr))
		if (rr.section == DNS_ANSWER)
			return fail(x, "records behind the last one");
	return it->bad ? fail(x, "a malformed message") : v;
}

static bool is_question(const struct xfr_read *x, const uint8_t *pkt, size_t len,
			const struct dns_question *q)
{
	return q->class == DNS_IN && q->type == x->type &&
	       dns_name_at_is(pkt, len, q->name, x->zone);
}

static enum xfr_verdict refused(struct xfr_read *x)
{
	char text[16];
	bool later = x->rcode == DNS_FORMERR || x->rcode == DNS_SERVFAIL ||
		     x->rcode == DNS_NOTIMP || x->rcode == DNS_REFUSED;
	bool none = x->type == XFR_IXFR && x->messages == 1 && later;
	fail(x, "the primary says %s", xfr_rcode_text(x->rcode, text));
	return none ? XFR_NONE : XFR_FAILED;
}

/* The header and the question; XFR_MORE: the records are next. */
static enum xfr_verdict head(struct xfr_read *x, struct dns_iter *it, const uint8_t *pkt,
			     size_t len)
{
	struct dns_header h;
	struct dns_question q;
	if (!dns_iter_init(it, pkt, len, &h))
		return fail(x, "a message shorter than a header");
	if (h.id != x->id || !(h.flags & DNS_QR) || h.flags & DNS_OPCODE)
		return fail(x, "a message that answers another question");
	x->rcode = h.flags & DNS_RCODE;
	while (dns_iter_question(it, &q))
		if (!is_question(x, pkt, len, &q))
			return fail(x, "a message that answers another question");
	if (it->bad)
		return fail(x, "a malformed message");
	if (x->rcode)
		return refused(x);
	if (h.count[DNS_QUESTION] > 1 || (x->messages == 1 && h.count[DNS_QUESTION] != 1))
		return fail(x, "a message with %u questions", h.count[DNS_QUESTION]);
	if (h.flags & DNS_TC)
		return fail(x, "a truncated message");
	if (h.count[DNS_ANSWER])
		return XFR_MORE;
	fail(x, "a message without records");
	return x->type == XFR_IXFR && x->messages == 1 ? XFR_NONE : XFR_FAILED;
}

enum xfr_verdict xfr_read(struct xfr_read *x, const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_rr rr;
	x->messages++;
	enum xfr_verdict v = head(x, &it, pkt, len);
	if (v != XFR_MORE)
		return v;
	while (dns_iter_rr(&it, &rr) && rr.section == DNS_ANSWER) {
		v = one(x, pkt, len, &rr);
		if (v == XFR_WHOLE || v == XFR_STEPS)
			return rest(x, &it, v);
		if (v != XFR_MORE)
			return v;
	}
	return it.bad ? fail(x, "a malformed message") : XFR_MORE;
}
