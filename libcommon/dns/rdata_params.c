/* SvcParams of SVCB and HTTPS (RFC 9460 2.1, 2.2, 7, 8; RFC 9461 dohpath; RFC 9540 ohttp): pairs of
 * a key and a value, sorted by key on the wire, in any order in text. Whether a set of them makes
 * sense together (2.4.3) is asked of text alone: what others publish is carried as it is. */
#include "libcommon/dns/rdata_int.h"

enum { MANDATORY = 0, ALPN = 1, NO_DEFAULT_ALPN = 2, INVALID = 65535 };

/* What a key's value is: from text whose escapes are gone, checked, and as text. */
struct value {
	bool (*put)(struct rdata_in *in, struct slice text);
	bool (*check)(const uint8_t *p, size_t n);
	void (*print)(const uint8_t *p, size_t n, struct buf *out);
};
struct key {
	const char *name;
	struct value value;
};
static const struct key keys[];
static size_t known(void);

static bool key_from_text(struct slice text, uint16_t *out)
{
	uint32_t v;
	for (size_t i = 0; i < known(); i++)
		if (slice_eqs(text, keys[i].name)) {
			*out = (uint16_t)i;
			return true;
		}
	if (!slice_starts(text, "key"))
		return false;
	struct slice digits = {text.p + 3, text.len - 3};
	if (!str_u32(digits, &v) || v >= INVALID || (digits.len > 1 && *digits.p == '0'))
		return false;
	*out = (uint16_t)v;
	return true;
}

static void print_key(uint16_t key, struct buf *out)
{
	if (key < known())
		buf_adds(out, keys[key].name);
	else
		buf_printf(out, "key%u", (unsigned)key);
}

/* Any octets. */
static bool put_text(struct rdata_in *in, struct slice text)
{
	return rdata_put(in, text.p, text.len);
}

static bool check_any(const uint8_t *p, size_t n)
{
	(void)p;
	(void)n;
	return true;
}

static bool check_none(const uint8_t *p, size_t n)
{
	(void)p;
	return n == 0;
}

static bool check_path(const uint8_t *p, size_t n)
{
	return n > 0 && *p == '/' && str_utf8((struct slice){(const char *)p, n});
}

/* A list of numbers of 16 bits; as keys they go up and do not name their own. */
static bool put_keys(struct rdata_in *in, struct slice text)
{
	uint64_t set[65536 / 64] = {0};
	do {
		uint16_t key;
		if (!key_from_text(slice_cut(&text, ','), &key))
			return rdata_fail(in, "a list of keys (alpn,ipv4hint,key667) is wanted");
		if (key == MANDATORY || (set[key / 64] >> key % 64 & 1))
			return rdata_fail(in, "mandatory lists itself, or a key twice");
		set[key / 64] |= (uint64_t)1 << key % 64;
		if (text.len == 0 && text.p[-1] == ',')
			return rdata_fail(in, "the list of keys ends in a comma");
	} while (text.len);
	for (uint32_t key = 0; key < INVALID; key++)
		if ((set[key / 64] >> key % 64 & 1) && !rdata_put_u16(in, (uint16_t)key))
			return false;
	return true;
}

static bool check_keys(const uint8_t *p, size_t n)
{
	int last = MANDATORY;
	for (size_t at = 0; at + 1 < n; at += 2) {
		if (dns_u16(p + at) <= last)
			return false;
		last = dns_u16(p + at);
	}
	return n > 0 && n % 2 == 0 && last != INVALID;
}

static void print_keys(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t at = 0; at < n; at += 2) {
		if (at)
			buf_addc(out, ',');
		print_key(dns_u16(p + at), out);
	}
}

/* In a list's item \\ is a backslash and \, a comma (RFC 9460 A.1). */
static bool put_alpn(struct rdata_in *in, struct slice text)
{
	size_t head = in->len, i = 0;
	if (!rdata_put(in, "", 1))
		return false;
	for (; i <= text.len; i++) {
		if (i == text.len || text.p[i] == ',') {
			size_t n = in->len - head - 1;
			if (n == 0 || n > 255)
				return rdata_fail(in, "an ALPN identifier has 1 to 255 octets");
			in->out[head] = (uint8_t)n;
			head = in->len;
			if (i < text.len && !rdata_put(in, "", 1))
				return false;
			continue;
		}
		if (text.p[i] == '\\' &&
		    (++i == text.len || (text.p[i] != '\\' && text.p[i] != ',')))
			return rdata_fail(in, "in a list only \\\\\\\\ and \\\\, are escapes");
		if (!rdata_put(in, text.p + i, 1))
			return false;
	}
	return true;
}

static bool check_alpn(const uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n && p[at] != 0)
		at += 1u + p[at];
	return n > 0 && at == n;
}

