/* "cert ..." of hamletctl. The answers are cells: one record a certificate. */
#include "keyd/keyd.h"
#include <stdlib.h>
#include <string.h>
#include "libcommon/base/log.h"

enum { CELLS_MAX = 24 };

struct ctl {
	struct conn *conn;
	uint32_t request;
	struct pool *pool;
	const struct slice *arg; /* the words after the command's two */
	size_t n;
	struct slice secret;
	struct row_cell *cells;
	uint32_t cells_n, record;
};

static void add(struct ctl *c, enum cell_kind kind, const char *name, const char *text)
{
	c->cells[c->cells_n++] = (struct row_cell){.record = c->record,
						   .kind = kind,
						   .name = slice_of(name),
						   .text = slice_of(pool_strdup(c->pool, text))};
}

static void add_time(struct ctl *c, const char *name, uint64_t ms)
{
	add(c, CELL_TIME, name, pool_printf(c->pool, "%llu", (unsigned long long)ms));
}

static void done(struct ctl *c)
{
	const struct msg_ctl_reply m = {
	    .cells = c->cells, .cells_n = c->cells_n, .body = BODY_NONE};
	conn_reply(c->conn, c->request, MSG_ctl_reply, &m);
}

static void fail(struct ctl *c, enum ipc_err e, const char *text)
{
	conn_error(c->conn, c->request, e, text);
}

static const char *roles_text(struct pool *pool, unsigned roles)
{
	if (roles == R_TLS)
		return "all";
	const char *text = "";
	for (int r = ROLE_NONE + 1; r < ROLE_COUNT; r++)
		if (roles & R_BIT(r))
			text = pool_printf(pool, "%s%s%s", text, *text ? " " : "",
					   role_name((enum role)r));
	return text;
}

static const char *key_text(struct pool *pool, const struct cert *c)
{
	return pool_printf(pool, "%s-%u", c->pair.pk == GNUTLS_PK_RSA ? "RSA" : "ECDSA",
			   c->pair.bits);
}

static void add_summary(struct ctl *c, const struct cert *cert)
{
	add(c, CELL_TEXT, "name", cert->name);
	add(c, CELL_TEXT, "source", cert->local ? "local" : "imported");
	add(c, CELL_TEXT, "key", key_text(c->pool, cert));
	add_time(c, "not-after", cert->pair.not_after);
	add(c, CELL_TEXT, "roles", roles_text(c->pool, cert->roles));
	add(c, CELL_TEXT, "hosts", pool_strndup(c->pool, cert->names.p, cert->names.len));
}

static void add_dn(struct ctl *c, const char *name, gnutls_x509_crt_t crt,
		   int (*get)(gnutls_x509_crt_t, gnutls_datum_t *, unsigned))
{
	gnutls_datum_t d;
	if (get(crt, &d, 0) != 0)
		return;
	add(c, CELL_TEXT, name, pool_strndup(c->pool, (const char *)d.data, d.size));
	gnutls_free(d.data);
}

static void show(struct ctl *c, const struct cert *cert)
{
	unsigned char bytes[64];
	char hex[129];
	size_t len = sizeof(bytes);
	gnutls_x509_crt_t crt = cert->pair.chain[0];
	add_summary(c, cert);
	add_time(c, "not-before", cert->pair.not_before);
	add(c, CELL_BOOL, "default", cert->is_default ? "1" : "0");
	add(c, CELL_BOOL, "configured", conf_cert(cert->name) ? "1" : "0");
	add(c, CELL_NUMBER, "chain", pool_printf(c->pool, "%u", cert->pair.n));
	add_dn(c, "subject", crt, gnutls_x509_crt_get_dn3);
	add_dn(c, "issuer", crt, gnutls_x509_crt_get_issuer_dn3);
	if (gnutls_x509_crt_get_serial(crt, bytes, &len) == 0) {
		str_hex(hex, bytes, len);
		add(c, CELL_TEXT, "serial", hex);
	}
	len = sizeof(bytes);
	if (gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, bytes, &len) == 0) {
		str_hex(hex, bytes, len);
		add(c, CELL_TEXT, "sha256", hex);
	}
	done(c);
}

