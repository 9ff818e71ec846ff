/* The directives local, rpz, block, dns64, rebinding. Their files are read here, once: a change of
 * them needs another process, as every change of the configuration does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "dnsd/dnsd.h"
#include "dnsd/policy/policy_int.h"

enum { MISTAKES_MOST = 10 }; /* of a file */

#define L(field) offsetof(struct local_conf, field)
#define D(field) offsetof(struct dns64_conf, field)
#define R(field) offsetof(struct rebind_conf, field)
#define WEEK_MS  (7 * 24 * 3600 * 1000ull)

const struct conf_directive conf_local_table[] = {
    {.name = "record",
     .type = CONF_STRING,
     .offset = L(records),
     .flags = CONF_MULTI,
     .arg = "text",
     .help = "A record as zone files have it: \"router.lan A 10.0.0.1\".\n"
	     "Other types of its name do not exist then; CNAME records are followed, into the "
	     "world too, and * stands for names that are not there."},
    {.name = "zone",
     .type = CONF_WORDS,
     .offset = L(zones),
     .flags = CONF_MULTI,
     .arg = "name [file]",
     .help = "Of this zone there is nothing but the records here and those of the file."},
    {.name = "ttl",
     .type = CONF_DURATION,
     .offset = L(ttl),
     .def = "1h",
     .max = WEEK_MS,
     .help = "Of records that do not say it."},
    {.name = "reverse",
     .type = CONF_BOOL,
     .offset = L(reverse),
     .def = "on",
     .help = "Addresses have the names, by PTR records, that they are given here."},
    {0}};

const struct conf_directive conf_rpz_table[] = {
    {.name = "file",
     .type = CONF_PATH,
     .offset = offsetof(struct rpz_conf, file),
     .flags = CONF_EXISTS,
     .help = "The zone's text, read when dnsd starts; without it, the zone is one of those that "
	     "are served here, of the store or from primaries, too, and is followed."},
    {0}};

/* In the order of enum list_action. */
static const char *const ACTIONS[] = {"nxdomain", "nodata", "drop", "tcp", "pass", NULL};

const struct conf_directive conf_block_table[] = {
    {.name = "action",
     .type = CONF_ENUM,
     .offset = offsetof(struct block_conf, action),
     .def = "nxdomain",
     .names = ACTIONS,
     .help = "What is said of the names: that there is no such name, or no data of it; nothing at "
	     "all; by UDP that the client is to come by TCP; or what is so, whatever lists behind "
	     "this one say."},
    {0}};

const struct conf_directive conf_dns64_table[] = {
    {.name = "clients",
     .type = CONF_NET,
     .offset = D(clients),
     .flags = CONF_MULTI,
     .help = "For clients in these networks; all, unless given."},
    {.name = "exclude",
     .type = CONF_NET,
     .offset = D(exclude),
     .flags = CONF_MULTI,
     .help = "AAAA records with these addresses are as if they were not there; ::ffff:0:0/96, "
	     "unless given."},
    {.name = "not-of",
     .type = CONF_NET,
     .offset = D(not_of),
     .flags = CONF_MULTI,
     .help = "IPv4 addresses that none is made of."},
    {0}};

const struct conf_directive conf_rebind_table[] = {
    {.name = "private",
     .type = CONF_NET,
     .offset = R(nets),
     .flags = CONF_MULTI,
     .help = "The addresses that are taken out of answers; those that are private, link-local or "
	     "this machine's, unless given."},
    {.name = "allow",
     .type = CONF_WORDS,
     .offset = R(names),
     .flags = CONF_MULTI,
     .arg = "name ...",
     .help = "Names, and all below them, that may have such addresses.\nThose of forward and stub "
	     "zones but \".\" may have them anyhow."},
    {.name = "allow-networks",
     .type = CONF_NET,
     .offset = R(fine),
     .flags = CONF_MULTI,
     .help = "Addresses that are allowed nevertheless."},
    {0}};

/* --- records ------------------------------------------------------------------------------------
 */

struct reading {
	struct conf_errors *e;
	const struct conf_where *where;
	struct local *local; /* or a list */
	struct list *list;
	const char *what;
	const uint8_t *origin;
	unsigned mistakes;
};

static void mistake(void *arg, const char *line)
{
	struct reading *r = arg;
	if (r->mistakes++ < MISTAKES_MOST)
		conf_error(r->e, r->where, "%s: %s", r->what, line);
}

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct reading *r = arg;
	const char *why = NULL;
	char line[512];
	uint8_t owner[DNS_NAME_MAX];
	struct zone_rr own = *rr;
	bool ok;
	if (r->list) { /* triggers are told without the zone's name */
		size_t n = dns_name_len(rr->owner) - dns_name_len(r->origin);
		memcpy(owner, rr->owner, n);
		owner[n] = 0;
		own.owner = owner;
		ok = list_rr(r->list, &own, &why);
	} else {
		ok = local_add(r->local, rr, &why);
	}
	if (!ok) {
		str_fmt(line, sizeof(line), "%s:%u: %s", rr->file, rr->line, why);
		mistake(r, line);
	}
	return true;
}

