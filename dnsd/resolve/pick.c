#include "dnsd/resolve/pick.h"

enum { LAME_COST = 1 << 24 };

static bool usable(const struct pick *p)
{
	return !p->busy && !p->bad && p->tries < PICK_TRIES;
}

static uint64_t cost(const struct pick *p)
{
	return (uint64_t)p->expect + (uint64_t)p->tries * PICK_AGAIN + (p->lame ? LAME_COST : 0);
}

int pick_server(const struct pick *p, unsigned n, uint32_t lot)
{
	uint64_t best = UINT64_MAX;
	unsigned good = 0;
	for (unsigned i = 0; i < n; i++)
		if (usable(&p[i]) && cost(&p[i]) < best)
			best = cost(&p[i]);
	uint64_t most = best + (best / 2 > PICK_BAND ? best / 2 : PICK_BAND);
	for (unsigned i = 0; i < n; i++)
		good += usable(&p[i]) && cost(&p[i]) <= most;
	if (!good)
		return -1;
	lot %= good;
	for (unsigned i = 0; i < n; i++)
		if (usable(&p[i]) && cost(&p[i]) <= most && lot-- == 0)
			return (int)i;
	return -1;
}
