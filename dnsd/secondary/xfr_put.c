/* What a transfer brings goes into the store: a whole zone as a draft, put chunk by chunk and then
 * committed; a few changes as one edit. Sorting and cutting a zone takes its time: a job does it.
 */
#include <stdlib.h>
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonesort.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/job.h"
#include "libcommon/net/loop.h"

enum {
	PUT_OCTETS = 1 << 20, /* of a message to the store */
	OPS_MAX = 10000,      /* of an edit, as the store has it */
	OPS_OCTETS = 2 << 20, /* ... and of its names and data */
	CHUNKS_FIRST = 64,
};

struct xfr_put {
	uint8_t zone[DNS_NAME_MAX];
	size_t zone_len;
	uint32_t serial;
	/* a whole zone */
	struct zone_sort *sort; /* NULL: changes */
	struct buf *chunk;
	size_t chunks, chunks_cap, next;
	uint64_t draft;
	/* changes */
	struct pool *pool;
	struct row_zone_op *op;
	size_t ops, ops_cap, octets;
	uint64_t zone_records, zone_octets; /* of the zone as it will be */
	xfr_put_fn *fn;
	void *arg;
};

struct xfr_put *xfr_put_new(const uint8_t *zone, uint32_t serial, uint64_t records, uint64_t octets)
{
	struct xfr_put *p = mem_alloc(sizeof(*p));
	*p = (struct xfr_put){.serial = serial, .zone_records = records, .zone_octets = octets};
	p->zone_len = dns_name_len(zone);
	memcpy(p->zone, zone, p->zone_len);
	return p;
}

void xfr_put_free(struct xfr_put *p)
{
	if (!p)
		return;
	zone_sort_free(&p->sort);
	for (size_t i = 0; i < p->chunks; i++)
		buf_free(&p->chunk[i]);
	free(p->chunk);
	pool_free(&p->pool);
	free(p);
}

static struct slice copy(struct xfr_put *p, const uint8_t *data, size_t len)
{
	p->octets += len;
	return (struct slice){pool_dup(p->pool, data, len), len};
}

static bool add_op(struct xfr_put *p, bool add, const struct zone_rr *rr)
{
	if (!p->pool)
		p->pool = pool_new(64 << 10);
	if (p->ops == OPS_MAX || p->octets > OPS_OCTETS)
		return false;
	if (rr->type != DNS_SOA) /* that takes the other's place */
		p->zone_records += add ? 1 : (uint64_t)-1;
	p->zone_octets += add ? dns_name_len(rr->owner) + rr->rdlen : 0;
	p->op = pool_grow(p->pool, p->op, p->ops, &p->ops_cap, sizeof(*p->op));
	p->op[p->ops++] = (struct row_zone_op){.kind = add ? ZONE_ADD : ZONE_DELETE_RR,
					       .owner = copy(p, rr->owner, dns_name_len(rr->owner)),
					       .type = rr->type,
					       .ttl = rr->ttl,
					       .rdata = copy(p, rr->rdata, rr->rdlen)};
	return true;
}

bool xfr_put_rr(void *arg, enum xfr_part part, const struct zone_rr *rr)
{
	struct xfr_put *p = arg;
	if (part != XFR_RECORD)
		return add_op(p, part == XFR_ADDED, rr);
	if (!p->sort)
		p->sort = zone_sort_new(p->zone);
	zone_sort_add(p->sort, rr);
	return true;
}

uint64_t xfr_put_records(const struct xfr_put *p)
{
	return p->zone_records;
}

uint64_t xfr_put_octets(const struct xfr_put *p)
{
	return p->zone_octets;
}

/* --- the store answers ------------------------------------------------------------------------ */

static struct slice zone_name(const struct xfr_put *p)
{
	return (struct slice){(const char *)p->zone, p->zone_len};
}

static void finish(struct xfr_put *p, const struct msg_zone_changed *changed, const char *why,
		   bool ours)
{
	p->fn(p->arg, changed, why, ours);
	xfr_put_free(p);
}

static void on_aborted(void *arg, enum msg_type type, const void *msg)
{
	(void)arg;
	(void)type;
	(void)msg;
}

static void fail(struct xfr_put *p, const char *why, bool ours)
{
	struct msg_zone_abort m = {p->draft};
	if (p->draft)
		uplink_call(MSG_zone_abort, &m, on_aborted, NULL);
	finish(p, NULL, why, ours);
}

static void give_up(struct xfr_put *p, const char *why)
{
	fail(p, why, true);
}

