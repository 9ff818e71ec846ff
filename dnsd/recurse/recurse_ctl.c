/* `hamletctl dns`: looks up, explains, forgets, shows what the cache has. Replies are text for
 * people, or, with "rows" as the last word, a line of KEY=VALUE words for each record. */
#include <stdlib.h>
#include <string.h>
#include "dnsd/recurse/recurse_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "dnsd/resolve/explain.h"
#include "libcommon/dns/zonetext.h"

enum {
	DUMP_MAX = 900 * 1024, /* octets: a reply has 1 MiB at most */
};

static const char *security_text(enum rrset_security s)
{
	static const char *const text[] = {"unchecked", "bogus", "indeterminate", "insecure",
					   "secure"};
	return text[s];
}

static const char *kind_text(enum cache_kind k)
{
	static const char *const text[] = {"rrset", "nodata", "nxdomain", "failure", "delegation"};
	return text[k];
}

static const char *rcode_text(uint16_t rcode, char out[16])
{
	static const char *const text[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
					   "NOTIMP",  "REFUSED", "YXDOMAIN"};
	if (rcode < sizeof(text) / sizeof(text[0]))
		return text[rcode];
	str_fmt(out, 16, "%u", rcode);
	return out;
}

/* "KEY=VALUE" with a blank before it, as one word whatever is in it. */
static void put(struct buf *out, const char *key, struct slice value)
{
	buf_printf(out, " \"%s=", key);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];
		if (c == '"' || c == '\\')
			buf_addc(out, '\\');
		buf_addc(out, (unsigned char)c < ' ' ? ' ' : c);
	}
	buf_addc(out, '"');
}

static void put_name(struct buf *out, const uint8_t *name)
{
	char text[DNS_NAME_TEXT];
	size_t len = dns_name_text(text, name);
	put(out, "name", (struct slice){text, len});
}

/* One record, or none (rdata NULL). */
static void put_row(struct buf *out, const struct cached *e, uint16_t type,
		    const struct slice *rdata)
{
	char type_text[DNS_TYPE_TEXT];
	struct buf data = {0};
	buf_printf(out, "kind=%s", kind_text(e->kind));
	put_name(out, e->set.owner);
	buf_printf(out, " ttl=%u type=%s security=%s", e->set.ttl, dns_type_text(type, type_text),
		   security_text(e->security));
	if (rdata)
		dns_rdata_text(type, (const uint8_t *)rdata->p, rdata->len, &data);
	put(out, "data", buf_slice(&data));
	buf_addc(out, '\n');
	buf_free(&data);
}

/* The same as a line of a zone file. */
static void put_line(struct buf *out, const struct cached *e, uint16_t type,
		     const struct slice *rdata)
{
	char type_text[DNS_TYPE_TEXT], name[DNS_NAME_TEXT];
	if (rdata) {
		const struct zone_rr rr = {.owner = e->set.owner,
					   .type = type,
					   .ttl = e->set.ttl,
					   .rdata = (const uint8_t *)rdata->p,
					   .rdlen = rdata->len};
		zonetext_write(out, &rr);
		return;
	}
	dns_name_text(name, e->set.owner);
	buf_printf(out, "; %s %s: %s, %u s\n", name, dns_type_text(type, type_text),
		   kind_text(e->kind), e->set.ttl);
}

static void put_entry(struct buf *out, const struct cached *e, bool rows)
{
	void (*fn)(struct buf *, const struct cached *, uint16_t, const struct slice *) =
	    rows ? put_row : put_line;
	struct slice data = e->set.data, rdata;
	if (!e->set.n)
		fn(out, e, e->set.type, NULL);
	for (unsigned i = 0; rrset_next(&data, &rdata); i++)
		fn(out, e, i < e->set.n ? e->set.type : DNS_RRSIG, &rdata);
}

static void put_verdict(struct buf *out, const struct resolved *r, bool rows)
{
	char text[16];
	const char *rcode = rcode_text(r->rcode, text), *security = security_text(r->security);
	buf_printf(out, rows ? "kind=answer rcode=%s security=%s" : "; %s, %s", rcode, security);
	if (r->ede != RESOLVE_NO_EDE)
		buf_printf(out, rows ? " ede=%u" : ", extended error %u", r->ede);
	if (r->stale)
		buf_adds(out, rows ? " stale=yes" : ", stale");
	if (r->why[0] && rows)
		put(out, "why", slice_of(r->why));
	else if (r->why[0])
		buf_printf(out, ": %s", r->why);
	buf_addc(out, '\n');
}

/* --- the commands -------------------------------------------------------------------------------
 */
struct words {
	uint8_t name[DNS_NAME_MAX];
	uint16_t type;
	bool rows;
};

