/* What hamletctl and the statistics are told of the zones. */
#include <stdlib.h>
#include "dnsd/sign/dnssec.h"
#include "dnsd/load/load_int.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/mem.h"

enum { STATS_ZONES = 1000 /* each has a line */ };

/* --- zone reload ------------------------------------------------------------------------------ */

static void reload_end(struct reload *r)
{
	char why[80] = "";
	if (r->failed)
		str_fmt(why, sizeof(why), "%u zone%s could not be loaded and stay%s as before",
			r->failed, r->failed > 1 ? "s" : "", r->failed > 1 ? "" : "s");
	control_done(r->call, why[0] ? why : NULL);
	free(r);
}

void load_reloaded(struct reload *r, const struct served *s, const struct compile *c)
{
	struct buf *out = &r->call->out;
	if (!c)
		buf_printf(out, "%s: is gone\n", s->name);
	else
		buf_add_slice(out, buf_slice(&c->errors));
	bool told = c && c->dnssec & DNSSEC_TELL;
	if (c && c->out && !c->dnssec)
		buf_printf(out, "%s: serial %u%s\n", s->name, image_serial(c->out),
			   c->built ? "" : ", unchanged");
	r->failed += c && !c->out && !told;
	if (--r->left == 0)
		reload_end(r);
}

static struct served *named(const char *text)
{
	return (struct served *)(uintptr_t)load_find_text(text);
}

/* A named zone is compiled in any case: the text may include files that have changed. */
static void reload_one(struct control_call *call, const char *text, bool force)
{
	struct served *s = named(text);
	if (!s || s->left) {
		control_done(call,
			     s ? "it is served no longer: no primary is named" : "no such zone");
		return;
	}
	struct reload *r = mem_alloc(sizeof(*r));
	*r = (struct reload){.call = call, .left = 1};
	load_task(s, force, r);
}

static void reload_all(struct control_call *call)
{
	struct reload *r = mem_alloc(sizeof(*r));
	/* One more, so that it does not end before all have begun. */
	*r = (struct reload){.call = call, .left = 1};
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (!s || s->left)
			continue;
		r->left++;
		load_task((struct served *)(uintptr_t)s, false, r);
	}
	if (--r->left == 0)
		reload_end(r);
}

static void reload(struct control_call *call, bool force)
{
	if (call->words.n > 3)
		control_done(call, "usage: zone reload [NAME]");
	else if (call->words.n == 3)
		reload_one(call, call->words.w[2], force);
	else
		reload_all(call);
}

/* --- zone dnssec NAME text|rows [roll|emergency|ds-seen] ----------------------------------------
 */

static void dnssec(struct control_call *call)
{
	static const struct {
		const char *word;
		unsigned what;
	} row[] = {{"roll", DNSSEC_REPLACE},
		   {"emergency", DNSSEC_REPLACE | DNSSEC_EMERGENCY},
		   {"ds-seen", DNSSEC_PARENT}};
	const char *const *w = call->words.w;
	size_t n = call->words.n, i = 0;
	while (n == 5 && i < 3 && strcmp(w[4], row[i].word) != 0)
		i++;
	if (n < 4 || n > 5 || i == 3) {
		control_done(call, "usage: zone dnssec NAME text|rows [roll|emergency|ds-seen]");
		return;
	}
	struct served *s = named(w[2]);
	if (!s) {
		control_done(call, "no such zone");
		return;
	}
	parent_look();
	if (s->mismatch && strcmp(w[3], "text") == 0)
		buf_adds(
		    &call->out,
		    "WARNING: none of the parent's DS records is of a key of this zone: it is "
		    "wrong for all who check.\n"
		    "If keyd's keys were lost, restore them. Where they are gone for good, "
		    "--emergency makes\nthe key that there is now (or another one) ready for the "
		    "parent, which must then replace\nits DS records.\n");
	struct reload *r = mem_alloc(sizeof(*r));
	*r = (struct reload){.call = call, .left = n == 5 ? 2 : 1};
	if (n == 5)
		load_dnssec_task(s, row[i].what, 0, r);
	load_dnssec_task(s, DNSSEC_TELL | (strcmp(w[3], "rows") == 0 ? DNSSEC_ROWS : 0u), 0, r);
}

