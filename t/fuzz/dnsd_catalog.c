/* The file of a catalog's members: whatever is read of it is written, and read again, alike. */
#include <stdlib.h>
#include "dnsd/catalog/catalog_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void print(struct slice text, struct buf *out)
{
	struct catalog_list l;
	catalog_parse(text, &l);
	for (size_t i = 0; i < l.n; i++)
		catalog_print(&l.entry[i], out);
	catalog_list_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf once = {0}, twice = {0};
	print((struct slice){(const char *)data, len}, &once);
	print(buf_slice(&once), &twice);
	if (!slice_eq(buf_slice(&once), buf_slice(&twice)))
		abort();
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
