/* There are few: a list, the longest zones first. */
#include "dnsd/upstream/forward.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"

struct entry {
	const struct forward *f;
	unsigned space, labels;
};

static struct entry *entry;
static size_t entries;

void forward_add(unsigned space, const struct forward *f)
{
	struct entry e = {f, space, dns_name_labels(f->zone)};
	size_t at = 0;
	entry = mem_realloc(entry, (entries + 1) * sizeof(*entry));
	/* Those of a space stand before those of all. */
	while (at < entries && (entry[at].labels > e.labels ||
				(entry[at].labels == e.labels && entry[at].space >= space)))
		at++;
	memmove(entry + at + 1, entry + at, (entries - at) * sizeof(*entry));
	entry[at] = e;
	entries++;
}

const struct forward *forward_find(unsigned space, const uint8_t *name)
{
	for (size_t i = 0; i < entries; i++)
		if ((entry[i].space == 0 || entry[i].space == space) &&
		    dns_name_under(name, entry[i].f->zone))
			return entry[i].f;
	return NULL;
}

unsigned forward_space(unsigned view)
{
	for (size_t i = 0; i < entries; i++)
		if (entry[i].space == view)
			return view;
	return 0;
}

void forward_forget(void)
{
	free(entry);
	entry = NULL;
	entries = 0;
}
