/* Zone transfers to secondaries (RFC 5936, RFC 1995). */
#include "dnsd/serve.h"

size_t transfer_serve(const struct asked *a, uint8_t *out, size_t cap)
{
	return serve_rcode(a, serve_zone(a) ? DNS_REFUSED : DNS_NOTAUTH, out, cap);
}
