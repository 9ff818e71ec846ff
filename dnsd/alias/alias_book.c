/* What who compiles a zone needs of its ALIAS records. */
#include "dnsd/alias/alias.h"

void alias_book_open(struct alias_book *b, int folder, const char *image)
{
	struct buf text;
	*b = (struct alias_book){.folder = folder, .image = image};
	if (beside_read(folder, image, "addresses", ALIAS_FILE, &text))
		alias_parse_addresses(buf_slice(&text), &b->known);
	buf_free(&text);
}

void alias_book_find(void *arg, const uint8_t *owner, const uint8_t *target,
		     struct image_addresses *out)
{
	struct alias_book *b = arg;
	const struct alias_target *t = alias_list_find(&b->known, target);
	struct alias_target *record = alias_list_add(&b->records, owner);
	if (record)
		memcpy(record->to, target, dns_name_len(target));
	alias_list_add(&b->asked, target);
	if (t)
		*out = t->found;
}

bool alias_book_close(struct alias_book *b)
{
	struct buf text;
	buf_init(&text, ALIAS_FILE);
	alias_text_targets(&b->asked, &text);
	bool ok = beside_write(b->folder, b->image, "targets", buf_slice(&text));
	buf_clear(&text);
	alias_text_records(&b->records, &text);
	ok = beside_write(b->folder, b->image, "aliases", buf_slice(&text)) && ok;
	buf_free(&text);
	alias_list_free(&b->known);
	alias_list_free(&b->asked);
	alias_list_free(&b->records);
	return ok;
}
