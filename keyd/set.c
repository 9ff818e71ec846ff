/* The certificates of STATE-DIR/certs, one file each: chain and key together, so that a rename
 * replaces both at once. */
#include "keyd/keyd.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <gnutls/crypto.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/folder.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { GRACE_MS = 60000, NAMES_MAX = 100, FINGERPRINT = 8 };
#define WARN_MS (14ull * 24 * 3600 * 1000) /* an imported one ends: say so */

struct list set_certs;
static char *dir; /* STATE-DIR/certs */
void (*set_changed)(void);

static void tell(void)
{
	if (set_changed)
		set_changed();
}

/* --- one certificate ------------------------------------------------------------------------ */

static void old_key_drop(struct cert *c)
{
	if (c->old_key)
		gnutls_privkey_deinit(c->old_key);
	free(c->old_id);
	c->old_key = NULL;
	c->old_id = NULL;
}

static void cert_free(struct cert *c)
{
	list_del(&c->link);
	old_key_drop(c);
	if (c->key)
		gnutls_privkey_deinit(c->key);
	pair_free(&c->pair);
	buf_free(&c->names);
	buf_free(&c->chain_pem);
	free(c->id);
	free(c->name);
	free(c);
}

static char *make_id(const char *name, struct slice chain)
{
	unsigned char hash[32];
	char hex[2 * FINGERPRINT + 1];
	char *id = mem_alloc(strlen(name) + sizeof(hex) + 1);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, chain.p, chain.len, hash);
	str_hex(hex, hash, FINGERPRINT);
	str_fmt(id, strlen(name) + sizeof(hex) + 1, "%s/%s", name, hex);
	return id;
}

/* Takes over the pair; the former key stays usable for GRACE_MS. */
static bool cert_set(struct cert *c, struct pair *pair, struct why *w)
{
	gnutls_privkey_t key = NULL;
	int r = gnutls_privkey_init(&key);
	if (r == 0)
		r = gnutls_privkey_import_x509(key, pair->key, GNUTLS_PRIVKEY_IMPORT_COPY);
	if (r != 0) {
		if (key)
			gnutls_privkey_deinit(key);
		return why_set(w, "the key cannot be used: %s", gnutls_strerror(r));
	}
	old_key_drop(c);
	c->old_key = c->key;
	c->old_id = c->id;
	c->old_until = clock_mono() + GRACE_MS;
	c->key = key;
	pair_free(&c->pair);
	c->pair = *pair;
	*pair = (struct pair){0};
	buf_clear(&c->names);
	buf_clear(&c->chain_pem);
	pair_names(&c->pair, &c->names);
	pair_pem(&c->pair, &c->chain_pem, NULL);
	c->id = make_id(c->name, buf_slice(&c->chain_pem));
	c->local = ca_issued(c->pair.chain[0]);
	return true;
}

static struct cert *cert_add(struct slice name)
{
	struct cert *c = mem_alloc(sizeof(*c));
	c->name = mem_strndup(name.p, name.len);
	const struct cert_conf *cc = conf_cert(c->name);
	c->roles = conf_roles(cc);
	c->is_default = cc && cc->is_default;
	list_add_tail(&set_certs, &c->link);
	return c;
}

static void file_name(const char *name, char out[128])
{
	str_fmt(out, 128, "%s.pem", name);
}

/* On disk first, then in use. Takes over the pair. */
static bool store(struct slice name, struct pair *pair, struct why *w)
{
	char file[128], text[128];
	struct buf pem = {0};
	str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(name));
	file_name(text, file);
	pair_pem(pair, &pem, &pem);
	bool ok = file_write(dir, file, buf_slice(&pem), 0600, w);
	mem_wipe(pem.p, pem.cap);
	if (!ok)
		return false;
	struct cert *c = set_find(name);
	if (!c)
		c = cert_add(name);
	return cert_set(c, pair, w);
}

static bool issue(struct slice name, const struct slice *names, size_t n, struct why *w)
{
	struct buf pem = {0};
	struct pair pair = {0};
	bool ok = ca_issue(names, n, &pem, w) && pair_parse(buf_slice(&pem), &pair, w) &&
		  store(name, &pair, w);
	pair_free(&pair);
	mem_wipe(pem.p, pem.cap);
	if (ok)
		log_event(LOG_LV_INFO, NULL, "certificate-issued", LSL("name", name),
			  LSL("hosts", buf_slice(&set_find(name)->names)));
	return ok;
}

