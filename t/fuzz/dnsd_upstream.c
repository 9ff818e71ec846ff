/* Replies of servers to a query of ours: what they are worth never depends on what stands beyond
 * their end. The first octet says what was asked. */
#include <stdlib.h>
#include "dnsd/upstream/upstream_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t name[] = "\3wWw\7eXaMPle\3oRg";
	struct asked a = {
	    .id = 0x1234, .type = DNS_A, .edns_size = DNS_EDNS_SIZE, .name_len = sizeof(name)};
	struct reply r;
	uint8_t query[QUERY_MOST];
	if (size < 1)
		return 0;
	memcpy(a.name, name, sizeof(name));
	memcpy(a.cookie, "clientckserver cookie 16", 24);
	a.stream = data[0] & 1;
	a.cookie_len = data[0] & 2 ? 24 : data[0] & 4 ? 8 : 0;
	a.again = data[0] & 8;
	a.padded = data[0] & 16;
	a.edns_size = data[0] & 32 ? 0 : DNS_EDNS_SIZE;
	a.any_case = data[0] & 64;
	size_t n = upstream_query(query, &a);
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	dns_iter_init(&it, query, n, &h);
	while (dns_iter_rr(&it, &rr))
		;
	if (it.bad || it.at != n)
		abort();
	/* Its own memory, so that a look beyond its end is seen. */
	uint8_t *pkt = malloc(size - 1 + !(size - 1));
	if (!pkt)
		return 0;
	memcpy(pkt, data + 1, size - 1);
	enum verdict v = upstream_verdict(&a, pkt, size - 1, &r);
	if (v == VERDICT_COOKIE && (a.again || r.cookie.len <= COOKIE_CLIENT))
		abort();
	if ((v == VERDICT_NO_COOKIE && !a.cookie_len) || (v == VERDICT_NO_EDNS && !a.edns_size))
		abort(); /* it would be asked for ever */
	if (a.stream && (v == VERDICT_TCP || v == VERDICT_CASE))
		abort();
	free(pkt);
	return 0;
}
