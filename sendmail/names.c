/* Addresses: of arguments, of the fields of a header, and as they are written into one. */
#include "libcommon/base/map.h"
#include "libcommon/mail/addr.h"
#include "libcommon/mail/addrlist.h"
#include "sendmail/sendmail.h"

enum { ENCODED_OCTETS = 45, NAME_OCTETS = 200 };

/* The canonical form, NULL: it is none. What a list of addresses has without quotes gets them
 * again. */
static const char *canonical(struct pool *pool, const struct addrlist *l)
{
	struct addr a;
	struct buf path = {0};
	size_t used;
	bool bare = true;
	for (size_t i = 0; i < l->local.len; i++)
		bare = bare && !strchr(" \"\\(),:;<>@[]", l->local.p[i]) && l->local.p[i];
	buf_adds(&path, bare ? "<" : "<\"");
	for (size_t i = 0; i < l->local.len; i++) {
		if (!bare && (l->local.p[i] == '"' || l->local.p[i] == '\\'))
			buf_addc(&path, '\\');
		buf_addc(&path, l->local.p[i]);
	}
	if (!bare)
		buf_addc(&path, '"');
	if (l->domain.len) {
		buf_addc(&path, '@');
		buf_add_slice(&path, l->domain);
	}
	buf_addc(&path, '>');
	bool good = addr_path(buf_slice(&path), ADDR_UTF8 | ADDR_BARE, &a, &used) == ADDR_OK &&
		    used == path.len;
	buf_free(&path);
	return good ? pool_strndup(pool, a.text, a.len) : NULL;
}

void rcpts_init(struct rcpts *r, struct pool *pool)
{
	*r = (struct rcpts){.pool = pool, .seen = map_new()};
}

void rcpts_free(struct rcpts *r)
{
	map_free(&r->seen);
}

void rcpts_add(struct rcpts *r, struct slice list)
{
	bool cut = false;
	for (struct addrlist *l = addrlist_parse(r->pool, list, &cut); l; l = l->next) {
		if (l->kind != ADDRLIST_MAILBOX)
			continue;
		/* \root: an old way to say that no alias is meant. */
		if (l->local.len > 1 && l->local.p[0] == '\\')
			l->local = (struct slice){l->local.p + 1, l->local.len - 1};
		const char *a = canonical(r->pool, l);
		if (!a) {
			const char *at = l->domain.len ? "@" : "";
			if (!r->bad)
				r->bad = pool_printf(r->pool, "%.*s%s%.*s: not an address",
						     SLICE_FMT(l->local), at, SLICE_FMT(l->domain));
			continue;
		}
		if (map_set(r->seen, a, strlen(a), r))
			continue;
		cut = cut || r->n == RCPTS_MAX;
		if (cut)
			break;
		r->addr = pool_grow(r->pool, r->addr, r->n, &r->cap, sizeof(*r->addr));
		r->addr[r->n++] = a;
	}
	if (cut && !r->bad)
		r->bad = "too many recipients";
}

bool sender_parse(struct pool *pool, const char *given, const char **addr, const char **name)
{
	*addr = "";
	*name = NULL;
	if (!*given || strcmp(given, "<>") == 0)
		return true;
	struct addrlist *l = addrlist_parse(pool, slice_of(given), NULL);
	if (!l || l->kind != ADDRLIST_MAILBOX || l->next)
		return false;
	*addr = canonical(pool, l);
	if (l->name.len)
		*name = pool_strndup(pool, l->name.p, l->name.len);
	return *addr != NULL;
}

/* --- writing --------------------------------------------------------------------------------- */

static bool is_phrase(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || (c && strchr(" !#$%&'*+-/=?^_`{|}~", c));
		if (!good)
			return false;
	}
	return true;
}

/* RFC 2047 words of whole characters. */
static void add_encoded(struct buf *out, struct slice s)
{
	char base64[4 * ((ENCODED_OCTETS + 2) / 3) + 1];
	for (size_t at = 0; at < s.len;) {
		size_t n = s.len - at < ENCODED_OCTETS ? s.len - at : ENCODED_OCTETS;
		while (at + n < s.len && ((unsigned char)s.p[at + n] & 0xC0) == 0x80)
			n--;
		str_base64(base64, s.p + at, n);
		buf_printf(out, "%s=?UTF-8?B?%s?=", at ? " " : "", base64);
		at += n;
	}
}

void phrase_add(struct buf *out, struct slice name)
{
	if (name.len > NAME_OCTETS)
		return;
	if (is_phrase(name)) {
		buf_add_slice(out, name);
	} else if (!str_ascii(name) && str_utf8(name) && str_print(name)) {
		add_encoded(out, name);
	} else {
		buf_addc(out, '"');
		for (size_t i = 0; i < name.len; i++) {
			char c = name.p[i];
			if (c == '"' || c == '\\')
				buf_addc(out, '\\');
			/* Octets that are no text, and what could end the line, say nothing. */
			buf_addc(out, (unsigned char)c < 32 || (unsigned char)c > 126 ? ' ' : c);
		}
		buf_addc(out, '"');
	}
}

const char *qualified(struct pool *pool, const char *addr, const char *domain)
{
	struct slice local, at;
	addr_split(slice_of(addr), &local, &at);
	/* The @ of a quoted local part is none of a domain. */
	bool has = at.len && at.p[at.len - 1] != '"';
	return !*addr || has ? addr : pool_printf(pool, "%s@%s", addr, domain);
}
