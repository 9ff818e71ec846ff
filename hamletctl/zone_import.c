/* zone import, zone check: a zone file is read, put in order and checked here, where its lines are
 * known, and sent in chunks. */
#include "hamletctl/zone.h"
#include <string.h>
#include <sysexits.h>
#include "libcommon/dns/zonesort.h"

enum { PUT_OCTETS = 1 << 20, STDIN_MAX = 1 << 30 };

struct reading {
	struct zone_talk *t;
	struct zone_sort *sort;
	unsigned mistakes;
};

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct reading *r = arg;
	zone_sort_add(r->sort, rr);
	return true;
}

static void on_error(void *arg, const char *line)
{
	struct reading *r = arg;
	r->mistakes++;
	complain(0, "%s", line);
}

static void mistake(struct reading *r, const struct zone_rr *rr, const char *why)
{
	struct zone_fault f = {.why = why, .type = rr->type};
	char text[DNS_NAME_TEXT + 200];
	if (++r->mistakes > ZONETEXT_ERRORS)
		return;
	memcpy(f.owner, rr->owner, dns_name_len(rr->owner));
	zone_fault_text(&f, text, sizeof(text));
	complain(0, "%s:%u: %s", rr->file ? rr->file : "-", rr->line, text);
}

/* What no single line shows. */
static void check_whole(struct reading *r, const char *file)
{
	struct zone_check check;
	struct zone_rr rr;
	const char *why;
	zone_check_init(&check, (const uint8_t *)r->t->name.p, true);
	zone_sort_run(r->sort);
	while (zone_sort_next(r->sort, &rr))
		if (!zone_check_rr(&check, &rr, &why))
			mistake(r, &rr, why);
	if (!zone_check_end(&check, &why)) {
		r->mistakes++;
		complain(0, "%s: %s", file, why);
	}
}

/* False after lines on stderr. */
static bool read_zone(struct reading *r, const char *file)
{
	struct zonetext z = {.origin = (const uint8_t *)r->t->name.p,
			     .on_rr = on_rr,
			     .on_error = on_error,
			     .arg = r};
	struct slice text;
	bool is_stdin = strcmp(file, "-") == 0;
	r->sort = zone_sort_new(z.origin);
	if (is_stdin && !secret_file(r->t->pool, "-", STDIN_MAX, &text)) {
		r->t->status = EX_NOINPUT;
		return false;
	}
	r->mistakes = is_stdin ? zonetext_memory(&z, "-", text) : zonetext_file(&z, file);
	if (!r->mistakes)
		check_whole(r, file);
	if (r->mistakes)
		r->t->status = complain(EX_DATAERR, "%s: %u mistake%s, nothing was changed", file,
					r->mistakes, r->mistakes == 1 ? "" : "s");
	return !r->mistakes;
}

/* --- sending ---------------------------------------------------------------------------------- */

struct sending {
	struct zone_talk *t;
	uint64_t draft;
	struct zone_chunk_out out;
	struct pool *pool; /* of the message being made */
	struct row_zone_chunk *chunk;
	size_t n, cap, octets;
	bool failed;
};

static void send(struct sending *s)
{
	struct msg_zone_put m = {s->draft, s->chunk, (uint32_t)s->n};
	if (s->n && !zone_ask(s->t, s->pool, MSG_zone_put, &m, MSG_ok))
		s->failed = true;
	pool_clear(s->pool);
	s->chunk = NULL;
	s->n = s->cap = s->octets = 0;
}

static void end_chunk(struct sending *s)
{
	if (s->out.records) {
		s->chunk = pool_grow(s->pool, s->chunk, s->n, &s->cap, sizeof(*s->chunk));
		s->chunk[s->n++].data = slice_copy(s->pool, buf_slice(&s->out.data));
		s->octets += s->out.data.len;
		zone_chunk_clear(&s->out);
	}
	if (s->octets >= PUT_OCTETS)
		send(s);
}

static void send_all(struct sending *s, struct zone_sort *sort)
{
	struct zone_rr rr;
	while (!s->failed && zone_sort_next(sort, &rr)) {
		if (zone_chunk_ends(&s->out, rr.owner))
			end_chunk(s);
		zone_chunk_add(&s->out, &rr);
	}
	end_chunk(s);
	if (!s->failed)
		send(s);
}

static const struct msg_zone_changed *transmit(struct zone_talk *t, struct zone_sort *sort)
{
	struct msg_zone_begin begin = {t->name, ZONE_STORE};
	const struct msg_ok *ok = zone_ask(t, t->pool, MSG_zone_begin, &begin, MSG_ok);
	if (!ok)
		return NULL;
	struct sending s = {.t = t, .draft = ok->value, .pool = pool_new(PUT_OCTETS)};
	zone_sort_run(sort);
	send_all(&s, sort);
	pool_free(&s.pool);
	buf_free(&s.out.data);
	struct msg_zone_commit commit = {s.draft};
	return s.failed ? NULL : zone_ask(t, t->pool, MSG_zone_commit, &commit, MSG_zone_changed);
}

/* --- the commands ----------------------------------------------------------------------------- */

int run_zone_import(const struct cmd *c, int argc, const char *const *argv)
{
	struct zone_talk t;
	if (!zone_talk(&t, argv[2], true))
		return zone_talk_end(&t);
	struct reading r = {.t = &t};
	const struct msg_zone_changed *m =
	    read_zone(&r, argc > 3 ? argv[3] : "-") ? transmit(&t, r.sort) : NULL;
	if (m) {
		struct zone_cells out = {.pool = t.pool};
		zone_told(&out, &t, m);
		print_cells(out.cell, (uint32_t)out.n, c->shape);
		const char *file = zone_file(t.pool, argv[2]);
		if (file)
			complain(0, "%s is served from %s as long as dnsd.conf names that file",
				 argv[2], file);
	}
	zone_sort_free(&r.sort);
	return zone_talk_end(&t);
}

int run_zone_check(const struct cmd *c, int argc, const char *const *argv)
{
	struct zone_talk t;
	(void)argc;
	if (!zone_talk(&t, argv[2], false))
		return zone_talk_end(&t);
	struct reading r = {.t = &t};
	if (read_zone(&r, argv[3])) {
		struct zone_cells out = {.pool = t.pool};
		char name[DNS_NAME_TEXT];
		dns_name_text(name, (const uint8_t *)t.name.p);
		zone_cell(&out, CELL_TEXT, "zone", slice_of(name));
		zone_number(&out, "records", zone_sort_count(r.sort));
		print_cells(out.cell, (uint32_t)out.n, c->shape);
	}
	zone_sort_free(&r.sort);
	return zone_talk_end(&t);
}