/* --- zone list -------------------------------------------------------------------------------- */

/* key=value, quoted as in files. */
static void put(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, " \"%s=", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
	buf_addc(out, '"');
}

static void list_zone(struct buf *out, const struct served *s)
{
	struct image_stats n = {0};
	if (s->image)
		image_numbers(s->image, &n);
	buf_printf(out, "\"zone=%s\" serial=%u names=%llu records=%llu state=%s", s->name,
		   s->image ? image_serial(s->image) : 0, (unsigned long long)n.names,
		   (unsigned long long)n.records,
		   s->left      ? "left"
		   : s->expired ? "expired"
		   : !s->image  ? "failed"
		   : s->why[0]  ? "old"
				: "served");
	buf_printf(out, " signed=%s", s->image && image_origin(s->image)->dnssec ? "yes" : "no");
	put(out, "from",
	    s->file                            ? s->file
	    : s->conf->catalog == CATALOG_OURS ? "catalog"
	    : s->secondary                     ? "secondary"
					       : "store");
	refresh_list(s, out);
	bool missing = !s->file && !s->conf->catalog && !s->id && !s->image && !s->why[0];
	bool stays = s->secondary && !s->conf->primaries_n && !s->why[0];
	put(out, "error",
	    missing   ? "it is not in the store"
	    : s->left ? "no longer named, by dnsd.conf or a catalog: name it, or zone delete it"
	    : stays   ? "it has no primary any more: it stays as it is"
	    : s->why[0] || !s->mismatch
		? s->why
		: "its parent's DS records are of other keys: hamletctl zone dnssec tells more");
	buf_addc(out, '\n');
}

static void list_zones(struct control_call *call)
{
	const struct served *s = NULL;
	if (call->words.n > 2 && !(s = named(call->words.w[2]))) {
		control_done(call, "no such zone");
		return;
	}
	for (unsigned i = 0; i < load_end(); i++)
		if (load_zone(i) && (!s || s == load_zone(i)))
			list_zone(&call->out, load_zone(i));
	control_done(call, NULL);
}

bool load_command(struct control_call *call)
{
	const char *const *w = call->words.w;
	if (call->words.n < 2 || strcmp(w[0], "zone") != 0)
		return false;
	if (strcmp(w[1], "reload") == 0 || strcmp(w[1], "refresh") == 0) {
		reload(call, strcmp(w[1], "reload") == 0);
	} else if (strcmp(w[1], "dnssec") == 0) {
		dnssec(call);
	} else if (strcmp(w[1], "list") == 0) {
		list_zones(call);
	} else {
		return false;
	}
	return true;
}

/* due: when the zone is to be signed again; long past: it could not. */
static void zone_stats(const struct served *s, struct buf *out)
{
	buf_printf(out, "dnsd_zone_queries_total{zone=\"%s\"} %llu\n", s->name,
		   (unsigned long long)s->queries);
	if (s->image && image_origin(s->image)->dnssec)
		buf_printf(out, "dnsd_zone_parent_mismatch{zone=\"%s\"} %d\n", s->name,
			   s->mismatch);
	if (s->image && image_origin(s->image)->dnssec)
		buf_printf(out, "dnsd_zone_signing_due_timestamp_seconds{zone=\"%s\"} %llu\n",
			   s->name, (unsigned long long)image_origin(s->image)->due);
}

void load_stats(struct buf *out)
{
	unsigned served = 0, all = 0;
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (!s)
			continue;
		served += s->image != NULL;
		if (all++ < STATS_ZONES)
			zone_stats(s, out);
	}
	buf_printf(out, "dnsd_zones_served %u\ndnsd_zones_configured %u\n", served, all);
}
