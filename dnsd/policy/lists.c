/* Triggers are keys of one table: an octet that says of what kind they are, then a name, or the
 * length of a network and its address. Small letter: exactly that name, capital one: what is under
 * it; B of block lists: both. */
#include "dnsd/policy/lists.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include "dnsd/policy/keys.h"
#include "libcommon/base/mem.h"

enum { KEY_NET = 18, V4_BITS = 96, BOTH = 'B' };

struct list {
	const char *name;
	struct keys *keys; /* the action, and 1 */
	struct local *data;
	bool has[128];         /* keys that begin with the letter */
	uint64_t bits[128][3]; /* lengths of networks that there are */
};

struct list *list_new(const char *name)
{
	struct list *l = mem_alloc(sizeof(*l));
	l->name = name;
	l->keys = keys_new();
	l->data = local_new();
	return l;
}

void list_free(struct list **p)
{
	struct list *l = *p;
	if (!l)
		return;
	keys_free(&l->keys);
	local_free(&l->data);
	free(l);
	*p = NULL;
}

const char *list_name(const struct list *l)
{
	return l->name;
}

size_t list_count(const struct list *l)
{
	return keys_count(l->keys);
}

bool list_waits(const struct list *l)
{
	return l->has[LIST_ADDRESS] || l->has[LIST_NS] || l->has[LIST_NS - 32] ||
	       l->has[LIST_NS_ADDRESS];
}

static void put_name(struct list *l, uint8_t letter, const uint8_t *name, enum list_action action)
{
	uint8_t key[1 + DNS_NAME_MAX] = {letter};
	size_t n = dns_name_len(name);
	memcpy(key + 1, name, n);
	dns_name_lower(key + 1);
	keys_put(l->keys, key, 1 + n, (uint32_t)action + 1);
	l->has[letter] = true;
}

/* --- block lists ------------------------------------------------------------------------------ */

static bool is_address(struct slice word)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t addr[16];
	if (word.len >= sizeof(text) || memchr(word.p, 0, word.len))
		return false;
	memcpy(text, word.p, word.len);
	text[word.len] = 0;
	return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

/* Names that hosts files have for the machine itself. */
static bool of_this_host(const uint8_t *name)
{
	static const char *const ours[] = {"\x09localhost", "\x09localhost\x0blocaldomain",
					   "\x05local",
					   "\x0d"
					   "broadcasthost"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (dns_name_eq(name, (const uint8_t *)ours[i]))
			return true;
	return false;
}

bool list_line(struct list *l, struct slice line, enum list_action action)
{
	uint8_t name[DNS_NAME_MAX];
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '#' || (line.p[i] == '!' && i == 0) || line.p[i] == '\r')
			line.len = i;
	struct slice word = slice_word(&line);
	if (!word.len)
		return true;
	bool hosts = is_address(word);
	if (!hosts) {
		bool below = slice_starts(word, "*.");
		if (below)
			word = (struct slice){word.p + 2, word.len - 2};
		if (slice_word(&line).len || !dns_name_from_text(word, name) || !*name)
			return false;
		put_name(l, below ? LIST_NAME - 32 : BOTH, name, action);
		return true;
	}
	while ((word = slice_word(&line)).len) {
		if (is_address(word))
			continue;
		if (!dns_name_from_text(word, name) || !*name)
			return false;
		if (!of_this_host(name))
			put_name(l, LIST_NAME, name, action);
	}
	return true;
}

/* --- response policy zones -------------------------------------------------------------------- */

/* What stands at the end of the owner's name. */
static const struct {
	const char *label;
	enum list_trigger trigger;
} kinds[] = {
    {"\x0drpz-client-ip", LIST_CLIENT},
    {"\x06rpz-ip", LIST_ADDRESS},
    {"\x0brpz-nsdname", LIST_NS},
    {"\x08rpz-nsip", LIST_NS_ADDRESS},
};

static enum list_trigger trigger_of(uint8_t *owner)
{
	uint8_t *last = owner;
	if (!*owner)
		return LIST_NAME;
	while (last[1 + *last])
		last += 1 + *last;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (memcmp(last, kinds[i].label, strlen(kinds[i].label)) == 0) {
			*last = 0; /* the rest is the trigger */
			return kinds[i].trigger;
		}
	return LIST_NAME;
}