/* The answer is the one that is wanted; else it is all over. */
static bool good(struct xfr_put *p, enum msg_type want, enum msg_type type, const void *msg)
{
	struct slice text;
	char why[300];
	if (type == want)
		return true;
	enum ipc_err e = peer_error(type, msg, &text);
	str_fmt(why, sizeof(why), "the store: %.*s", SLICE_FMT(text));
	/* The zone is none, the changes do not fit it, or it was changed meanwhile. */
	fail(p, why, e != ERR_BAD && e != ERR_LIMIT && e != ERR_INUSE);
	return false;
}

/* The last that is done with p: it may be over. */
static void say(struct xfr_put *p, enum msg_type t, const void *msg, peer_reply_fn *fn)
{
	if (!uplink_call(t, msg, fn, p))
		give_up(p, "the store is busy");
}

static void on_changed(void *arg, enum msg_type type, const void *msg)
{
	struct xfr_put *p = arg;
	if (good(p, MSG_zone_changed, type, msg))
		finish(p, msg, NULL, false);
}

static void on_put(void *arg, enum msg_type type, const void *msg);

static void put_some(struct xfr_put *p)
{
	struct pool *pool = pool_new(0);
	struct msg_zone_put m = {.draft = p->draft};
	size_t cap = 0;
	for (size_t octets = 0; p->next < p->chunks && octets < PUT_OCTETS; p->next++) {
		struct slice data = buf_slice(&p->chunk[p->next]);
		m.chunks = pool_grow(pool, m.chunks, m.chunks_n, &cap, sizeof(*m.chunks));
		m.chunks[m.chunks_n++].data = data;
		octets += data.len;
	}
	say(p, MSG_zone_put, &m, on_put);
	pool_free(&pool);
}

static void go_on(struct xfr_put *p)
{
	struct msg_zone_commit commit = {p->draft};
	if (p->next < p->chunks)
		put_some(p);
	else
		say(p, MSG_zone_commit, &commit, on_changed);
}

static void on_put(void *arg, enum msg_type type, const void *msg)
{
	struct xfr_put *p = arg;
	if (good(p, MSG_ok, type, msg))
		go_on(p);
}

static void on_begun(void *arg, enum msg_type type, const void *msg)
{
	struct xfr_put *p = arg;
	if (!good(p, MSG_ok, type, msg))
		return;
	p->draft = ((const struct msg_ok *)msg)->value;
	go_on(p);
}

/* --- commit ----------------------------------------------------------------------------------- */

static void end_chunk(struct xfr_put *p, struct zone_chunk_out *out)
{
	if (!out->records)
		return;
	if (p->chunks == p->chunks_cap) {
		p->chunks_cap = p->chunks_cap ? 2 * p->chunks_cap : CHUNKS_FIRST;
		p->chunk = mem_realloc(p->chunk, p->chunks_cap * sizeof(*p->chunk));
	}
	p->chunk[p->chunks++] = out->data;
	*out = (struct zone_chunk_out){0};
}

/* On a thread of its own. */
static void cut(void *arg)
{
	struct xfr_put *p = arg;
	struct zone_chunk_out out = {0};
	struct zone_rr rr;
	zone_sort_run(p->sort);
	while (zone_sort_next(p->sort, &rr)) {
		if (zone_chunk_ends(&out, rr.owner))
			end_chunk(p, &out);
		zone_chunk_add(&out, &rr);
	}
	end_chunk(p, &out);
	zone_sort_free(&p->sort);
}

static void on_cut(void *arg, bool cancelled)
{
	struct xfr_put *p = arg;
	struct msg_zone_begin m = {zone_name(p), ZONE_SECONDARY};
	if (cancelled)
		give_up(p, "this process ends");
	else
		say(p, MSG_zone_begin, &m, on_begun);
}

static void on_busy(void *arg)
{
	give_up(arg, "too much is being worked on");
}

static void on_no_edit(void *arg)
{
	give_up(arg, "the store is busy");
}

void xfr_put_commit(struct xfr_put *p, xfr_put_fn *fn, void *arg)
{
	p->fn = fn;
	p->arg = arg;
	if (p->sort) {
		if (!job_start(cut, on_cut, p))
			loop_defer(on_busy, p);
		return;
	}
	struct msg_zone_edit m = {
	    .zone = zone_name(p), .serial = p->serial, .ops = p->op, .ops_n = (uint32_t)p->ops};
	if (!uplink_call(MSG_zone_edit, &m, on_changed, p))
		loop_defer(on_no_edit, p);
}
