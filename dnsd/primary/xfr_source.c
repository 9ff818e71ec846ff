/* The order of a transfer. */
#include "dnsd/primary/xfr_source.h"

bool xfr_source_begin(struct xfr_source *x)
{
	x->stage = XFR_FIRST;
	x->pending = x->named = false;
	image_walk_begin(&x->walk, x->image);
	if (x->diff)
		journal_diff_begin(x->diff);
	x->bad = !image_soa(x->image, &x->soa);
	return !x->bad;
}

/* All records but the SOA. */
static bool next_of_zone(struct xfr_source *x)
{
	struct image_walk *w = &x->walk;
	for (;;) {
		while (x->named && image_walk_rr(w, &x->rr))
			if (x->rr.type != DNS_SOA)
				return true;
		x->named = !w->bad && image_walk_name(w);
		if (!x->named)
			break;
	}
	x->bad = w->bad;
	return false;
}

static bool next_of_body(struct xfr_source *x)
{
	if (x->kind == XFR_WHOLE)
		return next_of_zone(x);
	if (x->diff)
		return journal_diff_next(x->diff, &x->rr);
	bool more = journal_next(&x->steps, &x->rr);
	x->bad = x->steps.bad;
	return more;
}

static bool next(struct xfr_source *x)
{
	if (x->stage == XFR_OVER)
		return false;
	if (x->stage == XFR_BODY) {
		if (next_of_body(x))
			return true;
		if (x->bad)
			return false;
		x->stage = XFR_LAST;
	}
	x->rr = (struct zone_rr){.owner = image_zone(x->image),
				 .type = DNS_SOA,
				 .ttl = x->soa.ttl,
				 .rdata = x->soa.rdata,
				 .rdlen = x->soa.len};
	x->stage = x->stage == XFR_FIRST && x->kind != XFR_CURRENT ? XFR_BODY : XFR_OVER;
	return true;
}

bool xfr_source_fill(struct xfr_source *x, struct xfr_pack *k)
{
	while (x->pending || next(x)) {
		x->pending = !xfr_pack_add(k, &x->rr);
		if (x->pending) {
			x->bad = k->records == 0;
			return !x->bad;
		}
	}
	return false;
}