static const char *const target_of[] = {[LIST_NXDOMAIN] = "",
					[LIST_NODATA] = "\1*",
					[LIST_DROP] = "\x08rpz-drop",
					[LIST_TCP] = "\x0crpz-tcp-only",
					[LIST_PASS] = "\x0crpz-passthru"};

static enum list_action action_of(const struct zone_rr *rr)
{
	if (rr->type == DNS_CNAME)
		for (int i = 0; i < LIST_DATA; i++)
			if (dns_name_eq(rr->rdata, (const uint8_t *)target_of[i]))
				return (enum list_action)i;
	return LIST_DATA;
}

/* The octets or groups of the address, the last first; "zz" stands for all groups that are left
 * out. Returns how many labels there are behind the length; 0: it is none. */
enum { GROUPS = 8 };
static unsigned read_groups(const uint8_t *name, bool hex, uint32_t group[GROUPS])
{
	unsigned n = 0, gap = GROUPS;
	for (; *name; name += 1 + *name) {
		char text[8], *end;
		if (n == GROUPS || *name > 4)
			return 0;
		memcpy(text, name + 1, *name);
		text[*name] = 0;
		if (hex && strcmp(text, "zz") == 0) {
			gap = n;
			group[n++] = 0;
			continue;
		}
		group[n++] = (uint32_t)strtoul(text, &end, hex ? 16 : 10);
		if (*end)
			return 0;
	}
	if (gap == GROUPS || n == 0)
		return n;
	unsigned behind = n - gap - 1, more = GROUPS - n;
	memmove(group + gap + 1 + more, group + gap + 1, behind * sizeof(*group));
	memset(group + gap, 0, (more + 1) * sizeof(*group));
	return GROUPS;
}

/* "24.0.2.0.192" and "48.zz.1.db8.2001" are networks. False: it is none. */
static bool read_net(const uint8_t *name, unsigned *bits, uint8_t addr[16])
{
	uint32_t group[GROUPS], length;
	struct slice first = {(const char *)name + 1, *name};
	if (!*name || !str_u32(first, &length))
		return false;
	name += 1 + *name;
	memset(addr, 0, 16);
	if (read_groups(name, true, group) == GROUPS && length <= 128) {
		for (unsigned i = 0; i < GROUPS; i++) {
			addr[2 * i] = (uint8_t)(group[GROUPS - 1 - i] >> 8);
			addr[2 * i + 1] = (uint8_t)group[GROUPS - 1 - i];
		}
		*bits = length;
		return true;
	}
	if (read_groups(name, false, group) != 4 || length > 32)
		return false;
	addr[10] = addr[11] = 0xff;
	for (unsigned i = 0; i < 4; i++) {
		if (group[3 - i] > 255)
			return false;
		addr[12 + i] = (uint8_t)group[3 - i];
	}
	*bits = V4_BITS + length;
	return true;
}

static void mask(uint8_t addr[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
		if (keep < 8)
			addr[i] &= (uint8_t)(0xff00u >> keep);
	}
}

static bool put_net(struct list *l, enum list_trigger t, const uint8_t *name,
		    enum list_action action, uint8_t key[KEY_NET])
{
	unsigned bits;
	if (!read_net(name, &bits, key + 2))
		return false;
	key[0] = (uint8_t)t;
	key[1] = (uint8_t)bits;
	mask(key + 2, bits);
	keys_put(l->keys, key, KEY_NET, (uint32_t)action + 1);
	l->has[t] = true;
	l->bits[t][bits / 64] |= 1ull << bits % 64;
	return true;
}

/* Where the data of a network stand. */
static void net_key(const uint8_t key[KEY_NET], uint8_t name[DNS_NAME_MAX])
{
	char digits[2 * KEY_NET + 1];
	str_hex(digits, key, KEY_NET);
	name[0] = 2 * KEY_NET;
	memcpy(name + 1, digits, sizeof(digits)); /* its NUL is the root */
}

bool list_rr(struct list *l, const struct zone_rr *rr, const char **why)
{
	uint8_t owner[DNS_NAME_MAX], at[DNS_NAME_MAX], key[KEY_NET];
	memcpy(owner, rr->owner, dns_name_len(rr->owner));
	dns_name_lower(owner);
	if (!*owner || rr->type == DNS_RRSIG || rr->type == DNS_NSEC || rr->type == DNS_NS)
		return true;
	memcpy(at, owner, dns_name_len(owner));
	enum list_trigger t = trigger_of(owner);
	enum list_action action = action_of(rr);
	if (t == LIST_NAME || t == LIST_NS) {
		bool star = owner[0] == 1 && owner[1] == '*';
		put_name(l, (uint8_t)(star ? t - 32 : t), star ? owner + 2 : owner, action);
	} else if (put_net(l, t, owner, action, key)) {
		net_key(key, at);
	} else {
		*why = "the owner is no network";
		return false;
	}
	if (action != LIST_DATA)
		return true;
	struct zone_rr data = *rr;
	data.owner = at;
	return local_add(l->data, &data, why);
}