static void print_alpn(const uint8_t *p, size_t n, struct buf *out)
{
	uint8_t list[2 * DNS_RDATA_MAX];
	size_t len = 0;
	for (size_t at = 0; at < n; at += 1u + p[at]) {
		if (at)
			list[len++] = ',';
		for (size_t i = 1; i <= p[at]; i++) {
			if (p[at + i] == ',' || p[at + i] == '\\')
				list[len++] = '\\';
			list[len++] = p[at + i];
		}
	}
	rdata_print_quoted(list, len, out);
}

static bool put_port(struct rdata_in *in, struct slice text)
{
	uint32_t v;
	if (!str_u32(text, &v) || v > UINT16_MAX)
		return rdata_fail(in, "a port (0 to 65535) is wanted");
	return rdata_put_u16(in, (uint16_t)v);
}

static bool check_port(const uint8_t *p, size_t n)
{
	(void)p;
	return n == 2;
}

static bool put_groups(struct rdata_in *in, struct slice text)
{
	do {
		uint32_t v;
		if (!str_u32(slice_cut(&text, ','), &v) || v > UINT16_MAX ||
		    (text.len == 0 && text.p[-1] == ','))
			return rdata_fail(in, "a list of numbers from 0 to 65535 is wanted");
		if (!rdata_put_u16(in, (uint16_t)v))
			return false;
	} while (text.len);
	return true;
}

static bool check_groups(const uint8_t *p, size_t n)
{
	(void)p;
	return n > 0 && n % 2 == 0;
}

static void print_groups(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t at = 0; at < n; at += 2)
		buf_printf(out, "%s%u", at ? "," : "", (unsigned)dns_u16(p + at));
}

static bool put_addresses(struct rdata_in *in, struct slice text, bool v6, const char *wanted)
{
	do {
		uint8_t addr[16];
		if (!rdata_address(slice_cut(&text, ','), v6, addr) ||
		    (text.len == 0 && text.p[-1] == ','))
			return rdata_fail(in, wanted);
		if (!rdata_put(in, addr, v6 ? 16 : 4))
			return false;
	} while (text.len);
	return true;
}

static bool put_v4(struct rdata_in *in, struct slice text)
{
	return put_addresses(in, text, false, "a list of IPv4 addresses is wanted");
}

static bool put_v6(struct rdata_in *in, struct slice text)
{
	return put_addresses(in, text, true, "a list of IPv6 addresses is wanted");
}

static bool check_v4(const uint8_t *p, size_t n)
{
	(void)p;
	return n > 0 && n % 4 == 0;
}

static bool check_v6(const uint8_t *p, size_t n)
{
	(void)p;
	return n > 0 && n % 16 == 0;
}

static void print_addresses(const uint8_t *p, size_t n, size_t each, struct buf *out)
{
	for (size_t at = 0; at < n; at += each) {
		if (at)
			buf_addc(out, ',');
		rdata_print_address(p + at, each, out);
	}
}

static void print_v4(const uint8_t *p, size_t n, struct buf *out)
{
	print_addresses(p, n, 4, out);
}

static void print_v6(const uint8_t *p, size_t n, struct buf *out)
{
	print_addresses(p, n, 16, out);
}

static bool put_base64(struct rdata_in *in, struct slice text)
{
	struct dns_word w = {.text = text};
	struct rdata_in one = {.word = &w, .words = 1, .out = in->out, .len = in->len};
	bool ok = rdata_parse_base64(&one);
	in->len = one.len;
	in->why = one.why;
	return ok;
}

static bool check_some(const uint8_t *p, size_t n)
{
	(void)p;
	return n > 0;
}

/* By number (IANA's registry). */
static const struct key keys[] = {
    {"mandatory", {put_keys, check_keys, print_keys}},
    {"alpn", {put_alpn, check_alpn, print_alpn}},
    {"no-default-alpn", {put_text, check_none, NULL}},
    {"port", {put_port, check_port, print_groups}},
    {"ipv4hint", {put_v4, check_v4, print_v4}},
    {"ech", {put_base64, check_some, rdata_print_base64}},
    {"ipv6hint", {put_v6, check_v6, print_v6}},
    {"dohpath", {put_text, check_path, rdata_print_quoted}},
    {"ohttp", {put_text, check_none, NULL}},
    {"tls-supported-groups", {put_groups, check_groups, print_groups}},
};
static const struct value unknown = {put_text, check_any, rdata_print_quoted};

static size_t known(void)
{
	return sizeof(keys) / sizeof(keys[0]);
}

static const struct value *value_of(uint16_t key)
{
	return key < known() ? &keys[key].value : &unknown;
}

/* Octets of the parameter that p starts with; 0: it is not whole, or its value not its key's. */
static size_t param_size(const uint8_t *p, size_t left)
{
	if (left < 4 || left - 4 < dns_u16(p + 2) || dns_u16(p) == INVALID)
		return 0;
	size_t n = dns_u16(p + 2);
	return value_of(dns_u16(p))->check(p + 4, n) ? 4 + n : 0;
}