/* --- start-up -------------------------------------------------------------------------------- */

/* The names of the configuration as pair_names would write them. */
static size_t conf_names(const struct cert_conf *cc, struct slice *out, struct buf *text)
{
	size_t n = cc->names.n < NAMES_MAX ? cc->names.n : NAMES_MAX;
	for (size_t i = 0; i < n; i++) {
		unsigned char addr[16];
		char again[INET6_ADDRSTRLEN];
		const char *s = cc->names.w[i];
		if (inet_pton(AF_INET6, s, addr) == 1)
			s = inet_ntop(AF_INET6, addr, again, sizeof(again));
		out[i] = slice_of(cc->names.w[i]);
		if (i)
			buf_addc(text, ' ');
		buf_adds(text, s);
	}
	return n;
}

/* False: not there, or unusable (w filled). */
static bool load(const char *name, struct why *w)
{
	char file[128];
	size_t len;
	struct pair pair;
	file_name(name, file);
	char *pem = file_read(dir, file, &len, w);
	if (!pem)
		return false;
	bool ok = pair_parse((struct slice){pem, len}, &pair, w);
	mem_wipe(pem, len);
	if (!ok)
		return false;
	struct cert *c = cert_add(slice_of(name));
	ok = cert_set(c, &pair, w);
	pair_free(&pair);
	if (!ok)
		cert_free(c);
	return ok;
}

static bool open_configured(const struct cert_conf *cc, struct why *w)
{
	struct slice names[NAMES_MAX];
	struct buf text = {0};
	const char *name = cc->block.args.w[0];
	size_t n = conf_names(cc, names, &text);
	bool ok = load(name, w);
	const struct cert *c = set_find(slice_of(name));
	if (!ok && w->text[0]) {
		/* Perhaps an administrator's own: not overwritten. */
		log_event(LOG_LV_ERROR, NULL, "certificate-unusable", LS("name", name),
			  LS("reason", w->text));
		ok = true;
	} else if (!ok || (c->local && !slice_eq(buf_slice(&c->names), buf_slice(&text)))) {
		ok = issue(slice_of(name), names, n, w);
	}
	buf_free(&text);
	return ok;
}

static void open_others(void)
{
	struct why w = {0};
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct slice name = slice_of(e->d_name);
		if (name.len <= 4 || strcmp(e->d_name + name.len - 4, ".pem") != 0)
			continue;
		name.len -= 4;
		e->d_name[name.len] = 0;
		if (!cert_name_ok(name) || conf_cert(e->d_name) || load(e->d_name, &w))
			continue;
		log_event(LOG_LV_ERROR, NULL, "certificate-unusable", LS("name", e->d_name),
			  LS("reason", w.text));
	}
	if (d)
		closedir(d);
}

bool set_open(struct why *w)
{
	size_t n = strlen(conf.state_dir) + sizeof("/certs");
	list_init(&set_certs);
	dir = mem_alloc(n);
	str_fmt(dir, n, "%s/certs", conf.state_dir);
	int e = folder_make(conf.state_dir, 0755, 0700);
	if (e == 0)
		e = folder_make(dir, 0700, 0700);
	if (e)
		return why_set(w, "%s: %s", dir, strerror(e));
	if (!ca_open(w))
		return false;
	for (size_t i = 0; i < conf.certs.n; i++)
		if (!open_configured(conf.certs.item[i], w))
			return false;
	open_others();
	set_tick();
	return true;
}

void set_close(void)
{
	while (!list_empty(&set_certs))
		cert_free(list_entry(set_certs.next, struct cert, link));
	free(dir);
	dir = NULL;
	ca_close();
}

/* --- looking up --------------------------------------------------------------------------------
 */

struct cert *set_find(struct slice name)
{
	list_each(it, &set_certs)
	{
		struct cert *c = list_entry(it, struct cert, link);
		if (slice_eqs(name, c->name))
			return c;
	}
	return NULL;
}

gnutls_privkey_t set_key(struct slice id, const struct cert **owner)
{
	list_each(it, &set_certs)
	{
		struct cert *c = list_entry(it, struct cert, link);
		*owner = c;
		if (slice_eqs(id, c->id))
			return c->key;
		if (c->old_id && slice_eqs(id, c->old_id) && clock_mono() < c->old_until)
			return c->old_key;
	}
	return NULL;
}

