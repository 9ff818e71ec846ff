/* A transfer of a hostile primary: octet 0 says how it was asked for, then come messages, each with
 * its length in two octets. Every record that is told is one of the zone, well formed; the SOA is
 * told once at most, first of a whole zone and last of steps. */
#include <stdlib.h>
#include "dnsd/secondary/xfr_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t ZONE[] = "\1b\4test";

struct told {
	unsigned records, soas;
	enum xfr_part part;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static bool on_rr(void *arg, enum xfr_part part, const struct zone_rr *rr)
{
	struct told *t = arg;
	check(dns_name_under(rr->owner, ZONE));
	check(dns_rdata_check(rr->type, rr->rdata, rr->rdlen));
	check(rr->ttl <= INT32_MAX && !dns_type_is_meta(rr->type));
	check((part == XFR_RECORD) ==
	      (t->records == 0 ? part == XFR_RECORD : t->part == XFR_RECORD));
	t->soas += rr->type == DNS_SOA;
	check(part != XFR_RECORD || t->soas == 1);
	check(part != XFR_DELETED || rr->type != DNS_SOA);
	t->part = part;
	t->records++;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct told t = {0};
	if (len < 1)
		return 0;
	struct xfr_read x = {.zone = ZONE,
			     .id = 0x6162,
			     .type = data[0] & 1 ? XFR_IXFR : XFR_AXFR,
			     .serial = data[0] & 2 ? 5 : UINT32_MAX,
			     .records_max = 1000,
			     .octets_max = 100000,
			     .on_rr = on_rr,
			     .arg = &t};
	enum xfr_verdict v = XFR_MORE;
	for (data++, len--; v == XFR_MORE && len >= 2;) {
		size_t n = dns_u16(data);
		n = n < len - 2 ? n : len - 2;
		uint8_t *pkt = malloc(n + 1); /* as long as it is, so that nobody reads on */
		if (!pkt)
			return 0;
		memcpy(pkt, data + 2, n);
		v = xfr_read(&x, pkt, n);
		free(pkt);
		data += 2 + n;
		len -= 2 + n;
	}
	check(v != XFR_WHOLE || (t.records > 0 && t.part == XFR_RECORD));
	check(v != XFR_STEPS || (t.soas == 1 && t.part == XFR_ADDED));
	check(v != XFR_SAME || t.records == 0);
	check(v == XFR_FAILED || t.records <= x.records);
	return 0;
}
