/* Writes journals: what two images differ by becomes a step. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/image/journal_int.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

/* Records of one direction, as chunks of the file. */
struct run {
	struct buf out;
	struct zone_chunk_out chunk;
};

struct diff {
	size_t max; /* octets; what is longer is given up */
	bool given_up, damaged;
	uint64_t changes; /* records, the SOA not counted */
	struct run gone, fresh;
	struct image_walk *a, *b;
};

static void end_chunk(struct run *r)
{
	struct buf *b = &r->chunk.data;
	struct chunk_head h = {.sum = journal_sum(b->p, b->len), .size = b->len};
	if (!b->len)
		return;
	buf_add(&r->out, &h, sizeof(h));
	buf_add(&r->out, b->p, b->len);
	zone_chunk_clear(&r->chunk);
}

static void add(struct diff *d, struct run *r, const struct zone_rr *rr)
{
	d->changes += rr->type != DNS_SOA;
	zone_chunk_add(&r->chunk, rr);
	if (r->chunk.data.len >= JOURNAL_CHUNK)
		end_chunk(r);
	if (d->gone.out.len + d->fresh.out.len > d->max)
		d->given_up = true;
}

/* --- one name ----------------------------------------------------------------------------------
 */

struct records {
	struct buf data; /* their rdata, one behind the other */
	struct zone_rr *rr;
	size_t n, cap;
};

static void records_free(struct records *r)
{
	buf_free(&r->data);
	free(r->rr);
}

static int compare(const struct zone_rr *x, const struct zone_rr *y)
{
	int r = x->type != y->type ? (x->type < y->type ? -1 : 1)
				   : dns_rdata_cmp(x->rdata, x->rdlen, y->rdata, y->rdlen);
	return r ? r : (x->ttl > y->ttl) - (x->ttl < y->ttl);
}

static int by_order(const void *x, const void *y)
{
	return compare(x, y);
}

/* All records of the name but the SOA, which has its own place in a step; sorted. */
static void gather(struct image_walk *w, struct records *out)
{
	struct zone_rr rr;
	size_t at = 0;
	buf_clear(&out->data);
	buf_reserve(&out->data, 1);
	out->n = 0;
	while (image_walk_rr(w, &rr)) {
		if (rr.type == DNS_SOA)
			continue;
		if (out->n == out->cap) {
			out->cap = out->cap ? 2 * out->cap : 64;
			out->rr = mem_realloc(out->rr, out->cap * sizeof(*out->rr));
		}
		buf_add(&out->data, rr.rdata, rr.rdlen);
		out->rr[out->n++] = rr;
	}
	for (size_t i = 0; i < out->n; at += out->rr[i++].rdlen)
		out->rr[i].rdata = (const uint8_t *)out->data.p + at;
	if (out->n)
		qsort(out->rr, out->n, sizeof(*out->rr), by_order);
}

static void changed(struct diff *d, struct records *x, struct records *y)
{
	size_t i = 0, k = 0;
	gather(d->a, x);
	gather(d->b, y);
	while (i < x->n || k < y->n) {
		int r = i == x->n ? 1 : k == y->n ? -1 : compare(&x->rr[i], &y->rr[k]);
		if (r < 0)
			add(d, &d->gone, &x->rr[i]);
		else if (r > 0)
			add(d, &d->fresh, &y->rr[k]);
		i += r <= 0;
		k += r >= 0;
	}
}

static void whole_name(struct diff *d, struct image_walk *w, struct run *r)
{
	struct zone_rr rr;
	while (!d->given_up && image_walk_rr(w, &rr))
		add(d, r, &rr);
}

/* --- two images --------------------------------------------------------------------------------
 */

static void walk_names(struct diff *d, struct slice names)
{
	struct records x = {0}, y = {0};
	size_t len;
	for (; names.len && !d->given_up; names.p += len, names.len -= len) {
		const uint8_t *name = (const uint8_t *)names.p;
		len = dns_name_len(name);
		bool a = image_walk_to(d->a, name, len), b = image_walk_to(d->b, name, len);
		if (a && b)
			changed(d, &x, &y);
		else if (a)
			whole_name(d, d->a, &d->gone);
		else if (b)
			whole_name(d, d->b, &d->fresh);
	}
	d->damaged = d->a->bad || d->b->bad;
	records_free(&x);
	records_free(&y);
}

static void walk(struct diff *d)
{
	struct records x = {0}, y = {0};
	bool a = image_walk_name(d->a), b = image_walk_name(d->b);
	while ((a || b) && !d->given_up) {
		int r = !a ? 1 : !b ? -1 : dns_name_cmp(d->a->m.name, d->b->m.name);
		if (r < 0)
			whole_name(d, d->a, &d->gone);
		else if (r > 0)
			whole_name(d, d->b, &d->fresh);
		else if (!image_same_records(d->a, d->b))
			changed(d, &x, &y);
		if (r <= 0)
			a = !d->a->bad && image_walk_name(d->a);
		if (r >= 0)
			b = !d->b->bad && image_walk_name(d->b);
	}
	d->damaged = d->a->bad || d->b->bad;
	records_free(&x);
	records_free(&y);
}

static bool add_soa(struct diff *d, struct run *r, const struct image *i)
{
	struct image_soa soa;
	if (!image_soa(i, &soa))
		return false;
	const struct zone_rr rr = {.owner = image_zone(i),
				   .type = DNS_SOA,
				   .ttl = soa.ttl,
				   .rdata = soa.rdata,
				   .rdlen = soa.len};
	add(d, r, &rr);
	return true;
}

