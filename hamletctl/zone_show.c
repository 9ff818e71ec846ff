/* zone stored, show, export. */
#include "hamletctl/zone.h"
#include <string.h>
#include <sysexits.h>

/* --- stored -------------------------------------------------------------------------------------
 */

static void zone_row(struct zone_cells *out, const struct row_zone *z)
{
	char name[DNS_NAME_TEXT] = "?";
	if (dns_name_check((const uint8_t *)z->name.p, z->name.len))
		dns_name_text(name, (const uint8_t *)z->name.p);
	zone_cell(out, CELL_TEXT, "zone", slice_of(name));
	zone_cell(out, CELL_TEXT, "source",
		  z->source == ZONE_STORE ? SLICE("store") : SLICE("secondary"));
	zone_number(out, "serial", z->serial);
	zone_number(out, "records", z->records);
	zone_cell(out, CELL_SIZE, "size",
		  slice_of(pool_printf(out->pool, "%llu", (unsigned long long)z->size)));
	zone_cell(out, CELL_TIME, "changed",
		  slice_of(pool_printf(out->pool, "%llu", (unsigned long long)z->changed_ms)));
	out->record++;
}

int run_zone_stored(const struct cmd *c, int argc, const char *const *argv)
{
	struct zone_talk t;
	(void)argc;
	(void)argv;
	if (!zone_talk(&t, ".", true))
		return zone_talk_end(&t);
	struct zone_cells out = {.pool = t.pool};
	struct msg_zone_list m = {0};
	const struct msg_zones *zones;
	do {
		zones = zone_ask(&t, t.pool, MSG_zone_list, &m, MSG_zones);
		for (uint32_t i = 0; zones && i < zones->zones_n; i++) {
			zone_row(&out, &zones->zones[i]);
			m.after = zones->zones[i].id;
		}
	} while (zones && zones->zones_n);
	if (t.status == 0)
		print_cells(out.cell, (uint32_t)out.n, c->shape);
	return zone_talk_end(&t);
}

/* --- export ----------------------------------------------------------------------------------- */

static void record_cells(struct zone_cells *out, const struct zone_rr *rr, struct buf *data)
{
	char owner[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	dns_name_text(owner, rr->owner);
	buf_clear(data);
	dns_rdata_text(rr->type, rr->rdata, rr->rdlen, data);
	zone_cell(out, CELL_TEXT, "name", slice_of(owner));
	zone_number(out, "ttl", rr->ttl);
	zone_cell(out, CELL_TEXT, "type", slice_of(dns_type_text(rr->type, type)));
	zone_cell(out, CELL_TEXT, "data", buf_slice(data));
	out->record++;
}

/* A chunk at a time is printed: a zone may be large. */
static bool print_chunk(struct slice data)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	struct buf text = {0};
	struct zone_cells out = {.pool = pool_new(64 << 10)};
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		if (options.json)
			record_cells(&out, &rr, &text);
		else
			zonetext_write(&text, &rr);
	}
	if (options.json)
		print_cells(out.cell, (uint32_t)out.n, SHAPE_TABLE);
	else
		fwrite(text.p, 1, text.len, stdout);
	buf_free(&text);
	pool_free(&out.pool);
	return !in.bad;
}

int run_zone_export(const struct cmd *c, int argc, const char *const *argv)
{
	struct zone_talk t;
	struct zone_text all;
	(void)c;
	(void)argc;
	if (!zone_talk(&t, argv[2], true) || !zone_fetch(&t, &all))
		return zone_talk_end(&t);
	for (size_t i = 0; i < all.n && t.status == 0; i++)
		if (!print_chunk(all.chunk[i].data))
			t.status = complain(EX_PROTOCOL, "the zone that came cannot be read");
	return zone_talk_end(&t);
}

/* --- show ------------------------------------------------------------------------------------- */

bool zone_each_of(struct zone_talk *t, const uint8_t *owner, zone_rr_fn *fn, void *arg)
{
	uint8_t key[ZONE_KEY_MAX];
	struct zone_chunk_in in;
	struct zone_rr rr;
	struct slice from = {(const char *)key, zone_key(owner, t->name.len, key)};
	struct msg_zone_read m = {t->name, from, 1};
	const struct msg_zone_chunks *c = zone_ask(t, t->pool, MSG_zone_read, &m, MSG_zone_chunks);
	if (!c)
		return false;
	zone_chunk_open(&in, c->chunks_n ? c->chunks->data : SLICE(""));
	while (zone_chunk_next(&in, &rr))
		if (dns_name_eq(rr.owner, owner) && !fn(arg, &rr))
			break;
	return true;
}

struct showing {
	struct zone_cells out;
	struct buf data;
	uint16_t type; /* 0: all */
};

static bool show_rr(void *arg, const struct zone_rr *rr)
{
	struct showing *s = arg;
	if (!s->type || rr->type == s->type)
		record_cells(&s->out, rr, &s->data);
	return true;
}

static void show_owner(struct zone_talk *t, const struct cmd *c, const char *name, const char *type)
{
	struct showing s = {.out = {.pool = t->pool}};
	const uint8_t *owner = zone_owner(t, name);
	s.type = owner && type ? zone_type(t, type) : 0;
	if (!owner || t->status || !zone_each_of(t, owner, show_rr, &s))
		return;
	if (s.out.n)
		print_cells(s.out.cell, (uint32_t)s.out.n, c->shape);
	else
		t->status = complain(EX_DATAERR, "%s has no such record", name);
	buf_free(&s.data);
}

static void show_zone(struct zone_talk *t, const char *name)
{
	struct msg_zone_read m = {t->name, SLICE(""), 0};
	struct zone_cells out = {.pool = t->pool};
	struct row_cell *served;
	if (zone_file(t->pool, name)) {
		size_t n = zone_served(t->pool, name, &served);
		print_cells(served, (uint32_t)n, SHAPE_RECORD);
		return;
	}
	const struct msg_zone_chunks *r = zone_ask(t, t->pool, MSG_zone_read, &m, MSG_zone_chunks);
	if (!r || r->zone_n != 1)
		return;
	zone_row(&out, r->zone);
	print_cells(out.cell, (uint32_t)out.n, SHAPE_RECORD);
}

int run_zone_show(const struct cmd *c, int argc, const char *const *argv)
{
	struct zone_talk t;
	if (!zone_talk(&t, argv[2], true))
		return zone_talk_end(&t);
	if (argc == 3)
		show_zone(&t, argv[2]);
	else
		show_owner(&t, c, argv[3], argc > 4 ? argv[4] : NULL);
	return zone_talk_end(&t);
}
