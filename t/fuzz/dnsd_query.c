/* A packet from anybody to a server with odd zones: a response is a whole message within its limit
 * that repeats the question, or there is none. The first octet says how the query came. */
#include "dnsd/answer/answer.h"
#include "libcommon/dns/tsig.h"
#include "t/unit/dnsd_odd.h"
#include "t/unit/dnsd_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static struct zones *served(void)
{
	static const struct {
		const char *name, *text;
	} zone[] = {{"b.test", odd_plain},
		    {"child.b.test", odd_child},
		    {"c.test", odd_other},
		    {"s.test", odd_nsec},
		    {"example", odd_nsec3}};
	struct zones *z = zones_new();
	zone_begin();
	for (unsigned i = 0; i < sizeof(zone) / sizeof(zone[0]); i++)
		zones_set(z, wire_name(zone[i].name), zone_image(zone[i].name, zone[i].text), i);
	zones_set(z, wire_name("late.test"), NULL, 9);
	zone_end();
	return z;
}

static void read_back(const uint8_t *out, size_t n, const struct query *q)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_question question;
	struct dns_rr rr;
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t name[DNS_NAME_MAX];
	size_t rdlen;
	check(dns_iter_init(&it, out, n, &h) && h.id == q->id && h.flags & DNS_QR);
	check(h.count[DNS_QUESTION] == (q->question_len ? 1 : 0));
	if (q->question_len)
		check(!memcmp(out + DNS_HEADER, q->pkt + DNS_HEADER, q->question_len));
	while (dns_iter_question(&it, &question))
		;
	while (dns_iter_rr(&it, &rr)) {
		size_t at = rr.owner;
		check(dns_name_read(out, n, &at, name) > 0);
		check(rr.type == DNS_OPT || dns_rdata_read(out, n, &rr, rdata, &rdlen));
	}
	check(!it.bad && it.at == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct zones *zones;
	static const uint8_t secret[2][COOKIE_SECRET] = {"one", "two"};
	static uint8_t out[DNS_MSG_MAX];
	if (!zones)
		zones = served();
	if (len < 1)
		return 0;
	uint8_t how = data[0];
	struct answer_conf conf = {.udp_size = how & 1 ? 512 : 1232,
				   .nsid = {"here", 4},
				   .minimal_any = how & 2,
				   .additional = how & 4,
				   .version = "1",
				   .cookie_secret = secret};
	struct answer_way way = {.now = 1700000000,
				 .stream = how & 8,
				 .encrypted = how & 16,
				 .keepalive = 100,
				 .reserve = how & 32 ? TSIG_ROOM : 0};
	size_t cap = how & 64 ? 600 : sizeof(out);
	struct answer_info info;
	struct query q;
	uint8_t *pkt = malloc(len); /* as long as it is, so that nobody reads on */
	if (!pkt)
		return 0;
	memcpy(pkt, data + 1, len - 1);
	query_read(&q, pkt, len - 1);
	if (how & 128)
		answer_prepare(zones, &q, 1);
	size_t n = answer_query(zones, &conf, &q, &way, out, cap, &info);
	check((n == 0) == (q.kind == QUERY_DROP));
	check(n <= cap - way.reserve && (way.stream || n <= conf.udp_size));
	if (n)
		read_back(out, n, &q);
	free(pkt);
	return 0;
}
