/* journal: the changes of a zone that is served, from one version to the next, for IXFR (RFC 1995).
 * A file beside the image: steps in order, each the old SOA, what goes, the new SOA, what comes. It
 * is made of what two images differ by, so that all zones have one, wherever they are from. Written
 * anew as a whole for each step, then renamed: who reads one keeps what was opened. One that is
 * lost or damaged costs secondaries a whole transfer, nothing else. */
#ifndef DNSD_JOURNAL_H
#define DNSD_JOURNAL_H
#include "dnsd/image/image.h"
#include "libcommon/dns/zonechunk.h"

enum {
	JOURNAL_LEAST = 64 << 10, /* octets that it may have however small the zone is */
	JOURNAL_MOST = 16 << 20,  /* ... and at most */
};

/* --- by the builder. image_name: that of the image's file in the folder ------------------------
 */
enum journal_noted {
	JOURNAL_SAME,   /* the zone is as it was */
	JOURNAL_STEP,   /* a step was added; the oldest may have gone */
	JOURNAL_BEGUN,  /* it begins anew with this version */
	JOURNAL_FAILED, /* errno; it is there as before, or gone */
};
/* Before `fresh` is served in place of old (NULL: none was). A step that is longer than the zone,
 * or to a serial that is not after the old one, is none. */
enum journal_noted journal_note(int folder, const char *image_name, const struct image *old,
				const struct image *fresh);
/* The same where no other names have changed than these (wire form, one behind the other, in
 * canonical order). */
enum journal_noted journal_note_names(int folder, const char *image_name, const struct image *old,
				      const struct image *fresh, struct slice names);
/* The zone is served no longer. */
void journal_remove(int folder, const char *image_name);

/* --- by those who serve ------------------------------------------------------------------------
 */
struct journal;
/* NULL: there is none, or it is of something else. */
struct journal *journal_open(int folder, const char *image_name, const uint8_t *zone);
/* One of bytes that stay the caller's. */
struct journal *journal_from(const void *p, size_t len, const uint8_t *zone);
void journal_close(struct journal **j); /* *j may be NULL */

struct journal_steps {
	bool bad;      /* damaged here, and ends */
	size_t octets; /* about that many are going to be sent */
	unsigned steps;
	const struct journal *j;
	size_t at, end, chunk_end;
	struct zone_chunk_in chunk;
};
/* The steps from one version to another. False: it does not have them. */
bool journal_find(const struct journal *j, uint32_t from, uint32_t to, struct journal_steps *out);
/* The next record of the steps, which lives until the next call. False: no more, or s->bad. */
bool journal_next(struct journal_steps *s, struct zone_rr *out);

/* --- journal_diff.c: several steps condensed into one (RFC 1995 4); pure -------------------------
 */
struct journal_diff;
/* Steps that journal_find() has found, of which none was read yet: they stay as they are, and are
 * not needed any more. NULL: damaged. */
struct journal_diff *journal_condense(const struct journal_steps *steps);
void journal_diff_free(struct journal_diff **d); /* *d may be NULL */
/* About that many are going to be sent. */
size_t journal_diff_octets(const struct journal_diff *d);
/* Back to the first record. */
void journal_diff_begin(struct journal_diff *d);
/* The next record, as journal_next(), of one step; it lives as long as d. False: no more. */
bool journal_diff_next(struct journal_diff *d, struct zone_rr *out);
#endif
