/* `hamletctl dns`: looks up, forgets, shows what the cache has. Each row is a line of KEY=VALUE
 * words; those of names and data are quoted as in configuration files. */
#include <stdlib.h>
#include <string.h>
#include "dnsd/recurse/recurse_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/rdata.h"

enum { DUMP_MAX = 900 * 1024 /* octets: a reply has 1 MiB at most */ };

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

static void put_entry(struct buf *out, const struct cached *e)
{
	struct slice data = e->set.data, rdata;
	if (!e->set.n)
		put_row(out, e, e->set.type, NULL);
	for (unsigned i = 0; rrset_next(&data, &rdata); i++)
		put_row(out, e, i < e->set.n ? e->set.type : DNS_RRSIG, &rdata);
}

static void put_resolved(struct buf *out, const struct resolved *r)
{
	char text[16];
	buf_printf(out, "kind=answer rcode=%s security=%s", rcode_text(r->rcode, text),
		   security_text(r->security));
	if (r->ede != RESOLVE_NO_EDE)
		buf_printf(out, " ede=%u", r->ede);
	if (r->why[0])
		put(out, "why", slice_of(r->why));
	if (r->stale)
		buf_adds(out, " stale=yes");
	buf_addc(out, '\n');
	for (unsigned i = 0; i < r->n; i++)
		put_entry(out, &r->part[i]);
}

/* --- the commands -------------------------------------------------------------------------------
 */
struct words {
	uint8_t name[DNS_NAME_MAX];
	uint16_t type;
};

/* NAME [TYPE]; false: it was answered. */
static bool read_words(struct control_call *call, struct words *out)
{
	const struct conf_words *w = &call->words;
	*out = (struct words){0};
	if (w->n < 3 || !dns_name_from_text(slice_of(w->w[2]), out->name)) {
		control_done(call, w->n < 3 ? "a name is wanted" : "that is no domain name");
		return false;
	}
	dns_name_lower(out->name);
	if (w->n > 3 && !(out->type = dns_type_from_text(slice_of(w->w[3])))) {
		control_done(call, "no such type of records");
		return false;
	}
	return true;
}

static void on_found(void *arg, const struct resolved *r)
{
	struct control_call *call = arg;
	put_resolved(&call->out, r);
	control_done(call, NULL);
}

static void look_up(struct control_call *call)
{
	struct words w;
	if (!read_words(call, &w))
		return;
	const struct resolve_ask ask = {.name = w.name, .type = w.type ? w.type : DNS_A};
	if (!resolve(&ask, on_found, call))
		control_done(call, "too many questions are being found out");
}

static void flush(struct control_call *call)
{
	struct words w;
	const struct conf_words *words = &call->words;
	bool below = words->n > 3 && !strcmp(words->w[words->n - 1], "below");
	call->words.n -= below;
	if (!read_words(call, &w))
		return;
	size_t n = cache_flush(recurse_self.cache, w.name, w.type, below);
	buf_printf(&call->out, "forgotten=%zu\n", n);
	control_done(call, NULL);
}

struct dump {
	struct buf *out;
	const uint8_t *under;
	bool cut;
};

static bool dump_one(void *arg, unsigned space, const struct cached *e)
{
	struct dump *d = arg;
	(void)space;
	if (d->under && !dns_name_under(e->set.owner, d->under))
		return true;
	d->cut = d->out->len > DUMP_MAX;
	if (!d->cut)
		put_entry(d->out, e);
	return !d->cut;
}

/* As much as a reply holds. */
static void dump(struct control_call *call)
{
	struct words w;
	struct dump d = {.out = &call->out};
	if (call->words.n > 2) {
		if (!read_words(call, &w))
			return;
		d.under = w.name;
	}
	cache_each(recurse_self.cache, clock_sec(), dump_one, &d);
	control_done(call, d.cut ? "there is more: name a domain" : NULL);
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
	} table[] = {{"lookup", look_up}, {"flush", flush}, {"dump", dump}, {"stats", show_stats}};
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
