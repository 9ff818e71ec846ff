/* Dynamic update (RFC 2136). */
#include "dnsd/serve.h"

size_t update_serve(const struct asked *a, uint8_t *out, size_t cap)
{
	return serve_rcode(a, serve_zone(a) ? DNS_REFUSED : DNS_NOTAUTH, out, cap);
}