static void read_text(struct reading *r, uint32_t ttl, const char *file, const char *text)
{
	const struct zonetext z = {.origin = r->origin,
				   .ttl = ttl,
				   .no_include = text != NULL,
				   .on_rr = on_rr,
				   .on_error = mistake,
				   .arg = r};
	if (text)
		zonetext_memory(&z, "record", slice_of(text));
	else
		zonetext_file(&z, file);
}

void conf_names_verify(struct conf_errors *e, unsigned view, const struct names_conf *n)
{
	static const uint8_t root[] = "";
	const struct local_conf *c = &n->local;
	uint8_t zone[DNS_NAME_MAX];
	if (!c->block.present)
		return;
	struct reading r = {.e = e,
			    .where = &c->block.where,
			    .local = policy_local(view),
			    .what = "local",
			    .origin = root};
	uint32_t ttl = (uint32_t)(c->ttl / 1000);
	for (size_t i = 0; i < c->records.n; i++)
		read_text(&r, ttl, NULL, *(const char **)c->records.item[i]);
	for (size_t i = 0; i < c->zones.n; i++) {
		const struct conf_words *w = c->zones.item[i];
		r.where = &w->where;
		r.origin = zone;
		if (!dns_name_from_text(slice_of(w->w[0]), zone) || w->n > 2) {
			conf_error(e, &w->where,
				   "local: zone: a name is wanted, and perhaps a file");
			continue;
		}
		local_zone(r.local, zone);
		if (w->n == 2) {
			struct pool *p = pool_new(0);
			read_text(&r, ttl, conf_path(p, &w->where, w->w[1]), NULL);
			pool_free(&p);
		}
	}
	local_finish(r.local, c->reverse);
}

/* --- lists --------------------------------------------------------------------------------------
 */

static void read_rpz(struct conf_errors *e, struct rpz_conf *c)
{
	uint8_t zone[DNS_NAME_MAX];
	if (c->block.args.n != 1 || !dns_name_from_text(slice_of(c->block.args.w[0]), zone)) {
		conf_error(e, &c->block.where, "rpz: the zone's name is wanted");
		return;
	}
	struct reading r = {.e = e,
			    .where = &c->block.where,
			    .list = list_new(c->block.args.w[0]),
			    .what = "rpz",
			    .origin = zone};
	if (c->file)
		read_text(&r, 3600, c->file, NULL);
	c->list = policy_add_list(r.list);
}

static void read_list(struct conf_errors *e, const struct block_conf *c, const char *path,
		      struct list *l)
{
	char *line = NULL;
	size_t cap = 0;
	unsigned n = 0, mistakes = 0;
	FILE *f = fopen(path, "re");
	if (!f) {
		conf_error(e, &c->block.where, "block: %s: %s", path, strerror(errno));
		return;
	}
	for (ssize_t len; (len = getline(&line, &cap, f)) >= 0;) {
		n++;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			len--;
		if (!list_line(l, (struct slice){line, (size_t)len}, (enum list_action)c->action) &&
		    mistakes++ < MISTAKES_MOST)
			conf_error(
			    e, &c->block.where,
			    "block: %s:%u: a name, *.name, or an address and names are wanted",
			    path, n);
	}
	free(line);
	fclose(f);
}

static void read_blocks(struct conf_errors *e, struct pool *pool, const struct block_conf *c)
{
	if (!c->block.args.n)
		conf_error(e, &c->block.where, "block: files are wanted");
	for (size_t i = 0; i < c->block.args.n; i++) {
		const char *word = c->block.args.w[i], *slash = strrchr(word, '/');
		struct list *l = list_new(slash ? slash + 1 : word);
		read_list(e, c, conf_path(pool, &c->block.where, word), l);
		policy_add_list(l);
	}
}

/* --- DNS64 and rebinding ------------------------------------------------------------------------
 */

static void add_net(struct net *out, const struct conf_net *in)
{
	net_client((const struct sockaddr *)&in->sa, out->addr);
	out->bits = in->bits + (in->sa.ss_family == AF_INET ? 96 : 0);
}

static struct net *nets_of(struct pool *pool, const struct conf_list *l)
{
	struct net *n = pool_alloc(pool, (l->n + 1) * sizeof(*n));
	for (size_t i = 0; i < l->n; i++)
		add_net(&n[i], l->item[i]);
	return n;
}