static void compare_images(struct diff *d, const struct image *old, const struct image *fresh,
			   const struct slice *names)
{
	d->a = mem_alloc(2 * sizeof(*d->a));
	d->b = d->a + 1;
	image_walk_begin(d->a, old);
	image_walk_begin(d->b, fresh);
	if (!add_soa(d, &d->gone, old) || !add_soa(d, &d->fresh, fresh))
		d->damaged = true;
	else if (names)
		walk_names(d, *names);
	else
		walk(d);
	end_chunk(&d->gone);
	end_chunk(&d->fresh);
	free(d->a);
}

static void diff_free(struct diff *d)
{
	buf_free(&d->gone.out);
	buf_free(&d->gone.chunk.data);
	buf_free(&d->fresh.out);
	buf_free(&d->fresh.chunk.data);
}

/* --- the file ----------------------------------------------------------------------------------
 */

/* The steps that lead to the serial, the last of them as many as there is room for: where they
 * begin and end in the old journal. */
static struct slice keep(const struct journal *j, uint32_t serial, size_t room)
{
	struct step_head h;
	size_t at = sizeof(struct journal_head), end = at;
	for (size_t next = at; journal_step(j, &next, &h);)
		if (h.to == serial)
			end = next;
	while (end - at > room && journal_step(j, &at, &h))
		;
	return (struct slice){(const char *)j->p + at, end - at};
}

/* The whole file. False: errno. */
static bool write_file(int folder, const char *image_name, const uint8_t *zone, struct slice kept,
		       const struct step_head *step, const struct diff *d)
{
	struct journal_head h = {.version = JOURNAL_VERSION, .order = JOURNAL_ORDER};
	char name[NAME_MAX + 1], made[NAME_MAX + 1];
	memcpy(h.magic, JOURNAL_MAGIC, sizeof(h.magic));
	memcpy(h.zone, zone, dns_name_len(zone));
	if (!journal_name(name, sizeof(name), image_name, "") ||
	    !journal_name(made, sizeof(made), image_name, ".new")) {
		errno = ENAMETOOLONG;
		return false;
	}
	int fd = openat(folder, made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	bool ok = io_write(fd, (struct slice){(const char *)&h, sizeof(h)}) && io_write(fd, kept) &&
		  io_write(fd, (struct slice){(const char *)step, sizeof(*step)}) &&
		  io_write(fd, buf_slice(&d->gone.out)) && io_write(fd, buf_slice(&d->fresh.out)) &&
		  fsync(fd) == 0;
	int err = errno;
	close(fd);
	if (ok && renameat(folder, made, folder, name) == 0 && fsync(folder) == 0)
		return true;
	err = ok ? errno : err;
	unlinkat(folder, made, 0);
	errno = err;
	return false;
}

static enum journal_noted add_step(int folder, const char *image_name, const struct image *old,
				   const struct image *fresh, const struct diff *d)
{
	struct step_head step = {.from = image_serial(old),
				 .to = image_serial(fresh),
				 .size = d->gone.out.len + d->fresh.out.len};
	struct journal *j = journal_open(folder, image_name, image_zone(old));
	struct slice kept = {"", 0};
	step.sum = journal_sum(&step.from, sizeof(step) - sizeof(step.sum));
	if (j)
		kept = keep(j, step.from, step.size < d->max ? d->max - (size_t)step.size : 0);
	bool ok = write_file(folder, image_name, image_zone(old), kept, &step, d);
	int err = errno;
	journal_close(&j);
	errno = err;
	return ok ? JOURNAL_STEP : JOURNAL_FAILED;
}

void journal_remove(int folder, const char *image_name)
{
	char name[NAME_MAX + 1];
	if (journal_name(name, sizeof(name), image_name, ""))
		unlinkat(folder, name, 0);
}

static size_t most(const struct image *i)
{
	struct image_stats n;
	image_numbers(i, &n);
	return n.octets < JOURNAL_LEAST  ? JOURNAL_LEAST
	       : n.octets > JOURNAL_MOST ? JOURNAL_MOST
					 : (size_t)n.octets;
}

static enum journal_noted note(int folder, const char *image_name, const struct image *old,
			       const struct image *fresh, const struct slice *names)
{
	struct diff d = {.max = most(fresh)};
	enum journal_noted r = JOURNAL_BEGUN;
	if (old && dns_name_eq(image_zone(old), image_zone(fresh))) {
		uint32_t ahead = image_serial(fresh) - image_serial(old);
		compare_images(&d, old, fresh, names);
		bool usable = !d.given_up && !d.damaged;
		if (usable && !ahead && !d.changes)
			r = JOURNAL_SAME;
		else if (usable && ahead && ahead < 0x80000000u)
			r = add_step(folder, image_name, old, fresh, &d);
	}
	if (r == JOURNAL_BEGUN)
		journal_remove(folder, image_name);
	int err = errno;
	diff_free(&d);
	errno = err;
	return r;
}

enum journal_noted journal_note(int folder, const char *image_name, const struct image *old,
				const struct image *fresh)
{
	return note(folder, image_name, old, fresh, NULL);
}

enum journal_noted journal_note_names(int folder, const char *image_name, const struct image *old,
				      const struct image *fresh, struct slice names)
{
	return note(folder, image_name, old, fresh, &names);
}