long rdata_size_params(const uint8_t *p, size_t left)
{
	int last = -1;
	for (size_t at = 0, n; at < left; at += n) {
		n = param_size(p + at, left - at);
		if (!n || dns_u16(p + at) <= last)
			return -1;
		last = dns_u16(p + at);
	}
	return (long)left;
}

bool rdata_params_consistent(const uint8_t *p, size_t n)
{
	const uint8_t *must = NULL;
	size_t musts = 0;
	bool alpn = false;
	for (size_t at = 0; at < n; at += 4u + dns_u16(p + at + 2)) {
		uint16_t key = dns_u16(p + at);
		if (key == MANDATORY) {
			must = p + at + 4;
			musts = dns_u16(p + at + 2) / 2;
		}
		alpn |= key == ALPN;
		if (key == NO_DEFAULT_ALPN && !alpn)
			return false;
		/* Both lists go up. */
		if (musts && key == dns_u16(must)) {
			must += 2;
			musts--;
		}
	}
	return musts == 0;
}

/* The value of a word key=value, its escapes gone. */
static bool value_text(struct rdata_in *in, struct slice text, uint8_t *tmp, struct slice *out)
{
	struct dns_word w = {.text = text};
	if (w.text.len >= 2 && *w.text.p == '"' && w.text.p[w.text.len - 1] == '"')
		w.text = (struct slice){w.text.p + 1, w.text.len - 2};
	long n = rdata_unescape(in, &w, tmp, DNS_RDATA_MAX);
	*out = (struct slice){(const char *)tmp, n < 0 ? 0 : (size_t)n};
	return n >= 0;
}

/* Moves the parameter at `at`, the last one, to its place among those from start on. */
static bool sort_in(struct rdata_in *in, size_t start, size_t at)
{
	uint8_t *p = in->out, tmp[DNS_RDATA_MAX];
	uint16_t key = dns_u16(p + at);
	size_t n = in->len - at, to = start;
	while (to < at && dns_u16(p + to) < key)
		to += 4u + dns_u16(p + to + 2);
	if (to == at)
		return true;
	if (dns_u16(p + to) == key)
		return false;
	memcpy(tmp, p + at, n);
	memmove(p + to + n, p + to, at - to);
	memcpy(p + to, tmp, n);
	return true;
}

/* One word; last: the greatest key so far, -1 before the first. */
static bool parse_param(struct rdata_in *in, size_t start, int *last)
{
	uint8_t tmp[DNS_RDATA_MAX];
	struct slice name = in->word[in->at].text, text;
	const char *eq = memchr(name.p, '=', name.len);
	struct slice raw = {"", 0};
	size_t at = in->len;
	uint16_t key;
	if (eq) {
		raw = (struct slice){eq + 1, name.len - (size_t)(eq + 1 - name.p)};
		name.len = (size_t)(eq - name.p);
	}
	if (!key_from_text(name, &key))
		return rdata_fail(in, "a parameter (alpn=h2, port=443, key667=text) is wanted");
	if (!value_text(in, raw, tmp, &text) || !rdata_put_u16(in, key) || !rdata_put_u16(in, 0))
		return false;
	/* keyNNN of a known key: its value's octets as they are. */
	const struct value *v = slice_starts(name, "key") ? &unknown : value_of(key);
	if (!v->put(in, text))
		return false;
	size_t n = in->len - at - 4;
	in->out[at + 2] = (uint8_t)(n >> 8);
	in->out[at + 3] = (uint8_t)n;
	if (!value_of(key)->check(in->out + at + 4, n))
		return rdata_fail(in, "the value is not one for this key");
	if (key <= *last && !sort_in(in, start, at))
		return rdata_fail(in, "the key is there already");
	*last = key > *last ? key : *last;
	return true;
}

bool rdata_parse_params(struct rdata_in *in)
{
	size_t start = in->len, first = in->at;
	int last = -1;
	for (; in->at < in->words; in->at++)
		if (!parse_param(in, start, &last))
			return false;
	if (rdata_params_consistent(in->out + start, in->len - start))
		return true;
	in->at = first;
	return rdata_fail(in, "a mandatory key is missing, or alpn beside no-default-alpn");
}

void rdata_print_params(const uint8_t *p, size_t n, struct buf *out)
{
	for (size_t at = 0; at < n; at += 4u + dns_u16(p + at + 2)) {
		uint16_t key = dns_u16(p + at), len = dns_u16(p + at + 2);
		if (at)
			buf_addc(out, ' ');
		print_key(key, out);
		if (len) {
			buf_addc(out, '=');
			value_of(key)->print(p + at + 4, len, out);
		}
	}
}
