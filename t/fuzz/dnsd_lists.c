/* Block lists and response policy zones: the first octet says which, the rest is the text. Whatever
 * was read must be met again. */
#include <stdlib.h>
#include "dnsd/policy/lists.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool to_list(void *arg, const struct zone_rr *rr)
{
	const char *why;
	list_rr(arg, rr, &why);
	return true;
}

static void ignore(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void look(const struct list *l, const uint8_t *name)
{
	static const enum list_trigger t[] = {LIST_NAME, LIST_NS};
	uint8_t target[DNS_NAME_MAX];
	struct list_hit hit;
	struct cached c;
	for (int i = 0; i < 2; i++)
		if (list_has_name(l, t[i], name, &hit) && hit.action == LIST_DATA)
			list_data(l, &hit, name, DNS_A, &c, target);
	for (size_t len = 4; len <= 16; len += 12)
		if (list_has_address(l, LIST_ADDRESS, name, len, &hit) && hit.action == LIST_DATA)
			list_data(l, &hit, name, DNS_AAAA, &c, target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t origin[16] = "";
	uint8_t name[DNS_NAME_MAX] = {0};
	struct list_hit hit;
	if (size < 1)
		return 0;
	struct list *l = list_new("fuzz");
	struct slice text = {(const char *)data + 1, size - 1};
	const struct zonetext z = {.origin = origin,
				   .ttl = 60,
				   .no_include = true,
				   .on_rr = to_list,
				   .on_error = ignore,
				   .arg = l};
	if (data[0] & 1) {
		zonetext_memory(&z, "fuzz", text);
	} else {
		while (text.len) {
			struct slice line = slice_cut(&text, '\n');
			struct slice word = line;
			word = slice_word(&word);
			if (list_line(l, line, LIST_NODATA) && word.len &&
			    !memchr(line.p, '#', line.len) && !memchr(line.p, '\r', line.len) &&
			    word.p[0] != '!' && word.p[0] != '*' &&
			    !memchr(word.p, ':', word.len) &&
			    (word.p[word.len - 1] < '0' || word.p[word.len - 1] > '9') &&
			    dns_name_from_text(word, name)) {
				dns_name_lower(name);
				if (!list_has_name(l, LIST_NAME, name, &hit))
					abort();
			}
		}
	}
	memcpy(name, "\3www\4evil", sizeof("\3www\4evil"));
	look(l, name);
	look(l, origin);
	list_free(&l);
	return 0;
}