static bool read_prefix(const char *text, struct net *out)
{
	struct sockaddr_storage sa;
	socklen_t len;
	char addr[64];
	uint32_t bits = 0;
	const char *slash = strchr(text, '/');
	if (!slash || (size_t)(slash - text) >= sizeof(addr) ||
	    !str_u32(slice_of(slash + 1), &bits))
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = 0;
	if (!conf_ip(addr, &sa, &len) || sa.ss_family != AF_INET6)
		return false;
	net_client((const struct sockaddr *)&sa, out->addr);
	out->bits = bits;
	return bits == 96 || (bits >= 32 && bits <= 64 && bits % 8 == 0);
}

static void read_dns64(struct conf_errors *e, struct pool *pool, const struct dns64_conf *c)
{
	static struct net mapped = {.addr = {[10] = 0xff, [11] = 0xff}, .bits = 96};
	struct dns64 d = {.clients = nets_of(pool, &c->clients),
			  .clients_n = c->clients.n,
			  .exclude = c->exclude.n ? nets_of(pool, &c->exclude) : &mapped,
			  .exclude_n = c->exclude.n ? c->exclude.n : 1,
			  .not_of = nets_of(pool, &c->not_of),
			  .not_of_n = c->not_of.n};
	if (c->block.args.n != 1 || !read_prefix(c->block.args.w[0], &d.prefix)) {
		conf_error(e, &c->block.where,
			   "dns64: a prefix of 32, 40, 48, 56, 64 or 96 bits is wanted "
			   "(64:ff9b::/96)");
		return;
	}
	policy_set_dns64(&d);
}

static const uint8_t *const *names_of(struct conf_errors *e, struct pool *pool,
				      const struct conf_list *l, size_t *n)
{
	size_t all = 0;
	*n = 0;
	for (size_t i = 0; i < l->n; i++)
		all += ((const struct conf_words *)l->item[i])->n;
	const uint8_t **names = pool_alloc(pool, (all + 1) * sizeof(*names));
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_words *w = l->item[i];
		for (size_t k = 0; k < w->n; k++) {
			uint8_t *name = pool_alloc(pool, DNS_NAME_MAX);
			if (dns_name_from_text(slice_of(w->w[k]), name))
				names[(*n)++] = name;
			else
				conf_error(e, &w->where, "rebinding: \"%s\" is no domain name",
					   w->w[k]);
		}
	}
	return names;
}

static void read_rebinding(struct conf_errors *e, struct pool *pool, const struct rebind_conf *c)
{
	static const struct net usual[] = {
	    {{[10] = 0xff, 0xff, 0}, 104},        /* this network */
	    {{[10] = 0xff, 0xff, 10}, 104},       /* RFC 1918 */
	    {{[10] = 0xff, 0xff, 172, 16}, 108},  /* likewise */
	    {{[10] = 0xff, 0xff, 192, 168}, 112}, /* likewise */
	    {{[10] = 0xff, 0xff, 127}, 104},      /* this machine */
	    {{[10] = 0xff, 0xff, 169, 254}, 112}, /* link-local */
	    {{[10] = 0xff, 0xff, 100, 64}, 106},  /* RFC 6598 */
	    {{0}, 127},                           /* :: and ::1 */
	    {{0xfc}, 7},                          /* RFC 4193 */
	    {{0xfe, 0x80}, 10},                   /* link-local */
	};
	size_t n = c->nets.n ? c->nets.n : sizeof(usual) / sizeof(usual[0]);
	struct net *nets = c->nets.n ? nets_of(pool, &c->nets) : pool_alloc(pool, sizeof(usual));
	if (!c->nets.n)
		memcpy(nets, usual, sizeof(usual));
	struct rebind b = {.on = true,
			   .nets = nets,
			   .nets_n = n,
			   .fine = nets_of(pool, &c->fine),
			   .fine_n = c->fine.n};
	b.names = names_of(e, pool, &c->names, &b.names_n);
	policy_set_rebind(&b);
}

void conf_policy_verify(struct conf_errors *e, struct pool *pool, const struct policy_conf *p)
{
	conf_forwards_verify(e, pool, 0, &p->names);
	conf_names_verify(e, 0, &p->names);
	for (size_t i = 0; i < p->rpzs.n; i++)
		read_rpz(e, p->rpzs.item[i]);
	for (size_t i = 0; i < p->blocks.n; i++)
		read_blocks(e, pool, p->blocks.item[i]);
	if (p->dns64.block.present)
		read_dns64(e, pool, &p->dns64);
	if (p->rebinding.block.present)
		read_rebinding(e, pool, &p->rebinding);
	if (p->special_names)
		policy_special_names();
}
