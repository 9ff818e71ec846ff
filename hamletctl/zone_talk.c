#include "hamletctl/zone.h"
#include <string.h>
#include <sysexits.h>

bool zone_talk(struct zone_talk *t, const char *name, bool connect)
{
	*t = (struct zone_talk){.pool = pool_new(0), .status = EX_USAGE};
	uint8_t *wire = pool_alloc(t->pool, DNS_NAME_MAX);
	size_t len = dns_name_from_text(slice_of(name), wire);
	if (!len) {
		complain(EX_USAGE, "%s: not a name of a zone", name);
		return false;
	}
	dns_name_lower(wire);
	t->name = (struct slice){(const char *)wire, len};
	t->sync = connect ? service_open(t->pool, ROLE_STORED) : NULL;
	t->status = connect && !t->sync ? EX_UNAVAILABLE : 0;
	return t->status == 0;
}

int zone_talk_end(struct zone_talk *t)
{
	peer_sync_close(&t->sync);
	pool_free(&t->pool);
	return t->status;
}

const void *zone_ask(struct zone_talk *t, struct pool *pool, enum msg_type type, const void *msg,
		     enum msg_type want)
{
	enum msg_type got;
	const void *m = peer_sync_call(t->sync, pool, type, msg, &got, NULL);
	if (got == want)
		return m;
	struct slice text = SLICE("an answer that is no answer");
	t->status = service_status(peer_error(got, m, &text));
	complain(t->status, "%.*s", SLICE_FMT(text));
	return NULL;
}

/* People leave the dot out: what ends in the zone's name is whole. */
static bool is_whole(const struct zone_talk *t, struct slice text, uint8_t *wire)
{
	return text.len && dns_name_from_text(text, wire) &&
	       dns_name_under(wire, (const uint8_t *)t->name.p) && t->name.len > 1;
}

const uint8_t *zone_owner(struct zone_talk *t, const char *text)
{
	uint8_t *wire = pool_alloc(t->pool, DNS_NAME_MAX);
	const uint8_t *zone = (const uint8_t *)t->name.p;
	const char *why = NULL;
	bool read;
	if (is_whole(t, slice_of(text), wire))
		return wire;
	read = dns_name_from_zone(slice_of(text), zone, wire, &why) > 0;
	if (read && dns_name_under(wire, zone))
		return wire;
	t->status = complain(EX_USAGE, "%s: %s", text, read ? "it is not in the zone" : why);
	return NULL;
}

static bool fetch_once(struct zone_talk *t, struct zone_text *out, bool *again)
{
	const struct msg_zone_chunks *c;
	uint32_t serial = 0;
	struct msg_zone_read m = {t->name, SLICE(""), UINT32_MAX};
	out->n = 0;
	do {
		c = zone_ask(t, t->pool, MSG_zone_read, &m, MSG_zone_chunks);
		if (!c || c->zone_n != 1)
			return false;
		*again = m.from.len && c->zone->serial != serial;
		serial = c->zone->serial;
		for (uint32_t i = 0; i < c->chunks_n && !*again; i++) {
			out->chunk =
			    pool_grow(t->pool, out->chunk, out->n, &out->cap, sizeof(*out->chunk));
			out->chunk[out->n++] = c->chunks[i];
		}
		m.from = c->next;
	} while (c->more && !*again);
	return true;
}

bool zone_fetch(struct zone_talk *t, struct zone_text *out)
{
	enum { TRIES = 10 };
	bool again = true;
	*out = (struct zone_text){0};
	for (int i = 0; i < TRIES && again; i++)
		if (!fetch_once(t, out, &again))
			return false;
	if (again)
		t->status = complain(EX_TEMPFAIL, "the zone changes all the time");
	return !again;
}

/* --- cells ------------------------------------------------------------------------------------ */

void zone_cell(struct zone_cells *c, enum cell_kind kind, const char *name, struct slice text)
{
	c->cell = pool_grow(c->pool, c->cell, c->n, &c->cap, sizeof(*c->cell));
	c->cell[c->n++] =
	    (struct row_cell){c->record, kind, slice_of(name), slice_copy(c->pool, text)};
}

void zone_number(struct zone_cells *c, const char *name, uint64_t v)
{
	zone_cell(c, CELL_NUMBER, name,
		  slice_of(pool_printf(c->pool, "%llu", (unsigned long long)v)));
}

void zone_told(struct zone_cells *c, const struct zone_talk *t, const struct msg_zone_changed *m)
{
	char name[DNS_NAME_TEXT];
	dns_name_text(name, (const uint8_t *)t->name.p);
	zone_cell(c, CELL_TEXT, "zone", slice_of(name));
	zone_number(c, "serial", m->serial);
	zone_number(c, "records", m->records);
	if (m->known) {
		zone_number(c, "deleted", m->deleted);
		zone_number(c, "added", m->added);
	}
}
