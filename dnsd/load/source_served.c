/* The zone that is served as a source: it has all records. What the signer made is made anew (and
 * kept where it is good still); the addresses of ALIAS records stay as they are. */
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"

bool source_served(struct compile *c, struct image_maker *m, const struct image *served)
{
	struct image_walk w;
	struct zone_rr rr;
	const char *why = NULL;
	image_walk_begin(&w, served);
	while (!why && image_walk_name(&w))
		while (!why && image_walk_rr(&w, &rr))
			if (!image_is_signers(rr.type))
				image_add(m, rr.owner, rr.type, rr.ttl, rr.rdata, rr.rdlen, &why);
	if (w.bad)
		why = "the image is damaged";
	if (why)
		compile_failed(c, c->image, why);
	return !why;
}
