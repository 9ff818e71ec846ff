/* What hamletctl and the statistics are told of the zones. */
#include <stdlib.h>
#include "dnsd/load_int.h"
#include "dnsd/secondary.h"
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
	if (c && c->out)
		buf_printf(out, "%s: serial %u%s\n", s->name, image_serial(c->out),
			   c->built ? "" : ", unchanged");
	r->failed += c && !c->out;
	if (--r->left == 0)
		reload_end(r);
}

/* NAME, or NAME@VIEW; NULL: there is no such zone. */
static const struct served *find(const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	const char *at = strrchr(text, '@');
	unsigned view = at ? conf_view(slice_of(at + 1)) : 0;
	if (!dns_name_from_text(view ? (struct slice){text, (size_t)(at - text)} : slice_of(text),
				name))
		return NULL;
	dns_name_lower(name);
	return load_find_in(view, name);
}

/* A named zone is compiled in any case: the text may include files that have changed. */
static void reload_one(struct control_call *call, const char *text, bool force)
{
	const struct served *s = find(text);
	if (!s) {
		control_done(call, "no such zone");
		return;
	}
	struct reload *r = mem_alloc(sizeof(*r));
	*r = (struct reload){.call = call, .left = 1};
	load_task((struct served *)(uintptr_t)s, force, r);
}

static void reload_all(struct control_call *call)
{
	struct reload *r = mem_alloc(sizeof(*r));
	/* One more, so that it does not end before all have begun. */
	*r = (struct reload){.call = call, .left = 1};
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (!s)
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
		   s->expired  ? "expired"
		   : !s->image ? "failed"
		   : s->why[0] ? "old"
			       : "served");
	put(out, "from", s->file ? s->file : s->secondary ? "secondary" : "store");
	refresh_list(s, out);
	put(out, "error", s->why);
	buf_addc(out, '\n');
}

static void list_zones(struct control_call *call)
{
	const struct served *s = NULL;
	if (call->words.n > 2 && !(s = find(call->words.w[2]))) {
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
	} else if (strcmp(w[1], "list") == 0) {
		list_zones(call);
	} else {
		return false;
	}
	return true;
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
			buf_printf(out, "dnsd_zone_queries_total{zone=\"%s\"} %llu\n", s->name,
				   (unsigned long long)s->queries);
	}
	buf_printf(out, "dnsd_zones_served %u\ndnsd_zones_configured %u\n", served, all);
}
