#include "libcommon/mail/addr.h"
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { LABEL_MAX = 63, ROUTE_MAX = 512 };

/* A position in the text that is read; p == end: nothing left. */
struct reader {
	const char *p, *end;
	unsigned flags;
};

static bool is_high(char c)
{
	return (unsigned char)c > 127;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_atext(char c)
{
	return is_alnum(c) || is_high(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_string(struct slice s)
{
	bool dot = true; /* one may not stand here */
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.' ? dot : !is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

static enum addr_result put(struct addr *out, char c)
{
	if (out->len >= ADDR_MAX)
		return ADDR_LONG;
	out->text[out->len++] = c;
	return ADDR_OK;
}

/* The contents of a quoted string, without escapes, into raw. */
static enum addr_result read_quoted(struct reader *r, char *raw, size_t *raw_len)
{
	size_t n = 0;
	for (r->p++; r->p < r->end && *r->p != '"'; r->p++) {
		char c = *r->p;
		if (c == '\\') {
			if (++r->p == r->end || is_high(*r->p))
				return ADDR_SYNTAX;
			c = *r->p;
		}
		if ((unsigned char)c < 32 || c == 127)
			return ADDR_SYNTAX;
		if (n >= ADDR_LOCAL_MAX)
			return ADDR_LONG;
		raw[n++] = c;
	}
	if (r->p == r->end)
		return ADDR_SYNTAX;
	r->p++;
	*raw_len = n;
	return ADDR_OK;
}

static enum addr_result read_local(struct reader *r, struct addr *out)
{
	if (r->p < r->end && *r->p == '"') {
		char raw[ADDR_LOCAL_MAX];
		struct slice s = {raw, 0};
		enum addr_result e = read_quoted(r, raw, &s.len);
		if (e != ADDR_OK)
			return e;
		out->quoted = !is_dot_string(s);
		if (out->quoted)
			put(out, '"');
		for (size_t i = 0; i < s.len; i++) {
			if (raw[i] == '"' || raw[i] == '\\')
				put(out, '\\');
			put(out, raw[i]);
		}
		if (out->quoted)
			put(out, '"');
	} else {
		struct slice s = {r->p, 0};
		while (r->p < r->end && (is_atext(*r->p) || *r->p == '.'))
			r->p++;
		s.len = (size_t)(r->p - s.p);
		if (!is_dot_string(s))
			return ADDR_SYNTAX;
		if (s.len > ADDR_LOCAL_MAX)
			return ADDR_LONG;
		memcpy(out->text, s.p, s.len);
		out->len = s.len;
	}
	out->local_len = out->len;
	return out->len > ADDR_LOCAL_MAX ? ADDR_LONG : ADDR_OK;
}

static enum addr_result read_literal(struct reader *r, struct addr *out)
{
	char in[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN];
	const char *close = memchr(r->p, ']', (size_t)(r->end - r->p));
	struct slice s = {r->p + 1, 0};
	unsigned char bin[sizeof(struct in6_addr)];
	if (!close)
		return ADDR_SYNTAX;
	s.len = (size_t)(close - s.p);
	r->p = close + 1;
	bool v6 = slice_istarts(s, "IPv6:");
	if (v6) {
		s.p += 5;
		s.len -= 5;
	}
	if (s.len >= sizeof(in))
		return ADDR_SYNTAX;
	memcpy(in, s.p, s.len);
	in[s.len] = 0;
	if (memchr(in, 0, s.len) || inet_pton(v6 ? AF_INET6 : AF_INET, in, bin) != 1)
		return ADDR_SYNTAX;
	inet_ntop(v6 ? AF_INET6 : AF_INET, bin, text, sizeof(text));
	out->literal = true;
	int n = snprintf(out->text + out->len, sizeof(out->text) - out->len, "[%s%s]",
			 v6 ? "IPv6:" : "", text);
	if (n < 0 || out->len + (size_t)n > ADDR_MAX)
		return ADDR_LONG;
	out->len += (size_t)n;
	return ADDR_OK;
}

/* The domain name at the start of s: how long it is; *e tells what is wrong with it. */
static size_t domain_span(struct slice s, enum addr_result *e)
{
	size_t i = 0, label = 0;
	*e = ADDR_OK;
	for (; i < s.len; i++) {
		char c = s.p[i];
		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				*e = ADDR_SYNTAX;
			label = 0;
			continue;
		}
		if (c == '-' ? label == 0 : !(is_alnum(c) || is_high(c)))
			break;
		if (++label > LABEL_MAX && *e == ADDR_OK)
			*e = ADDR_LONG;
	}
	if (label == 0 || s.p[i - 1] == '-')
		*e = ADDR_SYNTAX;
	else if (i > ADDR_DOMAIN_MAX && *e == ADDR_OK)
		*e = ADDR_LONG;
	return i;
}

static enum addr_result read_domain(struct reader *r, struct addr *out)
{
	if (r->p < r->end && *r->p == '[')
		return read_literal(r, out);
	enum addr_result e;
	size_t n = domain_span((struct slice){r->p, (size_t)(r->end - r->p)}, &e);
	for (size_t i = 0; i < n && e == ADDR_OK; i++)
		e = put(out, str_lower(r->p[i]));
	r->p += n;
	return e;
}

/* UTF-8 is checked once over what was read: the readers take every octet over 127. */
static enum addr_result finish(struct addr *out, unsigned flags)
{
	out->text[out->len] = 0;
	out->utf8 = !str_ascii(addr_text(out));
	if (!out->utf8)
		return ADDR_OK;
	if (!str_utf8(addr_text(out)))
		return ADDR_SYNTAX;
	return flags & ADDR_UTF8 ? ADDR_OK : ADDR_NEEDS_UTF8;
}

static enum addr_result read_mailbox(struct reader *r, struct addr *out)
{
	enum addr_result e = read_local(r, out);
	if (e != ADDR_OK)
		return e;
	if (r->p == r->end || *r->p != '@') {
		bool postmaster =
		    (r->flags & ADDR_POSTMASTER) && slice_ieqs(addr_text(out), "postmaster");
		if (!postmaster && !(r->flags & ADDR_BARE))
			return ADDR_SYNTAX;
		if (postmaster)
			str_lowern(out->text, out->len);
		return finish(out, r->flags);
	}
	r->p++;
	e = put(out, '@');
	if (e == ADDR_OK)
		e = read_domain(r, out);
	return e == ADDR_OK ? finish(out, r->flags) : e;
}

/* "@a,@b:" in front of a mailbox: read and dropped (RFC 5321 appendix C). */
static enum addr_result skip_route(struct reader *r)
{
	const char *start = r->p;
	while (r->p < r->end && *r->p == '@') {
		enum addr_result e;
		r->p++;
		r->p += domain_span((struct slice){r->p, (size_t)(r->end - r->p)}, &e);
		if (e != ADDR_OK)
			return e;
		if (r->p == r->end || r->p - start > ROUTE_MAX)
			return ADDR_SYNTAX;
		if (*r->p == ':') {
			r->p++;
			return ADDR_OK;
		}
		if (*r->p++ != ',')
			return ADDR_SYNTAX;
	}
	return r->p == start ? ADDR_OK : ADDR_SYNTAX;
}

enum addr_result addr_mailbox(struct slice in, unsigned flags, struct addr *out)
{
	struct reader r = {in.p, in.p + in.len, flags & ~(ADDR_POSTMASTER | ADDR_BARE)};
	*out = (struct addr){.len = 0};
	enum addr_result e = in.len ? read_mailbox(&r, out) : ADDR_SYNTAX;
	return e == ADDR_OK && r.p != r.end ? ADDR_SYNTAX : e;
}

enum addr_result addr_path(struct slice in, unsigned flags, struct addr *out, size_t *used)
{
	struct reader r = {in.p, in.p + in.len, flags};
	*out = (struct addr){.len = 0};
	*used = 0;
	if (in.len < 2 || *r.p++ != '<')
		return ADDR_SYNTAX;
	if (*r.p == '>') {
		if (!(flags & ADDR_NULL))
			return ADDR_SYNTAX;
	} else {
		enum addr_result e = skip_route(&r);
		if (e == ADDR_OK)
			e = read_mailbox(&r, out);
		if (e != ADDR_OK)
			return e;
	}
	if (r.p == r.end || *r.p != '>')
		return ADDR_SYNTAX;
	*used = (size_t)(r.p + 1 - in.p);
	return ADDR_OK;
}

bool addr_domain_ok(struct slice s, unsigned flags)
{
	enum addr_result e;
	if (domain_span(s, &e) != s.len || e != ADDR_OK)
		return false;
	return str_ascii(s) || (flags & ADDR_UTF8 && str_utf8(s));
}

struct slice addr_text(const struct addr *a)
{
	return (struct slice){a->text, a->len};
}

struct slice addr_domain(const struct addr *a)
{
	size_t at = a->local_len < a->len ? a->local_len + 1 : a->len;
	return (struct slice){a->text + at, a->len - at};
}

void addr_split(struct slice canonical, struct slice *local, struct slice *domain)
{
	const char *at = canonical.len ? memrchr(canonical.p, '@', canonical.len) : NULL;
	size_t n = at ? (size_t)(at - canonical.p) : canonical.len;
	*local = (struct slice){canonical.p, n};
	*domain = at ? (struct slice){at + 1, canonical.len - n - 1} : (struct slice){"", 0};
}

bool xtext_encode(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = c > 32 && c < 127 && c != '+' && c != '=';
		if (!(plain ? buf_addc(out, (char)c) : buf_printf(out, "+%02X", c)))
			return false;
	}
	return true;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

long xtext_decode(char *out, struct slice s)
{
	long n = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '+') {
			int hi = s.len - i > 2 ? hex_value(s.p[i + 1]) : -1;
			int lo = hi < 0 ? -1 : hex_value(s.p[i + 2]);
			if (lo < 0)
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c < 33 || c > 126 || c == '=') {
			return -1;
		}
		out[n++] = c;
	}
	return n;
}
