/* Any text is a configuration or a list of mistakes; what was understood reads back. */
#include <stdlib.h>
#include "libcommon/base/conf.h"
#include "libcommon/base/str.h"

struct item {
	struct conf_block block;
	struct conf_addr addr;
	struct conf_net net;
	uint64_t size, time;
};
struct sample {
	const char *name, *path;
	struct conf_words words;
	struct conf_list items;
};
static const struct conf_directive ITEM[] = {
    {.name = "a", .type = CONF_ADDR, .offset = offsetof(struct item, addr)},
    {.name = "n", .type = CONF_NET, .offset = offsetof(struct item, net)},
    {.name = "s", .type = CONF_SIZE, .offset = offsetof(struct item, size)},
    {.name = "t",
     .type = CONF_DURATION,
     .offset = offsetof(struct item, time),
     .flags = CONF_OKNEVER},
    {0}};
static const struct conf_directive TABLE[] = {
    {.name = "name", .type = CONF_STRING, .offset = offsetof(struct sample, name)},
    {.name = "path", .type = CONF_PATH, .offset = offsetof(struct sample, path)},
    {.name = "words", .type = CONF_WORDS, .offset = offsetof(struct sample, words)},
    {.name = "i",
     .type = CONF_BLOCK,
     .offset = offsetof(struct sample, items),
     .flags = CONF_MULTI,
     .block = ITEM,
     .block_size = sizeof(struct item)},
    {0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool *pool = pool_new(0);
	struct sample s = {0}, again = {0};
	char *text = NULL, *err = NULL;
	size_t n;
	FILE *f = open_memstream(&err, &n);
	int bad = conf_parse(pool, "f", (const char *)data, len, TABLE, &s, NULL, f);
	fclose(f);
	if (bad == 0) {
		f = open_memstream(&text, &n);
		conf_dump(f, TABLE, &s);
		fclose(f);
		f = fopen("/dev/null", "w");
		if (conf_parse(pool, "f", text, n, TABLE, &again, NULL, f) != 0)
			abort();
		fclose(f);
	}
	struct conf_words words;
	if (conf_line(pool, (const char *)data, len, &words))
		for (size_t i = 0; i < words.n; i++)
			if (strlen(words.w[i]) > len)
				abort();
	free(text);
	free(err);
	pool_free(&pool);
	return 0;
}