const struct cert *set_default(enum role role)
{
	const struct cert *first = NULL;
	list_each(it, &set_certs)
	{
		const struct cert *c = list_entry(it, struct cert, link);
		if (!(c->roles & R_BIT(role)))
			continue;
		if (c->is_default)
			return c;
		if (!first)
			first = c;
	}
	return first;
}

/* --- changes -----------------------------------------------------------------------------------
 */

bool set_issue(struct slice name, const struct slice *names, size_t n, struct why *w)
{
	const struct cert *c = set_find(name);
	if (!cert_name_ok(name))
		return why_set(w, "a certificate's name has letters, digits, '.', '-' and '_'");
	if (c && conf_cert(c->name))
		return why_set(w, "it stands in keyd.conf: change its names there");
	if (c && !c->local)
		return why_set(w, "an imported certificate has this name: delete it first");
	if (n > NAMES_MAX)
		return why_set(w, "more than %d names", NAMES_MAX);
	for (size_t i = 0; i < n; i++)
		if (!host_ok(names[i]))
			return why_set(
			    w,
			    "\"%.*s\" is not a host name in lower case, a wildcard or an "
			    "address",
			    SLICE_FMT(names[i]));
	if (!issue(name, names, n, w))
		return false;
	tell();
	return true;
}

bool set_import(struct slice name, struct slice pem, struct why *w)
{
	struct pair pair;
	if (!cert_name_ok(name))
		return why_set(w, "a certificate's name has letters, digits, '.', '-' and '_'");
	if (!pair_parse(pem, &pair, w))
		return false;
	bool ok = pair_current(&pair, w) && store(name, &pair, w);
	pair_free(&pair);
	if (!ok)
		return false;
	log_event(LOG_LV_INFO, NULL, "certificate-imported", LSL("name", name),
		  LSL("hosts", buf_slice(&set_find(name)->names)));
	tell();
	return true;
}

/* A new key and certificate for the names that it has. */
static bool renew(const struct cert *c, struct why *w)
{
	struct slice names[NAMES_MAX], word;
	size_t n = 0;
	char *copy = mem_strndup(c->names.p, c->names.len);
	struct slice rest = slice_of(copy);
	while (n < NAMES_MAX && (word = slice_word(&rest)).len)
		names[n++] = word;
	bool ok = issue(slice_of(c->name), names, n, w);
	free(copy);
	return ok;
}

bool set_renew(struct cert *c, struct why *w)
{
	if (!c->local)
		return why_set(w, "it was imported: import the new one");
	if (!renew(c, w))
		return false;
	tell();
	return true;
}

bool set_delete(struct cert *c, struct why *w)
{
	char file[128];
	const struct cert_conf *cc = conf_cert(c->name);
	if (cc && c->local)
		return why_set(w, "it stands in keyd.conf: take it out there first");
	file_name(c->name, file);
	if (!file_remove(dir, file, w))
		return false;
	log_event(LOG_LV_INFO, NULL, "certificate-deleted", LS("name", c->name));
	bool ok = true;
	if (cc) { /* the local CA's comes back in place of the imported one */
		struct slice names[NAMES_MAX];
		struct buf text = {0};
		size_t n = conf_names(cc, names, &text);
		ok = issue(slice_of(c->name), names, n, w);
		buf_free(&text);
	} else {
		cert_free(c);
	}
	tell();
	return ok;
}

static bool tick_one(struct cert *c, uint64_t now)
{
	struct why w = {0};
	if (c->old_key && clock_mono() >= c->old_until)
		old_key_drop(c);
	if (c->local && now + conf.renew_before >= c->pair.not_after) {
		if (renew(c, &w))
			return true;
		log_event(LOG_LV_ERROR, NULL, "certificate-not-renewed", LS("name", c->name),
			  LS("reason", w.text));
	}
	return false;
}

void set_tick(void)
{
	static uint64_t warned;
	uint64_t now = clock_ms();
	bool changed = false, warn = now >= warned;
	if (warn)
		warned = now + 24ull * 3600 * 1000;
	list_each(it, &set_certs)
	{
		struct cert *c = list_entry(it, struct cert, link);
		changed |= tick_one(c, now);
		if (warn && !c->local && now + WARN_MS >= c->pair.not_after)
			log_event(LOG_LV_WARN, NULL, "certificate-ends", LS("name", c->name),
				  LU("days", c->pair.not_after > now
						 ? (c->pair.not_after - now) / (24ull * 3600 * 1000)
						 : 0));
	}
	if (changed)
		tell();
}
