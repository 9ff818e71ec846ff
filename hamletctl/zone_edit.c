/* zone add, set, delete: single records, as they would stand in a zone file. */
#include "hamletctl/zone.h"
#include <string.h>
#include <sysexits.h>

enum { WORDS = 256 };

/* --- the words -------------------------------------------------------------------------------- */

uint16_t zone_type(struct zone_talk *t, const char *text)
{
	uint16_t type = dns_type_from_text(slice_of(text));
	const char *like = type ? NULL : dns_type_like(slice_of(text));
	if (type && !dns_type_is_meta(type))
		return type;
	t->status = like ? complain(EX_USAGE, "%s: no such type: did you mean %s?", text, like)
			 : complain(EX_USAGE, "%s: no type of records in zones", text);
	return 0;
}

struct edit {
	struct zone_talk t;
	const uint8_t *owner;
	uint16_t type;
	bool ttl_given, yes;
	uint32_t ttl;
	const char *const *data;
	int words;
	uint8_t *rdata;
	size_t rdlen;
};

/* The options are the last words (main.c). */
static bool options_of(struct edit *e, int *argc, const char *const *argv)
{
	int n = *argc;
	for (;;) {
		uint64_t ms, seconds;
		if (n > 0 && strcmp(argv[n - 1], "--yes") == 0) {
			e->yes = true;
			n--;
			continue;
		}
		if (n < 2 || strcmp(argv[n - 2], "--ttl") != 0)
			break;
		struct slice v = slice_of(argv[n - 1]);
		bool ok = str_duration(v, &ms) && ms % 1000 == 0;
		seconds = ok ? ms / 1000 : 0;
		ok = ok || str_u64(v, &seconds);
		if (!ok || seconds > INT32_MAX) {
			e->t.status =
			    complain(EX_USAGE, "--ttl %s: not a TTL (try 1h)", argv[n - 1]);
			return false;
		}
		e->ttl = (uint32_t)seconds;
		e->ttl_given = true;
		n -= 2;
	}
	*argc = n;
	return true;
}

/* A word of the command line with spaces in it was quoted for the shell. */
static size_t words_of(struct edit *e, struct dns_word *w, bool split)
{
	size_t n = 0;
	for (int i = 0; i < e->words; i++) {
		struct slice s = slice_of(e->data[i]), word;
		bool marks = s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"';
		if (marks)
			s = (struct slice){s.p + 1, s.len - 2};
		bool spaces = s.len == 0 || memchr(s.p, ' ', s.len) != NULL;
		if (!split || marks) {
			if (n < WORDS)
				w[n++] = (struct dns_word){s, marks || spaces};
			continue;
		}
		while (n < WORDS && (word = slice_word(&s)).len)
			w[n++] = (struct dns_word){word, false};
	}
	return n;
}

static bool read_data(struct edit *e)
{
	struct dns_word w[WORDS];
	const uint8_t *zone = (const uint8_t *)e->t.name.p;
	const char *why = NULL, *first = NULL;
	size_t bad = 0, at = 0;
	e->rdata = pool_alloc(e->t.pool, DNS_RDATA_MAX);
	for (int split = 0; split < 2; split++) {
		size_t n = words_of(e, w, split);
		if (dns_rdata_from_text(e->type, w, n, zone, e->rdata, &e->rdlen, &why, &bad))
			return true;
		first = split ? first : why;
		at = split ? at : bad;
	}
	if (at < (size_t)e->words)
		e->t.status = complain(EX_USAGE, "\"%s\": %s", e->data[at], first);
	else
		e->t.status = complain(EX_USAGE, "%s", first);
	return false;
}

/* NAME OWNER TYPE DATA ..., as many as are there. False after a line on stderr. */
static bool begin(struct edit *e, int argc, const char *const *argv)
{
	*e = (struct edit){.ttl = ZONE_TTL};
	if (!zone_talk(&e->t, argv[2], true) || !options_of(e, &argc, argv))
		return false;
	e->owner = argc > 3 ? zone_owner(&e->t, argv[3]) : NULL;
	if (argc > 3 && !e->owner)
		return false;
	e->type = argc > 4 ? zone_type(&e->t, argv[4]) : 0;
	if (argc > 4 && !e->type)
		return false;
	e->data = argv + 5;
	e->words = argc > 5 ? argc - 5 : 0;
	return argc <= 5 || read_data(e);
}

