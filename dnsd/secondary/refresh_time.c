/* How long a secondary waits (RFC 1034 4.3.5, RFC 1912 2.2). */
#include "dnsd/secondary/secondary.h"

enum {
	FIRST_MS = 2000,    /* a zone that was never there is tried again after this, ... */
	FIRST_MOST = 600000 /* ... doubled each time, up to this, or retry-most */
};

static uint64_t within(uint64_t ms, uint64_t least, uint64_t most)
{
	ms = ms < most ? ms : most;
	return ms > least ? ms : least;
}

/* Many zones of a primary do not stay in step. */
static uint64_t jitter(uint64_t ms, uint32_t random)
{
	return ms - (ms / 10) * (random % 1000) / 1000;
}

uint64_t refresh_next(const struct zone_soa *s, const struct refresh_limits *l, uint32_t random)
{
	return jitter(within(s->refresh * 1000ull, l->refresh_least, l->refresh_most), random);
}

uint64_t refresh_retry(const struct zone_soa *s, bool have, unsigned failed,
		       const struct refresh_limits *l, uint32_t random)
{
	uint64_t first = FIRST_MS;
	uint64_t most = l->retry_most < FIRST_MOST ? l->retry_most : FIRST_MOST;
	if (have)
		return jitter(within(s->retry * 1000ull, l->retry_least, l->retry_most), random);
	while (failed-- > 1 && first < FIRST_MOST)
		first *= 2;
	return jitter(within(first, 0, most), random);
}

/* No zone expires before it was looked after at least twice. */
uint64_t refresh_expire(const struct zone_soa *s, const struct refresh_limits *l)
{
	uint64_t refresh = within(s->refresh * 1000ull, l->refresh_least, l->refresh_most);
	uint64_t retry = within(s->retry * 1000ull, l->retry_least, l->retry_most);
	return within(s->expire * 1000ull, refresh + retry, UINT64_MAX);
}
