/* Targets and their addresses, as lists and as text. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/alias/alias.h"
#include "libcommon/base/mem.h"

void alias_list_free(struct alias_list *l)
{
	free(l->target);
	*l = (struct alias_list){0};
}

/* An order, whichever. */
static int compare(const uint8_t *a, const uint8_t *b)
{
	size_t alen = dns_name_len(a), blen = dns_name_len(b);
	return alen != blen ? (alen < blen ? -1 : 1) : memcmp(a, b, alen);
}

/* Where it is, or would be. */
static size_t place(const struct alias_list *l, const uint8_t *name, bool *there)
{
	size_t from = 0, to = l->n;
	*there = false;
	while (from < to && !*there) {
		size_t mid = (from + to) / 2;
		int cmp = compare(l->target[mid].name, name);
		*there = cmp == 0;
		if (cmp < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return to;
}

struct alias_target *alias_list_find(const struct alias_list *l, const uint8_t *name)
{
	bool there;
	size_t at = place(l, name, &there);
	return there ? &l->target[at] : NULL;
}

struct alias_target *alias_list_add(struct alias_list *l, const uint8_t *name)
{
	bool there;
	size_t at = place(l, name, &there);
	if (there || l->n == ALIAS_TARGETS)
		return there ? &l->target[at] : NULL;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 8;
		l->target = mem_realloc(l->target, l->cap * sizeof(*l->target));
	}
	memmove(l->target + at + 1, l->target + at, (l->n++ - at) * sizeof(*l->target));
	l->target[at] = (struct alias_target){.known = false};
	memcpy(l->target[at].name, name, dns_name_len(name));
	return &l->target[at];
}

static struct alias_target *add_text(struct alias_list *l, struct slice word)
{
	uint8_t name[DNS_NAME_MAX];
	if (!dns_name_from_text(word, name))
		return NULL;
	dns_name_lower(name);
	return alias_list_add(l, name);
}

void alias_parse_targets(struct slice text, struct alias_list *out)
{
	while (text.len)
		add_text(out, slice_cut(&text, '\n'));
}

void alias_parse_records(struct slice text, struct alias_list *out)
{
	while (text.len) {
		struct slice line = slice_cut(&text, '\n'), name = slice_word(&line);
		uint8_t to[DNS_NAME_MAX];
		size_t len = dns_name_from_text(slice_word(&line), to);
		struct alias_target *t = len ? add_text(out, name) : NULL;
		if (!t)
			continue;
		memcpy(t->to, to, len);
		dns_name_lower(t->to);
	}
}

static void add_address(struct image_addresses *to, struct slice word)
{
	char text[INET6_ADDRSTRLEN];
	if (!str_fmt(text, sizeof(text), "%.*s", SLICE_FMT(word)))
		return;
	if (to->a_n < IMAGE_ADDRESSES && inet_pton(AF_INET, text, to->a[to->a_n]) == 1)
		to->a_n++;
	else if (to->aaaa_n < IMAGE_ADDRESSES &&
		 inet_pton(AF_INET6, text, to->aaaa[to->aaaa_n]) == 1)
		to->aaaa_n++;
}

void alias_parse_addresses(struct slice text, struct alias_list *out)
{
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');
		struct slice name = slice_word(&line), ttl = slice_word(&line);
		uint32_t seconds;
		struct alias_target *t = str_u32(ttl, &seconds) ? add_text(out, name) : NULL;
		if (!t || t->known)
			continue;
		t->known = true;
		t->found.ttl = seconds;
		while (line.len)
			add_address(&t->found, slice_word(&line));
	}
}

static void put_name(const uint8_t *name, struct buf *out)
{
	char text[DNS_NAME_TEXT];
	dns_name_text(text, name);
	buf_adds(out, text);
}

void alias_text_targets(const struct alias_list *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		put_name(l->target[i].name, out);
		buf_addc(out, '\n');
	}
}

void alias_text_records(const struct alias_list *l, struct buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		put_name(l->target[i].name, out);
		buf_addc(out, ' ');
		put_name(l->target[i].to, out);
		buf_addc(out, '\n');
	}
}

void alias_text_addresses(const struct alias_list *l, struct buf *out)
{
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < l->n; i++) {
		const struct alias_target *t = &l->target[i];
		if (!t->known)
			continue;
		put_name(t->name, out);
		buf_printf(out, " %u", t->found.ttl);
		for (unsigned k = 0; k < t->found.a_n; k++)
			buf_printf(out, " %s",
				   inet_ntop(AF_INET, t->found.a[k], text, sizeof(text)));
		for (unsigned k = 0; k < t->found.aaaa_n; k++)
			buf_printf(out, " %s",
				   inet_ntop(AF_INET6, t->found.aaaa[k], text, sizeof(text)));
		buf_addc(out, '\n');
	}
}

uint64_t alias_version(int folder, const char *image)
{
	char name[NAME_MAX + 1];
	struct stat st;
	if (!str_fmt(name, sizeof(name), "%s.addresses", image) ||
	    fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
}