/* [NAME [TYPE]] [rows]; needed: the name. False: it was answered. */
static bool read_words(struct control_call *call, bool needed, struct words *out)
{
	struct conf_words *w = &call->words;
	*out = (struct words){.rows = !strcmp(w->w[w->n - 1], "rows")};
	w->n -= out->rows;
	if (w->n < 3 && needed) {
		control_done(call, "a name is wanted");
		return false;
	}
	if (w->n > 2 && !dns_name_from_text(slice_of(w->w[2]), out->name)) {
		control_done(call, "that is no domain name");
		return false;
	}
	dns_name_lower(out->name);
	if (w->n > 3 && !(out->type = dns_type_from_text(slice_of(w->w[3])))) {
		control_done(call, "no such type of records");
		return false;
	}
	return true;
}

struct lookup {
	struct control_call *call;
	bool rows, explained;
	struct explain explain;
};

static void on_found(void *arg, const struct resolved *r)
{
	struct lookup *l = arg;
	struct buf *out = &l->call->out;
	if (l->explained) {
		buf_add_slice(out, buf_slice(&l->explain.text));
		explain_end(&l->explain);
	}
	put_verdict(out, r, l->rows);
	for (unsigned i = 0; i < r->n; i++)
		put_entry(out, &r->part[i], l->rows);
	control_done(l->call, NULL);
	free(l);
}

static void begin(struct control_call *call, const struct words *w, bool explained)
{
	struct lookup *l = mem_alloc(sizeof(*l));
	*l = (struct lookup){.call = call, .rows = w->rows && !explained, .explained = explained};
	struct resolve_ask ask = {.name = w->name, .type = w->type ? w->type : DNS_A};
	if (explained) {
		explain_begin(&l->explain);
		ask.explain = &l->explain;
		ask.apart = true;
	}
	if (resolve(&ask, on_found, l))
		return;
	if (explained)
		explain_end(&l->explain);
	free(l);
	control_done(call, "too many questions are being found out");
}

static void look_up(struct control_call *call)
{
	struct words w;
	if (read_words(call, true, &w))
		begin(call, &w, false);
}

/* From the root, without what is known already. */
static void explain(struct control_call *call)
{
	struct words w;
	if (read_words(call, true, &w))
		begin(call, &w, true);
}

static void flush(struct control_call *call)
{
	struct words w;
	struct conf_words *words = &call->words;
	bool below = words->n > 3 && !strcmp(words->w[words->n - 1], "below");
	words->n -= below;
	if (!read_words(call, true, &w))
		return;
	size_t n = cache_flush(recurse_self.cache, w.name, w.type, below);
	resolve_flush(w.name);
	buf_printf(&call->out, "forgotten=%zu\n", n);
	control_done(call, NULL);
}

struct dump {
	struct buf *out;
	const uint8_t *under;
	bool rows, cut;
};

static bool dump_one(void *arg, unsigned space, const struct cached *e)
{
	struct dump *d = arg;
	(void)space;
	if (!dns_name_under(e->set.owner, d->under))
		return true;
	d->cut = d->out->len > DUMP_MAX;
	if (!d->cut)
		put_entry(d->out, e, d->rows);
	return !d->cut;
}

/* As much as a reply holds. */
static void dump(struct control_call *call)
{
	struct words w;
	if (!read_words(call, false, &w))
		return;
	struct dump d = {.out = &call->out, .under = w.name, .rows = w.rows};
	cache_each(recurse_self.cache, clock_sec(), dump_one, &d);
	if (d.cut && !d.rows)
		buf_adds(&call->out, "; there is more: name a domain\n");
	control_done(call, NULL);
}

static void show_stats(struct control_call *call)
{
	struct cache_stats s;
	cache_stats(recurse_self.cache, &s);
	uint64_t asked = s.hits + s.misses;
	buf_printf(
	    &call->out,
	    "entries=%llu octets=%llu octets-limit=%llu hits=%llu misses=%llu "
	    "hit-rate=%llu%% stale=%llu evicted=%llu expired=%llu waiting=%llu "
	    "failed=%llu bogus=%llu secure=%llu prefetched=%llu\n",
	    (unsigned long long)s.entries, (unsigned long long)s.octets,
	    (unsigned long long)conf.recursion.size, (unsigned long long)s.hits,
	    (unsigned long long)s.misses, (unsigned long long)(asked ? s.hits * 100 / asked : 0),
	    (unsigned long long)s.stale, (unsigned long long)s.evicted,
	    (unsigned long long)s.expired, (unsigned long long)recurse_stats.waiting,
	    (unsigned long long)recurse_stats.failed, (unsigned long long)recurse_stats.bogus,
	    (unsigned long long)recurse_stats.secure, (unsigned long long)recurse_stats.prefetched);
	control_done(call, NULL);
}

bool recurse_command(struct control_call *call)
{
	static const struct {
		const char *verb;
		void (*run)(struct control_call *call);
	} table[] = {{"lookup", look_up},
		     {"explain", explain},
		     {"flush", flush},
		     {"dump", dump},
		     {"stats", show_stats}};
	const struct conf_words *w = &call->words;
	if (w->n < 2 || strcmp(w->w[0], "dns") != 0)
		return false;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(w->w[1], table[i].verb) != 0)
			continue;
		if (recurse_self.cache)
			table[i].run(call);
		else
			control_done(call, "this dnsd has no cache server: dnsd.conf has no cache");
		return true;
	}
	return false;
}
