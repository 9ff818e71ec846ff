/* Addresses and domain names in the one form that the directory keeps and compares. */
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include "stored/dir.h"

enum { LOCAL_MAX = 64, LOCAL_TYPED_MAX = 2 * LOCAL_MAX + 2, DOMAIN_MAX = 253, LABEL_MAX = 63 };

/* --- domains ------------------------------------------------------------- */

static bool label_ok(struct slice l)
{
	if (l.len == 0 || l.len > LABEL_MAX || l.p[0] == '-' || l.p[l.len - 1] == '-')
		return false;
	for (size_t i = 0; i < l.len; i++) {
		char c = l.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

bool dir_domain_name(struct pool *pool, struct slice in, struct slice *out)
{
	if (in.len && in.p[in.len - 1] == '.')
		in.len--; /* the root's dot, as people type it */
	if (in.len == 0 || in.len > DOMAIN_MAX)
		return false;
	if (!str_ascii(in)) {
		gnutls_datum_t a = {0};
		if (!str_utf8(in) || !str_print(in) ||
		    gnutls_idna_map(in.p, (unsigned)in.len, &a, 0) != 0)
			return false;
		in = (struct slice){pool_strndup(pool, (const char *)a.data, a.size), a.size};
		gnutls_free(a.data);
		if (in.len == 0 || in.len > DOMAIN_MAX || !str_ascii(in))
			return false;
	}
	char *name = pool_strndup(pool, in.p, in.len);
	str_lowern(name, in.len);
	struct slice rest = {name, in.len};
	while (rest.len)
		if (!label_ok(slice_cut(&rest, '.')))
			return false;
	if (name[in.len - 1] == '.')
		return false;
	*out = (struct slice){name, in.len};
	return true;
}

struct slice dir_domain_shown(struct pool *pool, struct slice name)
{
	gnutls_datum_t u = {0};
	if (gnutls_idna_reverse_map(name.p, (unsigned)name.len, &u, 0) != 0)
		return name;
	struct slice out = {pool_strndup(pool, (const char *)u.data, u.size), u.size};
	gnutls_free(u.data);
	return out;
}

static bool literal_ok(struct slice d)
{
	if (d.len < 3 || d.len > DOMAIN_MAX || d.p[0] != '[' || d.p[d.len - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < d.len; i++)
		if (d.p[i] <= ' ' || d.p[i] > '~' || d.p[i] == '[' || d.p[i] == ']')
			return false;
	return true;
}

/* --- local parts --------------------------------------------------------- */

/* The lower case of the two-byte letters whose pairs are regular: Latin-1, Latin Extended-A,
 * Greek, Cyrillic. Others are compared as they are. */
static unsigned fold(unsigned c)
{
	if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
	    (c >= 0x410 && c <= 0x42F))
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	bool even_upper = (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) ||
			  (c >= 0x14A && c <= 0x177) || (c >= 0x460 && c <= 0x481);
	bool odd_upper = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
	if ((even_upper && c % 2 == 0) || (odd_upper && c % 2 == 1))
		return c + 1;
	return c;
}

static void lower(char *s, size_t n)
{
	str_lowern(s, n);
	for (size_t i = 0; i + 1 < n; i++) {
		unsigned a = (unsigned char)s[i], b = (unsigned char)s[i + 1];
		if ((a & 0xE0) != 0xC0)
			continue;
		unsigned c = fold((a & 0x1F) << 6 | (b & 0x3F));
		s[i] = (char)(0xC0 | c >> 6);
		s[++i] = (char)(0x80 | (c & 0x3F));
	}
}

/* Characters that a dot-atom may have (RFC 5322 atext, RFC 6531). */
static bool atext(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* "a\"b" without quotes and backslashes; false: not a whole quoted string. */
static bool unquote(struct pool *pool, struct slice in, struct slice *out)
{
	char *p = pool_alloc(pool, in.len + 1);
	size_t n = 0;
	for (size_t i = 1; i + 1 < in.len; i++) {
		if (in.p[i] == '"')
			return false;
		if (in.p[i] == '\\' && ++i + 1 >= in.len)
			return false;
		p[n++] = in.p[i];
	}
	*out = (struct slice){p, n};
	return true;
}

/* Normalization form C, and only what Unicode has assigned. */
static bool composed(struct pool *pool, struct slice in, char **out, size_t *n)
{
	gnutls_datum_t c = {0};
	if (gnutls_utf8_password_normalize((const unsigned char *)in.p, (unsigned)in.len, &c, 0) !=
	    0)
		return false;
	*out = pool_strndup(pool, (const char *)c.data, c.size);
	*n = c.size;
	gnutls_free(c.data);
	return *n > 0 && *n <= LOCAL_MAX;
}

static bool local_part(struct pool *pool, struct slice in, struct slice *out)
{
	bool quoted = in.len >= 2 && in.p[0] == '"' && in.p[in.len - 1] == '"';
	if (quoted && !unquote(pool, in, &in))
		return false;
	if (in.len == 0 || in.len > LOCAL_MAX || !str_utf8(in) || !str_print(in))
		return false;
	for (size_t i = 0; i < in.len && !quoted; i++)
		if (!atext((unsigned char)in.p[i]))
			return false;
	bool ascii = str_ascii(in);
	char *p = pool_strndup(pool, in.p, in.len), *again;
	size_t n = in.len, again_n;
	if (!ascii && !composed(pool, in, &p, &n))
		return false;
	lower(p, n);
	*out = (struct slice){p, n};
	/* What is not the same when it comes back from the directory is no name. */
	return ascii || (composed(pool, *out, &again, &again_n) &&
			 slice_eq(*out, (struct slice){again, again_n}));
}

bool dir_addr(struct pool *pool, struct slice in, struct addr *out)
{
	const char *at = in.len ? memrchr(in.p, '@', in.len) : NULL;
	if (!at)
		return false;
	struct slice local = {in.p, (size_t)(at - in.p)};
	struct slice domain = {at + 1, in.len - local.len - 1};
	if (local.len > LOCAL_TYPED_MAX || !local_part(pool, local, &out->local))
		return false;
	if (literal_ok(domain))
		out->domain = domain;
	else if (!dir_domain_name(pool, domain, &out->domain))
		return false;
	out->full.p = pool_printf(pool, "%.*s@%.*s", SLICE_FMT(out->local), SLICE_FMT(out->domain));
	out->full.len = out->local.len + 1 + out->domain.len;
	return true;
}

bool dir_addr_new(const struct addr *a)
{
	struct slice l = a->local;
	if (a->domain.p[0] == '[' || l.p[0] == '.' || l.p[l.len - 1] == '.')
		return false;
	for (size_t i = 0; i < l.len; i++)
		if (!atext((unsigned char)l.p[i]) || (i && l.p[i] == '.' && l.p[i - 1] == '.'))
			return false;
	return true;
}