/* --- the changes ------------------------------------------------------------------------------ */

static bool find_ttl(void *arg, const struct zone_rr *rr)
{
	struct edit *e = arg;
	if (rr->type != e->type)
		return true;
	e->ttl = rr->ttl;
	return false;
}

static struct row_zone_op op(const struct edit *e, enum zone_change_kind kind)
{
	return (struct row_zone_op){
	    .kind = kind,
	    .owner = {(const char *)e->owner, dns_name_len(e->owner)},
	    .type = e->type,
	    .ttl = kind == ZONE_ADD ? e->ttl : 0,
	    .rdata = {(const char *)e->rdata,
		      kind == ZONE_ADD || kind == ZONE_DELETE_RR ? e->rdlen : 0}};
}

/* One truth for each zone: who edited the store's would see nothing of it. */
static bool comes_from_file(struct edit *e)
{
	char name[DNS_NAME_TEXT];
	dns_name_text(name, (const uint8_t *)e->t.name.p);
	const char *file = zone_file(e->t.pool, name);
	if (file)
		e->t.status = complain(EX_DATAERR,
				       "%s is served from its file: edit %s, then "
				       "hamletctl zone reload %s",
				       name, file, name);
	return file != NULL;
}

static void change(struct edit *e, const struct cmd *c, struct row_zone_op *ops, uint32_t n)
{
	struct msg_zone_edit m = {e->t.name, UINT64_MAX, ops, n};
	if (comes_from_file(e))
		return;
	const struct msg_zone_changed *r =
	    zone_ask(&e->t, e->t.pool, MSG_zone_edit, &m, MSG_zone_changed);
	if (!r)
		return;
	struct zone_cells out = {.pool = e->t.pool};
	zone_told(&out, &e->t, r);
	if (e->rdata) { /* as it was understood */
		struct buf text = {0};
		struct zone_rr rr = {e->owner, e->type, e->ttl, e->rdata, e->rdlen, NULL, 0};
		zonetext_write(&text, &rr);
		text.len -= text.len && text.p[text.len - 1] == '\n';
		for (size_t i = 0; i < text.len; i++)
			text.p[i] = text.p[i] == '\t' ? ' ' : text.p[i];
		zone_cell(&out, CELL_TEXT, "record", buf_slice(&text));
		buf_free(&text);
	}
	print_cells(out.cell, (uint32_t)out.n, c->shape);
}

static int put(const struct cmd *c, int argc, const char *const *argv, bool alone)
{
	struct edit e;
	struct row_zone_op ops[2];
	uint32_t n = 0;
	bool ok = begin(&e, argc, argv);
	if (ok && !e.rdata)
		e.t.status = complain(EX_USAGE, "usage: hamletctl zone %s %s", c->verb, c->args);
	if (!ok || e.t.status)
		return zone_talk_end(&e.t);
	if (!e.ttl_given)
		ok = zone_each_of(&e.t, e.owner, find_ttl, &e);
	if (alone)
		ops[n++] = op(&e, ZONE_DELETE_SET);
	ops[n++] = op(&e, ZONE_ADD);
	if (ok)
		change(&e, c, ops, n);
	return zone_talk_end(&e.t);
}

int run_zone_add(const struct cmd *c, int argc, const char *const *argv)
{
	return put(c, argc, argv, false);
}

int run_zone_set(const struct cmd *c, int argc, const char *const *argv)
{
	return put(c, argc, argv, true);
}

static void delete_zone(struct edit *e, const char *name)
{
	struct msg_zone_delete m = {e->t.name};
	if (e->yes)
		zone_ask(&e->t, e->t.pool, MSG_zone_delete, &m, MSG_ok);
	else
		e->t.status =
		    complain(EX_USAGE, "the whole zone %s is deleted with --yes only", name);
}

int run_zone_delete(const struct cmd *c, int argc, const char *const *argv)
{
	struct edit e;
	if (!begin(&e, argc, argv))
		return zone_talk_end(&e.t);
	if (!e.owner) {
		delete_zone(&e, argv[2]);
	} else {
		struct row_zone_op o = op(&e, e.rdata  ? ZONE_DELETE_RR
					      : e.type ? ZONE_DELETE_SET
						       : ZONE_DELETE_NAME);
		change(&e, c, &o, 1);
	}
	return zone_talk_end(&e.t);
}