/* The certificate that the first argument names; NULL after the answer. */
static struct cert *named(struct ctl *c)
{
	struct cert *cert = set_find(c->arg[0]);
	if (!cert)
		fail(c, ERR_NOTFOUND, "there is no certificate of this name");
	return cert;
}

static void cmd_list(struct ctl *c)
{
	size_t n = 0;
	list_each(it, &set_certs) n++;
	c->cells = pool_alloc(c->pool, (n + 1) * CELLS_MAX * sizeof(*c->cells));
	list_each(it, &set_certs)
	{
		add_summary(c, list_entry(it, struct cert, link));
		c->record++;
	}
	done(c);
}

static void cmd_show(struct ctl *c)
{
	const struct cert *cert = named(c);
	if (cert)
		show(c, cert);
}

/* A change was made or refused. */
static void changed(struct ctl *c, bool ok, const struct why *w)
{
	if (ok)
		show(c, set_find(c->arg[0]));
	else
		fail(c, ERR_BAD, w->text);
}

static void cmd_issue(struct ctl *c)
{
	struct why w = {0};
	changed(c, set_issue(c->arg[0], c->arg + 1, c->n - 1, &w), &w);
}

static void cmd_import(struct ctl *c)
{
	struct why w = {0};
	if (!c->secret.len)
		fail(c, ERR_BAD, "the certificates and the key (PEM) must come along");
	else
		changed(c, set_import(c->arg[0], c->secret, &w), &w);
}

static void cmd_renew(struct ctl *c)
{
	struct why w = {0};
	struct cert *cert = named(c);
	if (cert)
		changed(c, set_renew(cert, &w), &w);
}

static void cmd_delete(struct ctl *c)
{
	struct why w = {0};
	struct cert *cert = named(c);
	if (!cert)
		return;
	if (set_delete(cert, &w))
		done(c);
	else
		fail(c, ERR_BAD, w.text);
}

static void cmd_ca(struct ctl *c)
{
	struct slice pem = ca_pem();
	add(c, CELL_TEXT, "pem", pool_strndup(c->pool, pem.p, pem.len));
	done(c);
}

static const struct {
	const char *verb, *usage;
	size_t min, max;
	void (*fn)(struct ctl *c);
} COMMAND[] = {
    {"list", "cert list", 0, 0, cmd_list},
    {"show", "cert show NAME", 1, 1, cmd_show},
    {"issue", "cert issue NAME HOST ...", 2, 101, cmd_issue},
    {"import", "cert import NAME FILE", 1, 1, cmd_import},
    {"renew", "cert renew NAME", 1, 1, cmd_renew},
    {"delete", "cert delete NAME", 1, 1, cmd_delete},
    {"ca", "cert ca", 0, 0, cmd_ca},
};

static void run(struct ctl *c, const struct msg_ctl *m)
{
	if (m->words_n < 2 || !slice_eqs(m->words[0].text, "cert")) {
		fail(c, ERR_BAD, "keyd knows \"cert\" only");
		return;
	}
	for (size_t i = 0; i < sizeof(COMMAND) / sizeof(COMMAND[0]); i++) {
		if (!slice_eqs(m->words[1].text, COMMAND[i].verb))
			continue;
		if (c->n < COMMAND[i].min || c->n > COMMAND[i].max)
			fail(c, ERR_BAD,
			     pool_printf(c->pool, "usage: hamletctl %s", COMMAND[i].usage));
		else
			COMMAND[i].fn(c);
		return;
	}
	fail(c, ERR_BAD, "unknown: cert list, show, issue, import, renew, delete, ca");
}

void ctl_request(struct conn *conn, uint32_t request, const struct msg_ctl *m)
{
	struct ctl c = {.conn = conn, .request = request, .pool = pool_new(0), .secret = m->secret};
	struct slice *arg = pool_alloc(c.pool, (m->words_n + 1) * sizeof(*arg));
	for (uint32_t i = 2; i < m->words_n; i++)
		arg[c.n++] = m->words[i].text;
	c.arg = arg;
	c.cells = pool_alloc(c.pool, CELLS_MAX * sizeof(*c.cells));
	run(&c, m);
	/* The key that came along; the request's own memory is freed without this. */
	slice_wipe(m->secret);
	pool_free(&c.pool);
}
