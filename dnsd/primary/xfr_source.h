/* xfr_source: the records of a transfer, in its order, message by message. Pure. */
#ifndef DNSD_XFR_SOURCE_H
#define DNSD_XFR_SOURCE_H
#include "dnsd/image/journal.h"
#include "dnsd/primary/xfr_pack.h"

enum xfr_kind {
	XFR_WHOLE,   /* AXFR (RFC 5936 2.2): the SOA, all others, the SOA */
	XFR_STEPS,   /* IXFR (RFC 1995 4): the SOA, the steps, the SOA */
	XFR_CURRENT, /* the SOA alone: there is nothing newer; by UDP also: ask by TCP */
};
struct xfr_source {
	enum xfr_kind kind;
	bool bad; /* the image or the journal is damaged, or a record fits in no message */
	const struct image *image;
	struct journal_steps steps; /* of XFR_STEPS: set by the caller */
	struct journal_diff *diff;  /* likewise, in their place; NULL: none */
	/* --- its own --- */
	struct image_soa soa;
	enum { XFR_FIRST, XFR_BODY, XFR_LAST, XFR_OVER } stage;
	bool pending; /* rr did not fit in the message before */
	bool named;   /* the walk is at a name */
	struct zone_rr rr;
	struct image_walk walk;
};
/* kind, image and steps are set; begins at the front (again). False: the image is damaged. */
bool xfr_source_begin(struct xfr_source *x);
/* Adds records until the message is full. True: there are more; else it was the last, or x->bad. */
bool xfr_source_fill(struct xfr_source *x, struct xfr_pack *k);
#endif
