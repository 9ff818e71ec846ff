/* The hosts of a destination, and what is known of each: which failed lately, whose TLS is broken.
 * It is forgotten with the answers of the DNS. */
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "smtpd/relay_int.h"

enum { SET_MAX = 64, DOWN_MS = 60000 };

struct hostset *hostset_new(struct hosts *h)
{
	struct hostset *hs = mem_alloc(sizeof(*hs));
	*hs = (struct hostset){.refs = 1, .h = h, .n = h->n < SET_MAX ? h->n : SET_MAX};
	hs->state = mem_alloc((hs->n + 1) * sizeof(*hs->state));
	return hs;
}

struct hostset *hostset_ref(struct hostset *hs)
{
	hs->refs++;
	return hs;
}

void hostset_drop(struct hostset **hsp)
{
	struct hostset *hs = *hsp;
	*hsp = NULL;
	if (!hs || --hs->refs)
		return;
	hosts_free(&hs->h);
	free(hs->state);
	free(hs);
}

/* The first that is neither tried nor, unless `down`, down. */
static bool first(const struct hostset *hs, uint64_t tried, bool down, size_t *out)
{
	uint64_t now = clock_mono();
	for (size_t i = 0; i < hs->n; i++)
		if (!(tried >> i & 1) && (down || hs->state[i].down_until <= now)) {
			*out = i;
			return true;
		}
	return false;
}

bool hostset_next(struct hostset *hs, uint64_t tried, size_t *out)
{
	const struct host *host = hs->h->host;
	uint64_t now = clock_mono();
	size_t best, same[SET_MAX], n = 1;
	if (!first(hs, tried, false, &best)) {
		if (!first(hs, tried, true, out))
			return false;
	} else {
		same[0] = best;
		for (size_t i = best + 1; i < hs->n && host[i].preference == host[best].preference;
		     i++)
			if (!(tried >> i & 1) && hs->state[i].down_until <= now)
				same[n++] = i;
		*out = same[hs->turn++ % n];
	}
	/* One connection finds out whether it is up again; the others go elsewhere meanwhile. */
	if (hs->state[*out].down_until)
		hs->state[*out].down_until = now + DOWN_MS;
	return true;
}

void hostset_failed(struct hostset *hs, size_t host)
{
	hs->state[host].down_until = clock_mono() + DOWN_MS;
}

bool hostset_after(const struct hostset *hs, size_t host, bool other_preference, size_t *out)
{
	for (size_t i = host + 1; i < hs->n; i++)
		if (!other_preference ||
		    hs->h->host[i].preference != hs->h->host[host].preference) {
			*out = i;
			return true;
		}
	return false;
}