/* --- what is met ------------------------------------------------------------------------------ */

/* The key of the data is the owner that the record had. */
static void name_key(enum list_trigger t, bool star, const uint8_t *name, uint8_t out[DNS_NAME_MAX])
{
	size_t n = dns_name_len(name), at = 0;
	if (star) {
		memcpy(out, "\1*", 2);
		at = 2;
	}
	if (at + n + (t == LIST_NS ? 12 : 0) > DNS_NAME_MAX) {
		*out = 0;
		return;
	}
	memcpy(out + at, name, n);
	if (t == LIST_NS)
		memcpy(out + at + n - 1, kinds[2].label, 13);
}

static bool met(const struct list *l, uint8_t letter, const uint8_t *name, struct list_hit *hit)
{
	uint8_t key[1 + DNS_NAME_MAX];
	size_t n = dns_name_len(name);
	if (!l->has[letter])
		return false;
	key[0] = letter;
	memcpy(key + 1, name, n);
	uint32_t v = keys_get(l->keys, key, 1 + n);
	if (v)
		hit->action = (enum list_action)(v - 1);
	return v != 0;
}

bool list_has_name(const struct list *l, enum list_trigger t, const uint8_t *name,
		   struct list_hit *hit)
{
	uint8_t exact = (uint8_t)t, under = (uint8_t)(t - 32);
	if (!l->has[exact] && !l->has[under] && !l->has[BOTH])
		return false;
	bool blocks = t == LIST_NAME;
	if (met(l, exact, name, hit) || (blocks && met(l, BOTH, name, hit))) {
		name_key(t, false, name, hit->key);
		return true;
	}
	while (*name) {
		name += 1 + *name;
		if (met(l, under, name, hit) || (blocks && met(l, BOTH, name, hit))) {
			name_key(t, true, name, hit->key);
			return true;
		}
	}
	return false;
}

bool list_has_address(const struct list *l, enum list_trigger t, const uint8_t *addr, size_t len,
		      struct list_hit *hit)
{
	uint8_t whole[16] = {[10] = 0xff, [11] = 0xff}, key[KEY_NET] = {(uint8_t)t};
	if (!l->has[t])
		return false;
	memcpy(whole + 16 - len, addr, len);
	for (int bits = 128; bits >= 0; bits--) {
		if (!(l->bits[t][bits / 64] >> bits % 64 & 1))
			continue;
		key[1] = (uint8_t)bits;
		memcpy(key + 2, whole, 16);
		mask(key + 2, (unsigned)bits);
		uint32_t v = keys_get(l->keys, key, sizeof(key));
		if (!v)
			continue;
		hit->action = (enum list_action)(v - 1);
		net_key(key, hit->key);
		return true;
	}
	return false;
}

enum local_found list_data(const struct list *l, const struct list_hit *hit, const uint8_t *name,
			   uint16_t type, struct cached *out, uint8_t target[DNS_NAME_MAX])
{
	enum local_found f = local_at(l->data, hit->key, name, type, out);
	if (f != LOCAL_CNAME)
		return f;
	const uint8_t *to = (const uint8_t *)out->set.data.p + 2;
	if (to[0] != 1 || to[1] != '*') {
		memcpy(target, to, dns_name_len(to));
		return f;
	}
	/* To the name itself, under the rest: the record is made for it. */
	static uint8_t made[2 + DNS_NAME_MAX];
	size_t n = dns_name_len(name) - 1, rest = dns_name_len(to + 2);
	if (n + rest > DNS_NAME_MAX) {
		out->kind = CACHE_NODATA;
		out->set.n = 0;
		out->set.data.len = 0;
		return LOCAL_NODATA;
	}
	memcpy(target, name, n);
	memcpy(target + n, to + 2, rest);
	made[0] = 0;
	made[1] = (uint8_t)(n + rest);
	memcpy(made + 2, target, n + rest);
	out->set.data = (struct slice){(const char *)made, 2 + n + rest};
	return f;
}
